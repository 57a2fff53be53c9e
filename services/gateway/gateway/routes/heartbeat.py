"""POST …/heartbeat as the framework would take it: the reference of the fast path, and its page."""

from hashlib import sha256

from fastapi import Response
from pydantic import BaseModel

from chassis.asking import NoAnswer
from chassis.producer import BusUnavailable
from gateway.auth import AGENTS
from gateway.calls import Asking, AskOnce, NamedInstance, OwnAgent, Running
from gateway.heartbeats import HeartbeatBody
from gateway.routing import open_to, router
from gateway.values import with_example
from gateway.views import KnownAgent
from spotkeeper_contracts.agents import HeartbeatKept, KeepHeartbeat

KEEP_SECONDS = 2.0

routes = router("heartbeats")


class HeartbeatAnswer(BaseModel):
    """Whether commands wait to be fetched, and the config's version."""

    model_config = with_example({"success": True, "commands_pending": False, "config_version": 5})

    success: bool
    commands_pending: bool
    config_version: int


@routes.post(
    "/api/agents/{agent_id}/heartbeat",
    operation_id="heartbeat",
    response_model=HeartbeatAnswer,
)
@open_to(AGENTS, fenced=False, tells=("X-Config-Version", "X-Outcome"))
async def heartbeat(
    body: HeartbeatBody,
    agent: OwnAgent,
    ask: AskOnce,
    gateway: Running,
    x_instance_id: NamedInstance = None,
) -> Response:
    """Tell that an agent lives, once or twice a minute; after 120 seconds it counts as offline.

    A heartbeat of an instance that is not the primary changes nothing and is answered with
    `X-Outcome: not-primary`. One with an `Idempotency-Key` counts each time that it comes.
    """
    headers = agent.headers
    if not ask.refused:
        headers = await gateway.heartbeats.take(agent, body.heartbeat(), x_instance_id)
    content = await _kept(body, agent, ask) if ask.repeatable else agent.answer
    own = {name.decode(): value.decode() for name, value in headers}
    return Response(content, headers=own | {"content-length": str(len(content))})


async def _kept(body: HeartbeatBody, agent: KnownAgent, ask: Asking) -> bytes:
    """The answer as it was given first under this key.

    While the registry is silent it is the present one: an agent that lives is not told otherwise.
    """
    now = HeartbeatAnswer.model_validate_json(agent.answer)
    question = KeepHeartbeat(
        **agent.ids,
        body_sha256=sha256(body.model_dump_json().encode()).hexdigest(),
        commands_pending=now.commands_pending,
        config_version=now.config_version,
    )
    try:
        kept: HeartbeatKept = await ask(question, timeout_seconds=KEEP_SECONDS)
    except (NoAnswer, BusUnavailable):
        return agent.answer
    told = HeartbeatAnswer(
        success=True, commands_pending=kept.commands_pending, config_version=kept.config_version
    )
    return told.model_dump_json().encode()
