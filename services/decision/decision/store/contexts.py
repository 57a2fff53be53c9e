"""Agents as decisions know them: the lock of each, its newest state, what happened to it."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, case, cast, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, Connection, Query, given, named
from decision.store.rows import AGENT, CLIENT, Row, of_agent
from decision.tables import agent_contexts
from spotkeeper_contracts.agents import AgentState

_found = select(agent_contexts).where(of_agent(agent_contexts))
_FIND = Query(_found)
_LOCK = Query(_found.with_for_update())
_told = insert(agent_contexts).values(
    given(agent_contexts, "agent_id", "client_id", "revision", "state")
)
# What is learned of an agent stays true although the request that told it is refused.
_ADVANCE = Query(
    _told.on_conflict_do_update(
        index_elements=["agent_id"],
        set_={"revision": _told.excluded.revision, "state": _told.excluded.state},
        where=agent_contexts.c.revision < _told.excluded.revision,
    ).returning(*agent_contexts.c),
    kept_if_refused=True,
)
_of_agent = update(agent_contexts).where(agent_contexts.c.agent_id == AGENT)
_CHANGE: dict[tuple[str, ...], Query] = {
    names: Query(_of_agent.values(given(agent_contexts, *names)))
    for names in (
        ("ondemand_price",),
        ("told",),
        ("recovering",),
        ("noticed_instance_id", "noticed_at"),
        ("rebalance_instance_id", "rebalance_at"),
        ("open_command_id", "open_until"),
    )
}
_LOCK_CLIENT = Query(
    select(func.pg_advisory_xact_lock(func.hashtextextended(cast(CLIENT, Text), 0)))
)
_FLEET = Query(
    select(
        func.count().label("agents"),
        func.count(case((agent_contexts.c.open_until > AT, 1))).label("switching"),
    ).where(agent_contexts.c.client_id == CLIENT, ~agent_contexts.c.is_deleted)
)


async def context(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """What is known of the agent."""
    return await _FIND.row(db, agent_id=agent_id, client_id=client_id)


async def for_update(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """What is known of the agent, locked until the transaction ends."""
    return await _LOCK.row(db, agent_id=agent_id, client_id=client_id)


async def advance(db: Connection, state: AgentState) -> Row | None:
    """Keep a state of the agent, and return what is known now; None if it is not the newest."""
    return await _ADVANCE.row(
        db,
        **named(
            {
                "agent_id": state.agent_id,
                "client_id": state.client_id,
                "revision": state.revision,
                "state": state,
            }
        ),
    )


async def change(db: Connection, agent_id: UUID, **columns: Any) -> None:
    """Keep what happened to the agent, in the columns named."""
    await _CHANGE[tuple(columns)].run(db, agent_id=agent_id, **named(columns))


async def fleet_for_update(db: Connection, client_id: UUID, *, at: datetime) -> Row:
    """How many `agents` a client has, and how many are `switching` to save money.

    Others who ask this wait until the transaction ends.
    """
    await _LOCK_CLIENT.value(db, client_id=client_id)
    rows: Sequence[Row] = await _FLEET.rows(db, client_id=client_id, at=at)
    return rows[0]
