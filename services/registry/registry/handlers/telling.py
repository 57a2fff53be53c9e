"""How the registry leaves word: a line in the audit trail, a notification, the new state."""

from typing import Any

from chassis.transaction import Tx
from registry.store import trail
from registry.store.states import Row, state_of
from spotkeeper_contracts.configs import AgentConfig, AgentConfigChanged


def publish_state(agent: Row, tx: Tx) -> int:
    """Let everyone know the agent's new state; returns its revision."""
    state = state_of(agent)
    tx.emit(state)
    return state.revision


def config_changed(agent: Row, config: AgentConfig, tx: Tx) -> AgentConfigChanged:
    """The news that an agent's config has a new version."""
    return AgentConfigChanged(
        agent_id=agent["id"],
        client_id=agent["client_id"],
        config=config,
        changed_by=tx.actor,
        at=tx.now,
    )


async def note(
    agent: Row,
    tx: Tx,
    event_type: str,
    message: str,
    *,
    severity: str = "info",
    notify: bool = False,
    **data: Any,
) -> None:
    """Write a line in the agent's audit trail; with `notify`, the client is told of it too."""
    await trail.add_event(
        tx.db,
        notification_id=tx.new_id() if notify else None,
        id=tx.new_id(),
        client_id=agent["client_id"],
        agent_id=agent["id"],
        event_type=event_type,
        severity=severity,
        message=message,
        actor=tx.actor,
        data=data,
        created_at=tx.now,
    )
