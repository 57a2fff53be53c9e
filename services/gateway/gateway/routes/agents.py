"""Agents as operators see them: the list, one of them, and how they end."""

from collections.abc import Sequence
from typing import Annotated
from uuid import UUID

from fastapi import Query, Response
from pydantic import BaseModel

from chassis.asking import NoAnswer
from chassis.producer import BusUnavailable
from gateway.auth import AGENTS, EVERYONE, OPERATORS
from gateway.calls import (
    Ask,
    Asking,
    AskOnce,
    CurrentCaller,
    Cursor,
    Limit,
    NamedInstance,
    OwnAgent,
    Running,
)
from gateway.farewells import say_goodbye
from gateway.headers import OF_CONFIG, config_headers
from gateway.routing import open_to, router
from gateway.values import Done, with_example
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentDetail,
    AgentPage,
    DeleteAgent,
    GetAgent,
    ListAgents,
    ShutDownAgent,
)
from spotkeeper_contracts.presence import GetPresence, PresenceAnswer
from spotkeeper_contracts.values import AgentStatus, Region, Text, rfc3339

routes = router("agents")

_EXAMPLE = {
    "agent_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
    "logical_agent_id": "agent-hostname-123",
    "status": "online",
    "instance_id": "i-1234567890abcdef0",
    "instance_type": "t3.medium",
    "region": "us-east-1",
    "az": "us-east-1a",
    "current_mode": "spot",
    "current_pool_id": "t3.medium.us-east-1a",
    "last_heartbeat_at": "2024-11-26T10:00:00Z",
    "config_version": 5,
    "epoch": 1,
    "enabled": True,
    "agent_version": "4.0.0",
    "registered_at": "2024-11-20T08:00:00Z",
}


class AgentBody(AgentDetail):
    """One agent; `instance_id` is its primary's, or null while it has none."""

    model_config = with_example(_EXAMPLE)


class AgentsBody(BaseModel):
    """Agents, the one registered last first."""

    model_config = with_example({"items": [_EXAMPLE], "next_cursor": "MTczMjYxNTIwMC4w"})

    items: list[AgentDetail]
    next_cursor: str | None


class ShutdownBody(BaseModel):
    """Why the agent stops, if it wants to tell."""

    model_config = with_example({"reason": "the host is being replaced"})

    reason: Text | None = None


@routes.get("/api/agents", operation_id="list_agents")
@open_to(EVERYONE, tells=("X-As-Of",))
async def list_agents(
    caller: CurrentCaller,
    ask: Ask,
    gateway: Running,
    out: Response,
    status: AgentStatus | None = None,
    region: Region | None = None,
    q: Annotated[Text | None, Query(description="Part of the logical id or instance id.")] = None,
    cursor: Cursor = None,
    limit: Limit = 50,
) -> AgentsBody:
    """The client's agents, the one registered last first."""
    page: AgentPage = await ask(
        ListAgents(
            client_id=caller.client_id,
            status=status,
            region=region,
            q=q,
            cursor=cursor,
            limit=limit,
        )
    )
    items = await _with_presence(page.items, caller.client_id, ask, gateway, out)
    return AgentsBody(items=items, next_cursor=page.next_cursor)


@routes.get("/api/agents/{agent_id}", operation_id="get_agent", response_model=AgentBody)
@open_to(EVERYONE, tells=(*OF_CONFIG, "X-As-Of"))
async def get_agent(agent: OwnAgent, ask: Ask, gateway: Running, out: Response) -> AgentDetail:
    """One agent as its owner knows it now."""
    id, client_id = agent.state.agent_id, agent.state.client_id
    answer: AgentAnswer = await ask(GetAgent(agent_id=id, client_id=client_id))
    out.headers.update(config_headers(answer.state.config, answer.state.epoch))
    return (await _with_presence([answer.detail], client_id, ask, gateway, out))[0]


@routes.delete("/api/agents/{agent_id}", operation_id="delete_agent")
@open_to(OPERATORS)
async def delete_agent(agent: OwnAgent, ask: Ask, gateway: Running) -> Done:
    """Forget an agent, keeping its history; it is no longer watched, and later calls answer 410."""
    done = await ask(DeleteAgent(agent_id=agent.state.agent_id, client_id=agent.state.client_id))
    await say_goodbye(agent, done.revision, gateway)
    return Done()


@routes.post("/api/agents/{agent_id}/shutdown", operation_id="shut_down_agent")
@open_to(AGENTS)
async def shut_down_agent(
    agent: OwnAgent,
    ask: AskOnce,
    gateway: Running,
    body: ShutdownBody | None = None,
    x_instance_id: NamedInstance = None,
) -> Done:
    """Say goodbye: the agent is no longer watched and its silence raises no alarm."""
    done = await ask(
        ShutDownAgent(
            agent_id=agent.state.agent_id,
            client_id=agent.state.client_id,
            # The registry fences whom the view takes for the primary; others are refused already.
            instance_id=None if ask.refused else x_instance_id,
            reason=None if body is None else body.reason,
        )
    )
    await say_goodbye(agent, done.revision, gateway)
    return Done()


async def _with_presence(
    agents: Sequence[AgentDetail], client_id: UUID, ask: Asking, gateway: Running, out: Response
) -> list[AgentDetail]:
    """The agents with the moment each was last heard of, as its owner knows it.

    If that owner stays silent, the registry's word stands, which lags behind; `X-As-Of` tells.
    """
    heard = {agent.agent_id: agent.last_heartbeat_at for agent in agents}
    try:
        answer: PresenceAnswer = await ask(
            GetPresence(client_id=client_id, agent_ids=list(heard)),
            timeout_seconds=gateway.settings.presence_timeout_seconds,
        )
    except (NoAnswer, BusUnavailable):
        as_of = max((at for at in heard.values() if at is not None), default=None)
    else:
        as_of = answer.as_of
        heard.update({one.agent_id: one.last_heartbeat_at for one in answer.items})
    if as_of is not None:
        out.headers["X-As-Of"] = rfc3339(as_of)
    return [
        agent.model_copy(update={"last_heartbeat_at": heard[agent.agent_id]}) for agent in agents
    ]
