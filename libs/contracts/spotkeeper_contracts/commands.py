"""Commands: what agents are told to do, from the queue to their end."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.agents import AgentRequest
from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_COMMANDS, COMMAND_QUEUES, COMMANDS_REQUESTS
from spotkeeper_contracts.values import (
    Actor,
    Count,
    InstanceId,
    Mode,
    PoolId,
    Probability,
    Text,
    Timestamp,
    UsdPerHour,
    WaitSeconds,
)

Seconds = Annotated[float, Field(ge=0, le=31_536_000, allow_inf_nan=False)]


class CommandType(StrEnum):
    """What an agent can be told to do."""

    SWITCH = "switch"
    CREATE_REPLICA = "create_replica"
    PROMOTE_REPLICA = "promote_replica"
    TERMINATE = "terminate"
    UPDATE_CONFIG = "update_config"


class CommandStatus(StrEnum):
    """Where a command stands; the last five are its end."""

    QUEUED = "queued"
    DELIVERED = "delivered"
    EXECUTING = "executing"
    SUCCEEDED = "succeeded"
    FAILED = "failed"
    PARTIAL = "partial"
    EXPIRED = "expired"
    CANCELLED = "cancelled"


class Execution(StrEnum):
    """What an agent says of a command that it carried out."""

    SUCCESS = "success"
    FAILED = "failed"
    PARTIAL = "partial"


class Trigger(StrEnum):
    """Who set a switch going."""

    AUTOMATIC = "automatic"
    MANUAL = "manual"
    EMERGENCY = "emergency"


class Priority:
    """How urgent a command is; the highest is delivered first."""

    EMERGENCY = 100
    MANUAL = 75
    URGENT = 50
    NORMAL = 25
    SCHEDULED = 10


class Preconditions(Value):
    """What must still hold when a command is carried out, and what it is about."""

    trigger: Trigger
    replica_id: UUID | None = None
    expected_instance_id: InstanceId | None = None
    expected_pool: PoolId | None = None
    max_price: UsdPerHour | None = None
    not_after: Timestamp | None = None
    epoch: int


class Command(Value):
    """A command as an agent fetches it."""

    command_id: UUID
    command_type: CommandType
    target_pool: PoolId | None
    target_mode: Mode | None
    priority: int
    created_at: Timestamp
    expires_at: Timestamp
    terminate_wait_seconds: WaitSeconds
    request_id: UUID
    parameters: Preconditions


class Transition(Value):
    """One step in a command's life."""

    status: CommandStatus
    at: Timestamp
    actor: Actor
    detail: Text | None = None


class CommandDetail(Command):
    """A command with all its life so far."""

    status: CommandStatus
    reason: Text | None
    confidence: Probability | None
    message: Text | None
    error: Text | None
    transitions: list[Transition]
    timestamp: Timestamp


class CommandQueuedAnswer(Reply):
    """The command that was queued, or the open one that asks for the same."""

    command_id: UUID


class QueueSwitch(AgentRequest, topic=COMMANDS_REQUESTS, reply=CommandQueuedAnswer):
    """Queue a switch that the registry has let through; it comes from nobody else."""

    command_id: UUID
    target_pool: PoolId | None
    target_mode: Mode
    trigger: Trigger
    priority: int
    reason: Text | None = None
    confidence: Probability | None = None
    max_price: UsdPerHour | None = None
    expected_pool: PoolId | None = None


class CommandsLeased(Reply):
    """The commands that the agent may carry out now, the most urgent first."""

    commands: list[Command]


class LeaseCommands(AgentRequest, topic=COMMANDS_REQUESTS, reply=CommandsLeased):
    """Hand out what is deliverable; each command is kept from others for the time of its lease.

    After `answer_by` nobody waits for the answer any more, and nothing is handed out.
    """

    context = AgentRequest.context | {"answer_by"}

    limit: Annotated[int, Field(ge=1, le=50)] = 50
    answer_by: Timestamp | None = None


class ReportExecution(AgentRequest, topic=COMMANDS_REQUESTS, reply=Done):
    """What became of a command, in the words of the agent that carried it out."""

    command_id: UUID
    status: Execution
    message: Text | None = None
    error: Text | None = None
    duration_seconds: Seconds | None = None
    result: dict[str, object] | None = None


class CancelCommand(AgentRequest, topic=COMMANDS_REQUESTS, reply=Done):
    """Take a command back that has not ended."""

    command_id: UUID


class WithdrawSwitch(AgentRequest, topic=COMMANDS_REQUESTS, reply=Done):
    """Take a switch of the automatic loop back that nobody has fetched, unless it leads there.

    A later decision wants another one or, if `unless_mode` is null, none.
    """

    command_id: UUID
    unless_mode: Mode | None
    unless_pool: PoolId | None


class CommandPage(Reply):
    """Commands, newest first."""

    items: list[CommandDetail]
    next_cursor: str | None = None


class ListCommands(Request, topic=COMMANDS_REQUESTS, reply=CommandPage, reads_only=True):
    """The commands of an agent."""

    agent_id: UUID
    client_id: UUID
    status: CommandStatus | None = None
    cursor: str | None = None
    limit: int = 50


class CommandQueue(Message, topic=COMMAND_QUEUES):
    """How many commands of an agent may be delivered now, and the highest priority among them."""

    agent_id: UUID
    client_id: UUID
    revision: int
    deliverable: Count
    highest_priority: int | None = None


class CommandEvent(Message):
    """Something that happened to one command of an agent."""

    agent_id: UUID
    client_id: UUID
    command: Command
    at: Timestamp


class CommandQueued(CommandEvent, topic=AGENT_COMMANDS):
    """A command waits for its agent."""


class CommandDelivered(CommandEvent, topic=AGENT_COMMANDS):
    """The agent fetched the command, perhaps not for the first time."""


class CommandStarted(CommandEvent, topic=AGENT_COMMANDS):
    """The agent carries the command out."""


class CommandFinished(CommandEvent, topic=AGENT_COMMANDS):
    """The command has come to its end, which `status` names."""

    status: CommandStatus
    actor: Actor
    detail: Text | None = None
    duration_seconds: Seconds | None = None
