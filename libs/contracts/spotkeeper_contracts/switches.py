"""Switches: asked for, let through by the gate, reported, and what they saved."""

from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.agents import AgentRequest
from spotkeeper_contracts.commands import CommandQueuedAnswer, Seconds, Trigger
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_COMMANDS, COMMANDS_REQUESTS, REGISTRY_REQUESTS
from spotkeeper_contracts.values import (
    Mode,
    PoolId,
    Probability,
    Text,
    Timestamp,
    UsdPerHour,
)


class IssueSwitch(Request, topic=REGISTRY_REQUESTS, reply=CommandQueuedAnswer):
    """Move the agent to another pool, if its config lets it; a null pool means on demand.

    `expected_pool` is where the decision took the agent to be, by the name that it uses itself.
    """

    agent_id: UUID
    client_id: UUID
    target_pool: PoolId | None
    target_mode: Mode
    trigger: Trigger = Trigger.MANUAL
    urgent: bool = False
    reason: Text | None = None
    confidence: Probability | None = None
    max_price: UsdPerHour | None = None
    expected_pool: PoolId | None = None


class SwitchPricing(Value):
    """What an hour cost in the old pool, costs in the new one, and would cost on demand."""

    old_spot: UsdPerHour | None = None
    new_spot: UsdPerHour | None = None
    on_demand: UsdPerHour | None = None


class SwitchTiming(Value):
    """When the steps of a switch were taken, by the agent's clock."""

    initiated_at: Timestamp
    instance_launched_at: Timestamp | None = None
    instance_ready_at: Timestamp | None = None
    old_terminated_at: Timestamp | None = None


class SwitchReport(Value):
    """What an agent says of a switch that it made."""

    command_id: UUID | None = None
    old_instance: Instance
    new_instance: Instance
    pricing: SwitchPricing = Field(default=SwitchPricing())
    timing: SwitchTiming
    trigger: Trigger
    downtime_seconds: Seconds | None = None


class ReportSwitch(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """Make the new instance the primary and leave the old one behind; a repeat changes nothing."""

    agent_id: UUID
    client_id: UUID
    report: SwitchReport


class RecordSwitch(AgentRequest, topic=COMMANDS_REQUESTS, reply=Done):
    """Keep a switch that the registry has made true; it comes from nobody else."""

    switch_id: UUID
    report: SwitchReport
    completed_at: Timestamp


class SwitchDetail(Value):
    """A switch, with what it promised an hour and what it has brought in money so far."""

    switch_id: UUID
    command_id: UUID | None
    trigger: Trigger
    old_instance: Instance
    new_instance: Instance
    pricing: SwitchPricing
    timing: SwitchTiming
    downtime_seconds: Seconds | None
    promised_savings_per_hour: float
    realised_savings: float
    is_settled: bool
    timestamp: Timestamp


class SwitchPage(Reply):
    """Switches, newest first."""

    items: list[SwitchDetail]
    next_cursor: str | None = None


class ListSwitches(Request, topic=COMMANDS_REQUESTS, reply=SwitchPage, reads_only=True):
    """The completed switches of an agent."""

    agent_id: UUID
    client_id: UUID
    cursor: str | None = None
    limit: int = 50


class DecisionStatistics(Value):
    """What the decision engine knows of its decisions about an agent."""

    total_decisions: int = 0
    switches_recommended: int = 0
    average_confidence: float = 0.0
    last_decision_at: Timestamp | None = None


class StatisticsAnswer(Reply):
    """An agent's figures so far."""

    decisions: DecisionStatistics
    switches_executed: int
    automatic: int
    manual: int
    avg_downtime_seconds: float
    total_savings_generated: float
    as_of: Timestamp


class GetSwitchStatistics(
    Request, topic=COMMANDS_REQUESTS, reply=StatisticsAnswer, reads_only=True
):
    """An agent's executed switches in figures, joined to what is known of its decisions."""

    agent_id: UUID
    client_id: UUID
    decisions: DecisionStatistics = Field(default=DecisionStatistics())


class SwitchCompleted(Message, topic=AGENT_COMMANDS):
    """An agent runs on another instance now."""

    agent_id: UUID
    client_id: UUID
    switch_id: UUID
    command_id: UUID | None
    trigger: Trigger
    old_instance: Instance
    new_instance: Instance
    pricing: SwitchPricing
    downtime_seconds: Seconds | None
    epoch: int
    at: Timestamp


class SavingsMetered(Message, topic=AGENT_COMMANDS):
    """What a switch has brought in money so far: often at first, then hourly, until it is settled.

    `realised_savings` is in USD, for `metered_hours` on the new instance; it is what the list of
    switches says at that moment. Once `is_settled` it changes no more.
    """

    agent_id: UUID
    client_id: UUID
    switch_id: UUID
    trigger: Trigger
    completed_at: Timestamp
    metered_hours: float
    realised_savings: float
    is_settled: bool
    at: Timestamp
