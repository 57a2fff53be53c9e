"""Agents as operators see them: one, a page, an audit trail, and how an agent ends."""

from chassis.pages import Pages, fitting
from chassis.transaction import Tx
from registry import rules
from registry.handlers.found import agent_of, agent_to_change
from registry.handlers.telling import note, publish_state
from registry.store import agents, moves, trail
from registry.store.states import Row, detail_of, state_of
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentDeleted,
    AgentPage,
    AgentShutDown,
    DeleteAgent,
    EventPage,
    GetAgent,
    HeartbeatKept,
    KeepHeartbeat,
    ListAgents,
    ListEvents,
    ShutDownAgent,
    SystemEvent,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.values import AgentStatus

AGENTS = Pages("agents", at="registered_at")
EVENTS = Pages("events", at="created_at")


async def get_agent(request: GetAgent, tx: Tx) -> AgentAnswer:
    """One agent as it stands now."""
    agent = await agent_of(request, tx)
    return AgentAnswer(detail=detail_of(agent), state=state_of(agent))


async def list_agents(request: ListAgents, tx: Tx) -> AgentPage:
    """A page of a client's agents, the one registered last first."""
    rows = await agents.page(
        tx.db,
        request.client_id,
        status=request.status,
        region=request.region,
        q=request.q,
        before=AGENTS.position(request.cursor),
        limit=request.limit + 1,
    )
    items = [detail_of(row) for row in rows[: request.limit]]
    return AgentPage(items=items, next_cursor=AGENTS.next_cursor(rows, shown=len(items)))


async def delete_agent(request: DeleteAgent, tx: Tx) -> Done:
    """Forget an agent but for its history; a registration revives it."""
    await agent_to_change(request, tx)
    await moves.close_all(tx.db, request.agent_id)
    agent = await agents.delete(tx.db, request.agent_id, at=tx.now)
    name = agent["logical_agent_id"]
    await note(agent, tx, "agent_deleted", f"Agent {name} was deleted", severity="warning")
    tx.emit(AgentDeleted(agent_id=request.agent_id, client_id=request.client_id, at=tx.now))
    return Done(revision=publish_state(agent, tx))


async def shut_down_agent(request: ShutDownAgent, tx: Tx) -> Done:
    """Take an agent's goodbye: it is no longer watched."""
    agent = await agent_to_change(request, tx)
    if not rules.may_act(request.instance_id, primary_id=agent["instance_id"]):
        raise Refused("NOT_PRIMARY", "The instance is not the agent's primary", 409)
    status = AgentStatus.STOPPING
    agent = await agents.set_status(tx.db, request.agent_id, status.value, at=tx.now)
    name, reason = agent["logical_agent_id"], request.reason
    await note(agent, tx, "agent_shut_down", f"Agent {name} said goodbye", reason=reason)
    tx.emit(
        AgentShutDown(
            agent_id=request.agent_id, client_id=request.client_id, reason=reason, at=tx.now
        )
    )
    return Done(revision=publish_state(agent, tx))


async def keep_heartbeat(request: KeepHeartbeat, tx: Tx) -> HeartbeatKept:
    """Keep what the gateway answers to a heartbeat: the inbox gives it again to a repeat."""
    return HeartbeatKept(
        commands_pending=request.commands_pending, config_version=request.config_version
    )


async def list_events(request: ListEvents, tx: Tx) -> EventPage:
    """A page of an agent's audit trail, newest first."""
    await agent_of(request, tx)
    rows = await trail.page(
        tx.db,
        request.agent_id,
        request.client_id,
        before=EVENTS.position(request.cursor),
        limit=request.limit + 1,
    )
    events = fitting(
        [
            SystemEvent(event_id=row["id"], timestamp=row["created_at"], **_told(row))
            for row in rows[: request.limit]
        ]
    )
    return EventPage(items=events, next_cursor=EVENTS.next_cursor(rows, shown=len(events)))


def _told(row: Row) -> Row:
    return {name: row[name] for name in ("event_type", "severity", "message", "actor", "data")}
