"""Executed switches: what counts towards the limits, and what decisions promised of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import case, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.query import Connection, Query
from decision.choices import Move
from decision.store.rows import AT, SINCE, Row, given, named, of_agent
from decision.tables import switch_outcomes

WEEK = timedelta(days=7)

_SAVE = Query(
    insert(switch_outcomes)
    .values(given(switch_outcomes, *switch_outcomes.c.keys()))
    .on_conflict_do_nothing()
)
_PLANNED = Query(
    select(
        func.count(case((switch_outcomes.c.completed_at > SINCE, 1))).label("within_a_week"),
        func.max(switch_outcomes.c.completed_at).label("last_at"),
    ).where(
        of_agent(switch_outcomes),
        switch_outcomes.c.kind == Move.PLANNED.value,
        switch_outcomes.c.completed_at <= AT,
    )
)


async def save(db: Connection, **columns: Any) -> bool:
    """Keep a switch; whether it was not known before."""
    return await _SAVE.run(db, **named(columns)) == 1


async def planned(db: Connection, agent_id: UUID, client_id: UUID, *, at: datetime) -> Row:
    """An agent's planned switches: how many `within_a_week`, and the last one's moment."""
    since = at - WEEK
    rows: Sequence[Row] = await _PLANNED.rows(
        db, agent_id=agent_id, client_id=client_id, at=at, since=since
    )
    return rows[0]
