"""POST …/heartbeat as the framework would take it: the reference of the fast path, and its page."""

from fastapi import Response
from pydantic import BaseModel

from gateway.auth import AGENTS
from gateway.calls import NamedInstance, OwnAgent, Running
from gateway.headers import OF_CONFIG
from gateway.heartbeats import HeartbeatBody
from gateway.routing import open_to, router
from gateway.values import with_example

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
@open_to(AGENTS, fenced=False, tells=(*OF_CONFIG, "X-Outcome"))
async def heartbeat(
    body: HeartbeatBody,
    agent: OwnAgent,
    gateway: Running,
    x_instance_id: NamedInstance = None,
) -> Response:
    """Tell that an agent lives, once or twice a minute; after 120 seconds it counts as offline.

    A heartbeat of an instance that is not the primary changes nothing and is answered with
    `X-Outcome: not-primary`.
    """
    headers = await gateway.heartbeats.take(agent, body.heartbeat(), x_instance_id)
    return Response(agent.answer, headers={k.decode(): v.decode() for k, v in headers})
