"""What the heartbeat service says of agents, taken over into their status."""

from chassis.transaction import Tx
from registry.handlers.telling import note, publish_state
from registry.store import presence as store
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentWentOffline,
)


async def agent_came_online(event: AgentCameOnline, tx: Tx) -> None:
    """An agent that was silent is heard again."""
    await _take_over(event, tx, "agent_online", "The agent is heard")


async def agent_reported_change(event: AgentReportedChange, tx: Tx) -> None:
    """An agent tells another status, mode, pool or version."""
    await _take_over(event, tx, "agent_changed", f"The agent reports {event.status}")


async def agent_went_offline(event: AgentWentOffline, tx: Tx) -> None:
    """An agent is silent for too long: its client is told."""
    agent = await store.go_offline(
        tx.db, event.agent_id, event.client_id, heard_at=event.last_heartbeat_at, at=event.at
    )
    if agent is None:
        return
    seconds = round(event.silent_seconds)
    text = f"Agent {agent['logical_agent_id']} has been silent for {seconds} s"
    await note(
        agent,
        tx,
        "agent_offline",
        text,
        severity="warning",
        notify=True,
        silent_seconds=seconds,
    )
    publish_state(agent, tx)


async def _take_over(
    event: AgentCameOnline | AgentReportedChange, tx: Tx, event_type: str, text: str
) -> None:
    agent = await store.report(
        tx.db,
        event.agent_id,
        event.client_id,
        status=event.status.value,
        mode=event.current_mode and event.current_mode.value,
        pool=event.current_pool_id,
        version=event.agent_version,
        heard_at=event.last_heartbeat_at,
    )
    if agent is None:
        return
    fields = {"status", "current_mode", "current_pool_id", "agent_version"}
    told = event.model_dump(mode="json", include=fields, exclude_none=True)
    await note(agent, tx, event_type, text, **told)
    publish_state(agent, tx)
