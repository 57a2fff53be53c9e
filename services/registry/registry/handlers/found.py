"""The agent that a request speaks of, or the reason why there is none."""

from typing import Protocol
from uuid import UUID

from chassis.transaction import Tx
from registry.store import agents
from registry.store.states import Row
from spotkeeper_contracts import Refused


class OfAgent(Protocol):
    """A request that concerns one agent of one client."""

    @property
    def agent_id(self) -> UUID:
        """The agent."""

    @property
    def client_id(self) -> UUID:
        """The client that it must belong to."""


async def agent_of(request: OfAgent, tx: Tx) -> Row:
    """The agent as it stands; raises `Refused` with 404, or 410 if it was deleted."""
    return _live(await agents.agent(tx.db, request.agent_id, request.client_id))


async def agent_to_change(request: OfAgent, tx: Tx) -> Row:
    """The agent, locked until the transaction ends; raises like `agent_of`."""
    return _live(await agents.agent_for_update(tx.db, request.agent_id, request.client_id))


def _live(row: Row | None) -> Row:
    if row is None:
        raise Refused("AGENT_NOT_FOUND", "Agent not found", 404)
    if row["deleted_at"] is not None:
        raise Refused("AGENT_DELETED", "The agent was deleted", 410)
    return row
