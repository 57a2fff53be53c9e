"""Agents as commands know them: the lock of each, its newest state, what is due when."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.envelope import partition_for
from chassis.query import AT, LIMIT, Connection, Query, given, given_all, named
from commands.store.rows import AGENT, PARTITIONS, Row, of_agent
from commands.tables import agent_contexts
from spotkeeper_contracts.agents import AgentState

_context = select(agent_contexts)
_LOCK = Query(_context.where(of_agent(agent_contexts)).with_for_update())
_unknown = ("highest_priority", "due_at", "last_rebalance_recommendation_at")
_told = insert(agent_contexts).values(given_all(agent_contexts, but=_unknown))
# What is learned of an agent stays true although the request that told it is refused.
_ADVANCE = Query(
    _told.on_conflict_do_update(
        index_elements=["agent_id"],
        set_={name: _told.excluded[name] for name in ("revision", "state", "moved_at")},
        where=agent_contexts.c.revision < _told.excluded.revision,
    ).returning(*agent_contexts.c),
    kept_if_refused=True,
)
_SETTLE = Query(
    update(agent_contexts)
    .where(agent_contexts.c.agent_id == AGENT)
    .values(given(agent_contexts, "queue_revision", "deliverable", "highest_priority", "due_at"))
)
_LOOK_AGAIN = Query(
    update(agent_contexts)
    .where(agent_contexts.c.agent_id == AGENT)
    .values(due_at=func.least(agent_contexts.c.due_at, AT))
)
_POSTPONE = Query(
    update(agent_contexts).where(agent_contexts.c.agent_id == AGENT).values(due_at=AT)
)
_REBALANCE = Query(
    update(agent_contexts)
    .where(agent_contexts.c.agent_id == AGENT)
    .values(last_rebalance_recommendation_at=AT)
)
_DUE = Query(
    _context.where(
        agent_contexts.c.partition == PARTITIONS,
        agent_contexts.c.due_at <= AT,
    )
    .order_by(agent_contexts.c.due_at)
    .limit(LIMIT)
    .with_for_update(skip_locked=True)
)


async def for_update(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """What is known of the agent, locked until the transaction ends."""
    return await _LOCK.row(db, agent_id=agent_id, client_id=client_id)


async def advance(db: Connection, state: AgentState, *, moved_at: datetime | None) -> Row | None:
    """Keep a state of the agent, and return what is known now; None if it is not the newest."""
    return await _ADVANCE.row(
        db,
        **named(
            {
                "agent_id": state.agent_id,
                "client_id": state.client_id,
                "partition": partition_for(state.key),
                "revision": state.revision,
                "state": state,
                "moved_at": moved_at,
                "queue_revision": 0,
                "deliverable": 0,
            }
        ),
    )


async def settle(
    db: Connection,
    agent_id: UUID,
    *,
    queue_revision: int,
    deliverable: int,
    highest_priority: int | None,
    due_at: datetime | None,
) -> None:
    """Keep what was told of the agent's queue, and when to look at the agent again."""
    await _SETTLE.run(
        db,
        agent_id=agent_id,
        **named(
            {
                "queue_revision": queue_revision,
                "deliverable": deliverable,
                "highest_priority": highest_priority,
                "due_at": due_at,
            }
        ),
    )


async def look_again(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """Look at the agent then, if not before."""
    await _LOOK_AGAIN.run(db, agent_id=agent_id, at=at)


async def postpone(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """Look at the agent then, and not before."""
    await _POSTPONE.run(db, agent_id=agent_id, at=at)


async def note_rebalance(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """AWS recommended to leave the agent's instance."""
    await _REBALANCE.run(db, agent_id=agent_id, at=at)


async def due(
    db: Connection, partitions: Sequence[int], *, at: datetime, limit: int
) -> Sequence[Row]:
    """Agents of these partitions whom the clock concerns now, locked, the longest due first."""
    return await _DUE.rows(db, partitions=list(partitions), at=at, limit=limit)
