"""Agents as the registry tells of them: its requests, the state and the events it emits."""

from typing import ClassVar
from uuid import UUID

from pydantic import Field

from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_EVENTS, AGENT_STATE, REGISTRY_REQUESTS
from spotkeeper_contracts.values import (
    Actor,
    AgentStatus,
    AvailabilityZone,
    InstanceId,
    InstanceStatus,
    InstanceType,
    LogicalAgentId,
    Mode,
    PoolId,
    Region,
    Text,
    Timestamp,
)


class AgentState(Message, topic=AGENT_STATE):
    """The whole state of one agent; a reader drops a revision lower than one it has seen."""

    agent_id: UUID
    client_id: UUID
    revision: int
    deleted: bool = False
    logical_agent_id: LogicalAgentId
    status: AgentStatus
    epoch: int
    instance_id: InstanceId | None
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    current_mode: Mode
    current_pool_id: PoolId | None
    config: AgentConfig
    agent_version: Text | None = None
    registered_at: Timestamp


class Registration(Value):
    """What an agent says of itself when it registers."""

    logical_agent_id: LogicalAgentId
    instance_id: InstanceId
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    mode: Mode
    hostname: Text | None = None
    ami_id: Text | None = None
    agent_version: Text | None = None
    private_ip: Text | None = None
    public_ip: Text | None = None


class AgentRegistration(Reply):
    """What became of a registration.

    `outcome` is `registered`, `updated`, `promoted`, `revived`, `standby` or `zombie-rejected`; the
    last two come with a config of nothing but false and zero.
    """

    agent_id: UUID
    client_id: UUID
    outcome: str
    epoch: int
    config: AgentConfig


class RegisterAgent(Request, topic=REGISTRY_REQUESTS, reply=AgentRegistration):
    """Make an agent known, or tell that it lives (on).

    `agent_id` follows from client and logical id (`ids.agent_id`), so a repeat cannot double it.
    """

    agent_id: UUID
    client_id: UUID
    registration: Registration


class AgentDetail(Value):
    """One agent in a list."""

    agent_id: UUID
    logical_agent_id: LogicalAgentId
    status: AgentStatus
    instance_id: InstanceId | None
    instance_type: InstanceType
    region: Region
    az: AvailabilityZone
    current_mode: Mode
    current_pool_id: PoolId | None
    last_heartbeat_at: Timestamp | None
    config_version: int
    epoch: int
    enabled: bool
    agent_version: Text | None
    registered_at: Timestamp


class AgentAnswer(Reply):
    """One agent; `state` serves a gateway whose view has not seen it yet."""

    detail: AgentDetail
    state: AgentState


class AgentPage(Reply):
    """Agents, the one registered last first."""

    items: list[AgentDetail]
    next_cursor: str | None = None


class AgentRequest(Request):
    """A request about one agent to another owner, with the agent as the asking gateway knows it.

    `agent` lets the owner answer by the latest state although it lags behind the registry.
    """

    context: ClassVar[frozenset[str]] = frozenset({"agent"})

    agent_id: UUID
    client_id: UUID
    agent: AgentState


class GetAgent(Request, topic=REGISTRY_REQUESTS, reply=AgentAnswer, reads_only=True):
    """One agent as it stands now; refused with 404 if unknown and 410 if deleted."""

    agent_id: UUID
    client_id: UUID


class ListAgents(Request, topic=REGISTRY_REQUESTS, reply=AgentPage, reads_only=True):
    """The agents of a client; `q` matches part of the logical id or the instance id."""

    client_id: UUID
    status: AgentStatus | None = None
    region: Region | None = None
    q: Text | None = None
    cursor: str | None = None
    limit: int = 50

    @property
    def key(self) -> str:
        """The client's id: the question concerns no single agent."""
        return str(self.client_id)


class DeleteAgent(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """Forget an agent, keeping its history; a registration revives it."""

    agent_id: UUID
    client_id: UUID


class HeartbeatKept(Reply):
    """The answer of a heartbeat, as it was given the first time."""

    commands_pending: bool
    config_version: int


class KeepHeartbeat(Request, topic=REGISTRY_REQUESTS, reply=HeartbeatKept):
    """Keep the answer of a heartbeat that may come again under its key; the beat went its way."""

    context: ClassVar[frozenset[str]] = frozenset({"commands_pending", "config_version"})

    agent_id: UUID
    client_id: UUID
    body_sha256: Text
    commands_pending: bool
    config_version: int


class ShutDownAgent(Request, topic=REGISTRY_REQUESTS, reply=Done):
    """The agent says goodbye: it stops and is no longer watched."""

    context: ClassVar[frozenset[str]] = frozenset({"instance_id"})

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId | None = None
    reason: Text | None = None


class SystemEvent(Value):
    """One line of an agent's audit trail."""

    event_id: UUID
    event_type: str
    severity: str
    message: str
    actor: Actor
    data: dict[str, object] = Field(default={})
    timestamp: Timestamp


class EventPage(Reply):
    """Lines of an audit trail, newest first."""

    items: list[SystemEvent]
    next_cursor: str | None = None


class ListEvents(Request, topic=REGISTRY_REQUESTS, reply=EventPage, reads_only=True):
    """The audit trail of an agent."""

    agent_id: UUID
    client_id: UUID
    cursor: str | None = None
    limit: int = 50


class AgentRegistered(Message, topic=AGENT_EVENTS):
    """A new agent registered, or a deleted one came back (`revived`)."""

    agent_id: UUID
    client_id: UUID
    registration: Registration
    revived: bool = False
    epoch: int
    at: Timestamp


class AgentUpdated(Message, topic=AGENT_EVENTS):
    """A known agent registered again."""

    agent_id: UUID
    client_id: UUID
    registration: Registration
    at: Timestamp


class AgentPromoted(Message, topic=AGENT_EVENTS):
    """An instance became its agent's primary; the previous one got the status named here."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    previous_instance_id: InstanceId | None
    previous_instance_status: InstanceStatus | None
    epoch: int
    at: Timestamp


class AgentDeleted(Message, topic=AGENT_EVENTS):
    """An agent was deleted."""

    agent_id: UUID
    client_id: UUID
    at: Timestamp


class AgentShutDown(Message, topic=AGENT_EVENTS):
    """An agent said goodbye."""

    agent_id: UUID
    client_id: UUID
    reason: Text | None = None
    at: Timestamp


class RegistrationRejected(Message, topic=AGENT_EVENTS):
    """A zombie or terminated instance tried to register and was told to stay quiet."""

    agent_id: UUID
    client_id: UUID
    instance_id: InstanceId
    instance_status: InstanceStatus
    at: Timestamp
