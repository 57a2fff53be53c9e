"""What the decision service does: one handler for each message that it takes."""

from collections.abc import Mapping

from chassis.transaction import Handler
from decision.handlers.acting import command_finished, command_queued, decision_made
from decision.handlers.agents import (
    agent_state,
    emergency_opened,
    instance_terminated,
    savings_metered,
    switch_completed,
)
from decision.handlers.deciding import decide, get_recommendation
from decision.handlers.history import explain_decision, get_statistics, list_decisions
from decision.handlers.models import (
    get_model_report,
    list_models,
    publish_model,
    withdraw_model,
)
from decision.handlers.prices import agent_told_prices, report_pricing
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandFinished, CommandQueued
from spotkeeper_contracts.decisions import (
    Decide,
    DecisionMade,
    ExplainDecision,
    GetRecommendation,
    GetStatistics,
    ListDecisions,
    ReportPricing,
)
from spotkeeper_contracts.emergencies import EmergencyOpened
from spotkeeper_contracts.instances import InstanceTerminated
from spotkeeper_contracts.models import GetModelReport, ListModels, PublishModel, WithdrawModel
from spotkeeper_contracts.presence import AgentCameOnline, AgentReportedChange, AgentReportedPrice
from spotkeeper_contracts.switches import SavingsMetered, SwitchCompleted

HANDLERS: Mapping[type[Message], Handler] = {
    Decide: decide,
    GetRecommendation: get_recommendation,
    GetStatistics: get_statistics,
    ListDecisions: list_decisions,
    ExplainDecision: explain_decision,
    ReportPricing: report_pricing,
    DecisionMade: decision_made,
    PublishModel: publish_model,
    WithdrawModel: withdraw_model,
    ListModels: list_models,
    GetModelReport: get_model_report,
    AgentState: agent_state,
    AgentCameOnline: agent_told_prices,
    AgentReportedChange: agent_told_prices,
    AgentReportedPrice: agent_told_prices,
    EmergencyOpened: emergency_opened,
    InstanceTerminated: instance_terminated,
    SwitchCompleted: switch_completed,
    SavingsMetered: savings_metered,
    CommandQueued: command_queued,
    CommandFinished: command_finished,
}
