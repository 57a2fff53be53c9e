"""The agent that a message speaks of, as the newest of all that was told of it."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from chassis.transaction import Tx
from decision.places import Place, place_of
from decision.store import contexts, evidence, pools
from decision.store.rows import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentRequest, AgentState
from spotkeeper_contracts.values import AgentStatus, PurchaseMode

NOTICE_HOLDS = timedelta(minutes=10)
"""For so long a notice of termination, which comes two minutes before, keeps an agent away."""
REBALANCE_HOLDS = timedelta(hours=1)
GONE = (AgentStatus.OFFLINE, AgentStatus.STOPPING)


@dataclass(frozen=True, slots=True)
class Known:
    """An agent, with what happened to it; `row` is None if nothing did that was kept."""

    row: Row | None
    state: AgentState

    @property
    def id(self) -> UUID:
        """The agent's id."""
        return self.state.agent_id

    @property
    def client_id(self) -> UUID:
        """The client that the agent belongs to."""
        return self.state.client_id

    @property
    def is_recovering(self) -> bool:
        """Whether an interruption threw it out of spot and it has not been back since."""
        return bool(self.row and self.row["recovering"])

    def is_interrupted(self, now: datetime) -> bool:
        """Whether its instance was given notice."""
        return self._happened("noticed", NOTICE_HOLDS, now)

    def has_rebalance(self, now: datetime) -> bool:
        """Whether AWS recommended to leave, not long ago."""
        return self._happened("rebalance", REBALANCE_HOLDS, now)

    @property
    def registered_at(self) -> dict[str, str | None]:
        """Where it runs by what the registry tells."""
        state = self.state
        return {
            "instance_id": state.instance_id,
            "mode": state.current_mode.value,
            "pool_id": state.current_pool_id,
        }

    @property
    def told(self) -> dict[str, Any] | None:
        """What its last decide request told, unless the registry has told of a move since."""
        told: dict[str, Any] | None = self.row["told"] if self.row else None
        return told if told and told["registered_at"] == self.registered_at else None

    def told_anew(self, told: Mapping[str, Any]) -> "Known":
        """The same agent after a decide request that told this."""
        return Known({**(self.row or {}), "told": told}, self.state)

    @property
    def pool_id(self) -> str | None:
        """The spot pool that it runs in, by all that is known; None on demand."""
        if self.told is not None:
            pool_id: str | None = self.told["pool_id"]
            return pool_id
        is_spot = self.state.current_mode is PurchaseMode.SPOT
        return self.state.current_pool_id if is_spot else None

    def uptime_hours(self, now: datetime) -> float | None:
        """For how long its instance runs, if a decide request told."""
        if self.told is None:
            return None
        since = datetime.fromisoformat(self.told["running_since"])
        return max(0.0, (now - since) / timedelta(hours=1))

    def place_of(self, pool_id: str) -> Place:
        """Where a pool lies that the agent speaks of; its own lies in its own zone."""
        state = self.state
        place = place_of(pool_id, instance_type=state.instance_type, region=state.region)
        if place.az is None and pool_id == state.current_pool_id:
            return place._replace(az=state.az)
        return place

    def _happened(self, what: str, holds: timedelta, now: datetime) -> bool:
        if self.row is None or self.row[f"{what}_at"] is None:
            return False
        same = self.row[f"{what}_instance_id"] == self.state.instance_id
        return bool(same and now - self.row[f"{what}_at"] < holds)


async def known_agent(agent_id: UUID, client_id: UUID, tx: Tx) -> Known | None:
    """An agent that was told of before, locked."""
    row = await contexts.for_update(tx.db, agent_id, client_id)
    return None if row is None else Known(row, AgentState.model_validate(row["state"]))


async def agent_as_told(state: AgentState, tx: Tx) -> Known:
    """The agent, locked, by this state or by a newer one."""
    known = await known_agent(state.agent_id, state.client_id, tx)
    if known is None or known.state.revision < state.revision:
        row = await contexts.advance(tx.db, state)
        if row is None:  # Another transaction made the row known in between.
            known = await known_agent(state.agent_id, state.client_id, tx)
        else:
            if known is not None and _type_of(known.state) != _type_of(state):
                # Other instances of its kind have another on-demand price.
                await contexts.change(tx.db, state.agent_id, ondemand_price=None)
                row = {**row, "ondemand_price": None}
            known = Known(row, state)
            await follow(known, tx)
    assert known is not None, f"agent {state.agent_id} belongs to another client"
    return known


async def agent_to_change(request: AgentRequest, tx: Tx) -> Known:
    """The agent that a request is about, locked; raises `Refused` with 410 if it was deleted."""
    agent = await agent_as_told(request.agent, tx)
    return _existing(agent)


async def agent_to_read(request: AgentRequest, tx: Tx) -> Known:
    """The agent that a question is about; nothing is kept. Raises `Refused` as above."""
    row = await contexts.context(tx.db, request.agent_id, request.client_id)
    state = request.agent
    if row is not None and row["revision"] > state.revision:
        state = AgentState.model_validate(row["state"])
    return _existing(Known(row, state))


def _type_of(state: AgentState) -> tuple[str | None, str | None]:
    return state.instance_type, state.region


def _existing(agent: Known) -> Known:
    if agent.state.deleted:
        raise Refused("AGENT_DELETED", "The agent was deleted", 410)
    return agent


async def follow(agent: Known, tx: Tx) -> None:
    """Note which instance runs in which spot pool, by all that is known, and since when."""
    state, pool_id = agent.state, agent.pool_id
    runs = state.instance_id is not None and not state.deleted and state.status not in GONE
    stay = await evidence.open_stay(tx.db, agent.id, agent.client_id)
    there = (state.instance_id, pool_id) if runs and pool_id is not None else None
    if there == (stay and (stay["instance_id"], stay["pool_id"])):
        return
    if stay is not None:
        await evidence.end_stay(tx.db, agent.id, at=tx.now)
    if there is None:
        return
    assert state.instance_id is not None
    assert pool_id is not None
    place = agent.place_of(pool_id)
    await pools.add(tx.db, agent.client_id, {pool_id: place}, at=tx.now)
    await evidence.begin_stay(
        tx.db,
        id=tx.new_id(),
        client_id=agent.client_id,
        agent_id=agent.id,
        instance_id=state.instance_id,
        group=place.group,
        pool_id=pool_id,
        at=tx.now,
    )
