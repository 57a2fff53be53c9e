"""The hot path: a heartbeat becomes a beat on the bus before the web framework sees it.

That is for a heartbeat that nothing speaks against, as nearly all are. The FastAPI route of the
same contract takes or refuses the others; it is the tested reference, too.
"""

from datetime import datetime
from functools import partial
from typing import Annotated, Literal, Protocol

import msgspec
from msgspec import Meta
from pydantic import BaseModel, Field, Strict

from chassis.producer import BusUnavailable
from gateway import metrics
from gateway.auth import AGENTS, Admission
from gateway.bodies import MAX_DEPTH
from gateway.coalescing import Coalescer
from gateway.heads import Head
from gateway.values import Moment, ReportedStatus, to_utc, with_example
from gateway.views import Agents, KnownAgent, RawHeaders
from spotkeeper_contracts import Refused
from spotkeeper_contracts.presence import Beat
from spotkeeper_contracts.values import InstanceId, Mode, PoolId, Text, UsdPerHour

HEARTBEAT_ROUTE = "/api/agents/{agent_id}/heartbeat"
NOT_PRIMARY = "not-primary"
_ESCAPE = ord("\\")  # Python finds a number in bytes in a tenth of the time of a byte.
_BEATS_TAKEN = metrics.BEATS.labels("taken")
_BEATS_NOT_PRIMARY = metrics.BEATS.labels(NOT_PRIMARY)


class Answer(Protocol):
    """What answers a heartbeat."""

    def __call__(self, agent: KnownAgent, *, acknowledged: bool) -> None:
        """Answer the agent: the broker has acknowledged the beat, or will not in time."""


class Heartbeats:
    """Takes heartbeats: admits the caller, decodes the body, appends the beat, answers."""

    def __init__(self, admission: Admission, agents: Agents, coalescer: Coalescer) -> None:
        self._admission = admission
        self._agents = agents
        self._coalescer = coalescer

    def begin(self, agent_id: str, head: Head, body: bytes, answer: Answer) -> bool:
        """Append the beat of a heartbeat and answer later; False if it is not as it should be."""
        try:
            if not head.says_json or head.has_key or head.names_two_instances:
                return False
            heartbeat = decode(body)
            caller = self._admission.identify(head, AGENTS)
            agent = self._agents.known(agent_id, caller)
            if agent is None or not _is_by_primary(agent, heartbeat, head.instance_id):
                return False
            self._admission.count(caller)
            self._coalescer.put(
                _beat(agent, heartbeat), partial(_acknowledge, answer, agent), agent.partition
            )
        except (msgspec.DecodeError, Refused, BusUnavailable):
            return False
        return True

    async def take(
        self, agent: KnownAgent, heartbeat: "Heartbeat", named: str | None
    ) -> RawHeaders:
        """Append the beat unless it comes from another instance; return the answer's headers.

        They are the agent's own, or those with an outcome.
        """
        if not _is_by_primary(agent, heartbeat, named):
            _BEATS_NOT_PRIMARY.inc()
            return [*agent.headers, (b"x-outcome", NOT_PRIMARY.encode())]
        await self._coalescer.append(_beat(agent, heartbeat), partition=agent.partition)
        _BEATS_TAKEN.inc()
        return agent.headers


class Heartbeat(msgspec.Struct, gc=False):
    """A heartbeat as decoded; whatever this takes, `HeartbeatBody` takes as well."""

    status: ReportedStatus
    timestamp: datetime | None = None
    current_mode: Literal["spot", "ondemand", "on-demand", "on_demand"] | None = None
    current_pool_id: Annotated[str, Meta(pattern=r"^[\x20-\x7E]{1,128}\Z")] | None = None
    spot_price: Annotated[float, Meta(ge=0, le=1000)] | None = None
    ondemand_price: Annotated[float, Meta(ge=0, le=1000)] | None = None
    instance_id: Annotated[str, Meta(pattern=r"^i-[A-Za-z0-9-]{1,60}\Z")] | None = None
    agent_version: Annotated[str, Meta(pattern=r"^[^\x00]{0,255}\Z")] | None = None
    config_version: Annotated[int, Meta(ge=0, le=2_147_483_647)] | None = None

    def __post_init__(self) -> None:
        if self.timestamp is not None:
            if self.timestamp.utcoffset():  # The framework's: it tells `+05:30` from `+0530`.
                raise ValueError("not in UTC")
            self.timestamp = to_utc(self.timestamp)


class HeartbeatBody(BaseModel):
    """A heartbeat; only `status` is required."""

    model_config = with_example(
        {
            "timestamp": "2024-11-26T10:00:00Z",
            "status": "online",
            "current_mode": "spot",
            "current_pool_id": "t3.medium.us-east-1a",
            "spot_price": 0.0104,
            "ondemand_price": 0.0416,
        }
    )

    status: ReportedStatus
    timestamp: Moment | None = None
    current_mode: Mode | None = None
    current_pool_id: PoolId | None = None
    spot_price: Annotated[UsdPerHour, Strict()] | None = None
    ondemand_price: Annotated[UsdPerHour, Strict()] | None = None
    instance_id: InstanceId | None = None
    agent_version: Text | None = None
    config_version: Annotated[int, Strict(), Field(ge=0, le=2_147_483_647)] | None = None

    def heartbeat(self) -> Heartbeat:
        """The same as the fast path decodes it."""
        return Heartbeat(**self.model_dump())


def decode(body: bytes) -> Heartbeat:
    """The heartbeat in a body; raises `msgspec.DecodeError` for what `HeartbeatBody` may yet take.

    The fast decoder skims over what it does not know: it would see neither bad UTF-8 nor too many
    levels there, so it is given neither. Nor is it given `+0000`, not even in escapes, which it
    would take for a zone.
    """
    if not body.isascii() or body.count(b"{") + body.count(b"[") > MAX_DEPTH:
        raise msgspec.DecodeError("may hold more than the fast decoder sees")
    if _ESCAPE in body or body.count(b'0000"'):
        raise msgspec.DecodeError("may hold more than the fast decoder sees")
    return _decoder.decode(body)


def _is_by_primary(agent: KnownAgent, heartbeat: Heartbeat, named: str | None) -> bool:
    return agent.is_primary(named) and agent.is_primary(heartbeat.instance_id)


def _acknowledge(answer: Answer, agent: KnownAgent, acknowledged: bool) -> None:
    if acknowledged:
        _BEATS_TAKEN.inc()
    answer(agent, acknowledged=acknowledged)


def _beat(agent: KnownAgent, heartbeat: Heartbeat) -> Beat:
    mode = heartbeat.current_mode
    return Beat(
        agent_id=agent.id,
        client_id=agent.client,
        status=heartbeat.status,
        instance_id=heartbeat.instance_id,
        current_mode="ondemand" if mode in ("on-demand", "on_demand") else mode,
        current_pool_id=heartbeat.current_pool_id,
        spot_price=heartbeat.spot_price,
        ondemand_price=heartbeat.ondemand_price,
        agent_version=heartbeat.agent_version,
        config_version=heartbeat.config_version,
        timestamp=heartbeat.timestamp,
    )


_decoder = msgspec.json.Decoder(Heartbeat)
