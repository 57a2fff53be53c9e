"""The life of a command: what may follow what, who may have it when, what speaks against it."""

from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStatus, CommandType, Execution, Trigger

ENDED = frozenset(
    {
        CommandStatus.SUCCEEDED,
        CommandStatus.FAILED,
        CommandStatus.PARTIAL,
        CommandStatus.EXPIRED,
        CommandStatus.CANCELLED,
    }
)

FOLLOWING: Mapping[CommandStatus, frozenset[CommandStatus]] = {
    CommandStatus.QUEUED: ENDED | {CommandStatus.DELIVERED},
    CommandStatus.DELIVERED: ENDED | {CommandStatus.DELIVERED, CommandStatus.EXECUTING},
    CommandStatus.EXECUTING: ENDED | {CommandStatus.DELIVERED},
    **dict.fromkeys(ENDED, frozenset()),
}
"""What each status may become; a lease that ran out lets a command be delivered again."""

END_OF: Mapping[Execution, CommandStatus] = {
    Execution.SUCCESS: CommandStatus.SUCCEEDED,
    Execution.FAILED: CommandStatus.FAILED,
    Execution.PARTIAL: CommandStatus.PARTIAL,
}
"""How a command ends by what its agent says of it."""

AGENT_DELETED, GATE_CLOSED, SUPERSEDED = "agent_deleted", "gate_closed", "superseded"


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """What is to be known of a command to judge it."""

    id: UUID
    command_type: CommandType
    status: CommandStatus
    priority: int
    trigger: Trigger
    replica_id: UUID | None
    expected_instance_id: str | None
    created_at: datetime
    expires_at: datetime
    lease_until: datetime | None


def has_ended(status: CommandStatus) -> bool:
    """Whether a command has come to its end, which is final."""
    return status in ENDED


def may_become(status: CommandStatus, following: CommandStatus) -> bool:
    """Whether a command may take this step."""
    return following in FOLLOWING[status]


def is_repeat(status: CommandStatus, wanted: CommandStatus) -> bool:
    """Whether the command has ended so already; raises `Refused` with 409 if it has otherwise."""
    if has_ended(status) and status is not wanted:
        raise Refused("ALREADY_FINISHED", f"The command has {_said(status)} already", 409)
    return status is wanted


def is_over(order: Order, now: datetime) -> bool:
    """Whether a command's time has run out before its end came."""
    return not has_ended(order.status) and order.expires_at <= now


def is_free(order: Order, now: datetime) -> bool:
    """Whether nobody has the command in hand, and its time has not run out."""
    if has_ended(order.status) or order.expires_at <= now:
        return False
    return order.lease_until is None or order.lease_until <= now


def objection(order: Order, agent: AgentState) -> str | None:
    """What speaks against handing the command out, by the agent as it is now.

    A switch that saves money needs an open gate, and one of the loop a loop that runs. Every switch
    was meant for the instance that was the primary when it was asked for; while there is none,
    nothing else is.
    """
    if agent.deleted:
        return AGENT_DELETED
    if order.command_type is not CommandType.SWITCH:
        return None
    is_cost = order.trigger is not Trigger.EMERGENCY
    if is_cost and not (agent.config.auto_switch_enabled and agent.config.enabled):
        return GATE_CLOSED
    if order.trigger is Trigger.AUTOMATIC and not agent.config.runs_by_itself:
        return GATE_CLOSED
    if agent.instance_id not in (None, order.expected_instance_id):
        return SUPERSEDED
    return None


def may_be_withdrawn(order: Order) -> bool:
    """Whether the loop may take its own switch back: as long as nobody has ever had it in hand."""
    return order.status is CommandStatus.QUEUED and order.trigger is Trigger.AUTOMATIC


def is_deliverable(order: Order, agent: AgentState, now: datetime) -> bool:
    """Whether the agent may have the command now."""
    return is_free(order, now) and objection(order, agent) is None


def by_urgency(orders: Iterable[Order]) -> list[Order]:
    """The most urgent first, of equals the oldest."""
    return sorted(orders, key=lambda order: (-order.priority, order.created_at, order.id))


def next_changes(orders: Iterable[Order], now: datetime) -> list[datetime]:
    """When time alone will change something: a lease or a command runs out."""
    return [
        moment
        for order in orders
        if not has_ended(order.status)
        for moment in (order.lease_until, order.expires_at)
        if moment is not None and moment > now
    ]


def _said(status: CommandStatus) -> str:
    return {
        CommandStatus.PARTIAL: "partly succeeded",
        CommandStatus.CANCELLED: "been cancelled",
    }.get(status, status.value)
