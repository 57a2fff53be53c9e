"""The hot path: a heartbeat is taken in front of the web framework and becomes a beat on the bus.

The FastAPI route of the same contract stays for OpenAPI and as the tested reference. What the fast
decoder does not take is given to the reference's own validation, so both refuse alike.
"""

from datetime import datetime
from typing import Annotated, Literal

import msgspec
from fastapi.exceptions import RequestValidationError
from msgspec import Meta
from pydantic import BaseModel, Field, Strict, ValidationError
from starlette.types import Scope

from gateway import metrics
from gateway.auth import AGENTS, Admission
from gateway.bodies import MAX_DEPTH, parse_json
from gateway.coalescing import Coalescer
from gateway.errors import NOT_JSON
from gateway.heads import Head
from gateway.responding import Response
from gateway.values import Moment, ReportedStatus, to_utc, with_example
from gateway.views import Agents, KnownAgent, RawHeaders
from spotkeeper_contracts.presence import Beat
from spotkeeper_contracts.values import InstanceId, Mode, PoolId, Text, UsdPerHour

NOT_PRIMARY = "not-primary"
_BEATS_TAKEN = metrics.BEATS.labels("taken")
_BEATS_NOT_PRIMARY = metrics.BEATS.labels(NOT_PRIMARY)
_PREFIX, _SUFFIX = "/api/agents/", "/heartbeat"


def agent_of_heartbeat(scope: Scope) -> str | None:
    """The agent id in the path of a heartbeat, or None if the call is none."""
    path: str = scope["path"]
    if scope["method"] != "POST" or not path.endswith(_SUFFIX) or not path.startswith(_PREFIX):
        return None
    agent_id = path[len(_PREFIX) : -len(_SUFFIX)]
    return agent_id if agent_id and "/" not in agent_id else None


class Heartbeats:
    """Takes heartbeats: admits the caller, decodes the body, appends the beat, answers."""

    def __init__(self, admission: Admission, agents: Agents, coalescer: Coalescer) -> None:
        self._admission = admission
        self._agents = agents
        self._coalescer = coalescer

    async def answer(self, agent_id: str, head: Head, body: bytes, response: Response) -> None:
        """Answer a heartbeat once its beat is on the log; raises what becomes an error."""
        caller = self._admission.admit(head, AGENTS)
        agent = await self._agents.own(agent_id, caller)
        if not head.says_json:
            raise NOT_JSON.refused()
        headers = await self.take(agent, decode(body), head.instance_id)
        if headers is agent.headers and response.at_once(agent.header_lines, agent.answer):
            return
        await response({"type": "http.response.start", "status": 200, "headers": headers})
        await response({"type": "http.response.body", "body": agent.answer})

    async def take(
        self, agent: KnownAgent, heartbeat: "Heartbeat", named: str | None
    ) -> RawHeaders:
        """Append the beat unless it comes from another instance; return the answer's headers.

        They are the agent's own, or those with an outcome.
        """
        if not (agent.is_primary(named) and agent.is_primary(heartbeat.instance_id)):
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
    """The heartbeat in a body; raises `Refused` or `RequestValidationError` for a 400.

    The fast decoder skims over what it does not know: it would see neither bad UTF-8 nor too many
    levels there, so it is given neither.
    """
    if body.isascii() and body.count(b"{") + body.count(b"[") <= MAX_DEPTH:
        try:
            return _decoder.decode(body)
        except msgspec.DecodeError:
            pass  # The reference tells in its own words what is wrong, or takes it after all.
    return decode_by_reference(body)


def decode_by_reference(body: bytes) -> Heartbeat:
    """The heartbeat as the FastAPI route reads it."""
    try:
        return HeartbeatBody.model_validate(parse_json(body)).heartbeat()
    except ValidationError as error:
        found = [{**one, "loc": ("body", *one["loc"])} for one in error.errors()]
        raise RequestValidationError(found) from error


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
