"""Who is alive: the beats that agents send, and what the heartbeat service makes of them."""

from datetime import datetime
from typing import ClassVar
from uuid import UUID

import msgspec

from spotkeeper_contracts.message import Message, Reply, Request, Value
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, AGENT_PRESENCE, HEARTBEAT_REQUESTS, Topic
from spotkeeper_contracts.values import AgentStatus, Mode, PoolId, Text, Timestamp

HEARTBEATS_TYPE = "Heartbeats.v1"
"""The type of a record of `agent-heartbeats`: a JSON array of beats; an empty one is a tick."""


class Beat(msgspec.Struct, omit_defaults=True, frozen=True, gc=False):
    """One heartbeat. The moment it counts at is the record's (LogAppendTime), not `timestamp`."""

    agent_id: str
    client_id: str
    status: str
    instance_id: str | None = None
    current_mode: str | None = None
    current_pool_id: str | None = None
    spot_price: float | None = None
    ondemand_price: float | None = None
    agent_version: str | None = None
    config_version: int | None = None
    timestamp: datetime | None = None


encode_beats = msgspec.json.Encoder().encode
"""`encode_beats(list[Beat]) -> bytes`: a record's value."""

decode_beats = msgspec.json.Decoder(list[Beat]).decode
"""`decode_beats(bytes) -> list[Beat]`; raises `msgspec.DecodeError` if the value is none."""


class FirstBeat(Message):
    """The beat that an accepted registration counts as; on the wire one like any other."""

    topic: ClassVar[Topic] = AGENT_HEARTBEATS
    type: ClassVar[str] = HEARTBEATS_TYPE

    agent_id: UUID
    client_id: UUID
    instance_id: Text
    current_mode: Mode
    current_pool_id: PoolId | None = None
    agent_version: Text | None = None

    def to_bytes(self) -> bytes:
        """A record's value with this beat alone."""
        told = self.model_dump(mode="json")
        return encode_beats([Beat(status=AgentStatus.ONLINE.value, **told)])


class AgentCameOnline(Message, topic=AGENT_PRESENCE):
    """An agent that was unknown, offline or stopping beats; what the beat left out is null."""

    agent_id: UUID
    client_id: UUID
    status: AgentStatus
    current_mode: Mode | None = None
    current_pool_id: PoolId | None = None
    spot_price: float | None = None
    ondemand_price: float | None = None
    agent_version: Text | None = None
    last_heartbeat_at: Timestamp


class AgentWentOffline(Message, topic=AGENT_PRESENCE):
    """An agent was silent for longer than the limit while it could have been heard."""

    agent_id: UUID
    client_id: UUID
    last_heartbeat_at: Timestamp
    silent_seconds: float
    at: Timestamp


class AgentReportedChange(Message, topic=AGENT_PRESENCE):
    """A beat told another status, mode, pool or version of the agent; `stopping` is a goodbye.

    What the beat left out is null: it is as was told last, by whomever.
    """

    agent_id: UUID
    client_id: UUID
    status: AgentStatus
    current_mode: Mode | None = None
    current_pool_id: PoolId | None = None
    spot_price: float | None = None
    ondemand_price: float | None = None
    agent_version: Text | None = None
    last_heartbeat_at: Timestamp


class AgentReportedPrice(Message, topic=AGENT_PRESENCE):
    """A beat told a price for the first time, or one that moved by more than a twentieth."""

    agent_id: UUID
    client_id: UUID
    current_mode: Mode | None = None
    current_pool_id: PoolId | None = None
    spot_price: float | None = None
    ondemand_price: float | None = None
    last_heartbeat_at: Timestamp


class Presence(Value):
    """When an agent was last heard of, and whether it counts as online."""

    agent_id: UUID
    online: bool
    status: AgentStatus
    last_heartbeat_at: Timestamp


class PresenceAnswer(Reply):
    """What is known of the agents asked for; an agent never heard of is left out."""

    items: list[Presence]
    as_of: Timestamp


class GetPresence(Request, topic=HEARTBEAT_REQUESTS, reply=PresenceAnswer, reads_only=True):
    """When the given agents of a client (500 at most) were last heard of."""

    client_id: UUID
    agent_ids: list[UUID]
