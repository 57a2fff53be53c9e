"""What the commands service does: one handler for each message that it takes."""

from collections.abc import Mapping

from chassis.transaction import Handler
from commands.handlers.agents import agent_reported_change, agent_state
from commands.handlers.queue import (
    cancel_command,
    lease_commands,
    list_commands,
    queue_switch,
    report_execution,
)
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import (
    CancelCommand,
    LeaseCommands,
    ListCommands,
    QueueSwitch,
    ReportExecution,
)
from spotkeeper_contracts.presence import AgentReportedChange

HANDLERS: Mapping[type[Message], Handler] = {
    QueueSwitch: queue_switch,
    LeaseCommands: lease_commands,
    ReportExecution: report_execution,
    CancelCommand: cancel_command,
    ListCommands: list_commands,
    AgentState: agent_state,
    AgentReportedChange: agent_reported_change,
}
