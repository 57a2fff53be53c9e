"""The agent that a message speaks of, locked, as the newest of all that was told of it."""

from dataclasses import dataclass, replace
from datetime import datetime
from uuid import UUID

from chassis.transaction import Tx
from commands.rules.savings import SETTLE_AFTER
from commands.store import contexts, switches
from commands.store.rows import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentRequest, AgentState


@dataclass(frozen=True, slots=True)
class Held:
    """An agent that is locked until the transaction ends.

    `has_moved` tells that this message brings the news that it lives on another instance.
    """

    row: Row
    state: AgentState
    has_moved: bool = False

    @property
    def id(self) -> UUID:
        """The agent's id."""
        return self.state.agent_id

    @property
    def client_id(self) -> UUID:
        """The client that the agent belongs to."""
        return self.state.client_id


def held(row: Row) -> Held:
    """The agent in a locked row."""
    return Held(row, AgentState.model_validate(row["state"]))


async def known_agent(agent_id: UUID, client_id: UUID, tx: Tx) -> Held | None:
    """An agent that was told of before."""
    row = await contexts.for_update(tx.db, agent_id, client_id)
    return None if row is None else held(row)


async def agent_as_told(state: AgentState, tx: Tx) -> Held:
    """The agent, by this state or by a newer one; where it has moved, its stay has ended."""
    known = await contexts.for_update(tx.db, state.agent_id, state.client_id)
    former, has_moved = known, False
    if known is None or known["revision"] < state.revision:
        moved_at = None if former is None else await _leave(former, state, tx)
        known = await contexts.advance(tx.db, state, moved_at=moved_at)
        has_moved = former is not None and _has_moved(former, state)
        if known is None:  # Another transaction made the row known in between.
            known = await contexts.for_update(tx.db, state.agent_id, state.client_id)
    assert known is not None, f"agent {state.agent_id} belongs to another client"
    return replace(held(known), has_moved=has_moved)


async def _leave(former: Row, state: AgentState, tx: Tx) -> datetime | None:
    """End what ends with a new state; when the agent moved last, or ceased to live anywhere."""
    moved_at: datetime | None = former["moved_at"]
    before, home = held(former).state, home_of(state)
    moves, ends = home_of(before) != home, state.deleted and not before.deleted
    if moves:
        moved_at = tx.told_at
        await switches.end_stays(tx.db, state.agent_id, at=moved_at, unless_on=home)
    if ends:
        await switches.lose_agent(tx.db, state.agent_id, at=tx.told_at)
    if moves or ends:
        await switches.meter_all(tx.db, state.agent_id, at=tx.now + SETTLE_AFTER)
    return moved_at


def home_of(state: AgentState) -> str | None:
    """The instance that the agent lives on, if it lives."""
    return None if state.deleted else state.instance_id


def _has_moved(former: Row, state: AgentState) -> bool:
    """Whether it lives elsewhere now; one whose instance AWS took may have switched as well."""
    is_there = home_of(state) is not None
    return is_there and bool(former["state"]["instance_id"] != state.instance_id)


async def agent_to_change(request: AgentRequest, tx: Tx) -> Held:
    """The agent that a request is about; raises `Refused` with 410 if it was deleted."""
    agent = await agent_as_told(request.agent, tx)
    if agent.state.deleted:
        raise Refused("AGENT_DELETED", "The agent was deleted", 410)
    return agent
