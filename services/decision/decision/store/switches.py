"""Executed switches: what counts towards the limits, and what decisions promised of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Uuid, bindparam, case, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, SINCE, Connection, Query, given, given_all, named
from decision.choices import Move
from decision.store.rows import Row, of_agent
from decision.tables import switch_outcomes

WEEK = timedelta(days=7)

_LEARNED_LATER = ("realised_savings_per_hour", "realised_savings", "metered_hours")
_SAVE = Query(
    insert(switch_outcomes)
    .values(given_all(switch_outcomes, but=_LEARNED_LATER))
    .on_conflict_do_nothing()
)
_METER = Query(
    update(switch_outcomes)
    .where(switch_outcomes.c.switch_id == bindparam("of_switch", type_=Uuid))
    .values(given(switch_outcomes, "realised_savings", "metered_hours"))
)
_is_planned = switch_outcomes.c.kind == Move.PLANNED.value
_RECENT = Query(
    select(
        func.count(case((_is_planned & (switch_outcomes.c.completed_at > SINCE), 1))).label(
            "planned_within_a_week"
        ),
        func.max(switch_outcomes.c.completed_at).label("last_at"),
    ).where(of_agent(switch_outcomes), switch_outcomes.c.completed_at <= AT)
)


async def save(db: Connection, **columns: Any) -> bool:
    """Keep a switch; whether it was not known before."""
    return await _SAVE.run(db, **named(columns)) == 1


async def meter(db: Connection, switch_id: UUID, *, realised_savings: float, hours: float) -> None:
    """Keep what a switch has brought in USD, and for how many hours, by what is told last.

    That may be less than before: where it ended is sometimes heard of after it was metered.
    """
    told = {"realised_savings": realised_savings, "metered_hours": hours}
    await _METER.run(db, of_switch=switch_id, **named(told))


async def recent(db: Connection, agent_id: UUID, client_id: UUID, *, at: datetime) -> Row:
    """How many of an agent's switches were `planned_within_a_week`, and when its last one was.

    The last one may be of any kind: whatever brought an instance to its pool, it begins anew there.
    """
    since = at - WEEK
    rows: Sequence[Row] = await _RECENT.rows(
        db, agent_id=agent_id, client_id=client_id, at=at, since=since
    )
    return rows[0]
