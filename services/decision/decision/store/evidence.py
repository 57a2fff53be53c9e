"""Evidence: interruptions, and the hours that the fleet's instances ran, per pool and window."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ColumnElement,
    Float,
    Subquery,
    Text,
    and_,
    bindparam,
    case,
    cast,
    extract,
    func,
    literal_column,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, SINCE, Connection, Query, given, given_all, named
from decision.features import HISTORY_HOURS, WINDOW_HOURS
from decision.store.rows import AGENT, CLIENT, Row, of_agent, of_groups
from decision.tables import pool_events, pool_stays, pools

_INSTANCE = bindparam("instance_id", type_=Text)
NOTICES = [f"notices_{hours:.0f}_h" for hours in WINDOW_HOURS]
HOURS = [f"hours_{hours:.0f}_h" for hours in WINDOW_HOURS]
"""The columns of the windows."""


class EventKind(StrEnum):
    """What can happen to an instance in a pool; only a notice counts as an interruption."""

    NOTICE = "notice"
    REBALANCE = "rebalance"


_event = insert(pool_events).values(given_all(pool_events))
_NOTE = Query(
    _event.on_conflict_do_update(
        index_elements=["client_id", "instance_id", "kind"],
        set_={"at": func.least(pool_events.c.at, _event.excluded.at)},
    )
)
_hours_ago = [AT - literal_column(f"interval '{hours:.0f} hours'") for hours in WINDOW_HOURS]
_notices = (
    select(
        pool_events.c.pool_group,
        pool_events.c.pool_id,
        *(
            func.count(case((pool_events.c.at > ago, 1))).label(window)
            for window, ago in zip(NOTICES, _hours_ago, strict=True)
        ),
        func.max(pool_events.c.at).label("noticed_at"),
    )
    .where(
        of_groups(pool_events),
        pool_events.c.kind == EventKind.NOTICE.value,
        pool_events.c.at > SINCE,
        pool_events.c.at <= AT,
    )
    .group_by(pool_events.c.pool_group, pool_events.c.pool_id)
    .subquery("notices")
)
_end = func.least(func.coalesce(pool_stays.c.ended_at, AT), AT)
_hours = (
    select(
        pool_stays.c.pool_group,
        pool_stays.c.pool_id,
        *(
            func.sum(
                func.greatest(
                    cast(
                        extract("epoch", _end - func.greatest(pool_stays.c.started_at, ago)), Float
                    ),
                    0.0,
                )
                / 3600.0
            ).label(window)
            for window, ago in zip(HOURS, _hours_ago, strict=True)
        ),
    )
    .where(
        of_groups(pool_stays),
        pool_stays.c.started_at <= AT,
        pool_stays.c.ended_at.is_(None) | (pool_stays.c.ended_at > SINCE),
    )
    .group_by(pool_stays.c.pool_group, pool_stays.c.pool_id)
    .subquery("hours")
)


def _seen_of(seen: Subquery, names: Sequence[str]) -> list[ColumnElement[Any]]:
    return [func.coalesce(seen.c[name], 0).label(name) for name in names]


def _of_pool(seen: Subquery) -> ColumnElement[bool]:
    return (seen.c.pool_group == pools.c.pool_group) & (seen.c.pool_id == pools.c.pool_id)


_KNOWN = Query(
    select(pools, *_seen_of(_notices, NOTICES), _notices.c.noticed_at, *_seen_of(_hours, HOURS))
    .select_from(pools.outerjoin(_notices, _of_pool(_notices)).outerjoin(_hours, _of_pool(_hours)))
    .where(of_groups(pools))
)
_OPEN_STAY = Query(select(pool_stays).where(of_agent(pool_stays), pool_stays.c.ended_at.is_(None)))
_END_STAY = Query(
    update(pool_stays)
    .where(pool_stays.c.agent_id == AGENT, pool_stays.c.ended_at.is_(None))
    .values(ended_at=func.greatest(pool_stays.c.started_at, AT)),
    kept_if_refused=True,  # Like the agent's state itself, it is learned and not decided.
)
_BEGIN_STAY = Query(
    insert(pool_stays).values(
        given(
            pool_stays,
            *("id", "client_id", "agent_id", "instance_id", "pool_group", "pool_id", "started_at"),
        )
    ),
    kept_if_refused=True,
)
_STAY_OF = Query(
    select(pool_stays)
    .where(and_(pool_stays.c.client_id == CLIENT, pool_stays.c.instance_id == _INSTANCE))
    .order_by(pool_stays.c.started_at.desc())
    .limit(1)
)
_IS_NOTICED = Query(
    select(pool_events.c.at).where(
        pool_events.c.client_id == CLIENT,
        pool_events.c.instance_id == _INSTANCE,
        pool_events.c.kind == EventKind.NOTICE.value,
    )
)


async def note(
    db: Connection,
    kind: EventKind,
    *,
    client_id: UUID,
    agent_id: UUID,
    instance_id: str,
    group: str,
    pool_id: str,
    at: datetime,
) -> None:
    """Keep that something happened to an instance; of two tellings the earlier moment counts."""
    told = {
        "client_id": client_id,
        "agent_id": agent_id,
        "instance_id": instance_id,
        "kind": kind.value,
        "pool_group": group,
        "pool_id": pool_id,
        "at": at,
    }
    await _NOTE.run(db, **named(told))


async def known_pools(
    db: Connection, client_id: UUID, groups: Sequence[str], *, at: datetime
) -> Sequence[Row]:
    """The pools of these groups, with what was seen of them in each window before a moment.

    `NOTICES` are interruptions, `HOURS` the hours that instances ran; `noticed_at` is the moment of
    the last interruption.
    """
    since = at - timedelta(hours=HISTORY_HOURS)
    return await _KNOWN.rows(db, client_id=client_id, groups=list(groups), at=at, since=since)


async def open_stay(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """The pool that the agent's instance is in."""
    return await _OPEN_STAY.row(db, agent_id=agent_id, client_id=client_id)


async def end_stay(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """The agent's instance runs there no more."""
    await _END_STAY.run(db, agent_id=agent_id, at=at)


async def begin_stay(
    db: Connection,
    *,
    id: UUID,
    client_id: UUID,
    agent_id: UUID,
    instance_id: str,
    group: str,
    pool_id: str,
    at: datetime,
) -> None:
    """The agent's instance runs there from now on."""
    told = {
        "id": id,
        "client_id": client_id,
        "agent_id": agent_id,
        "instance_id": instance_id,
        "pool_group": group,
        "pool_id": pool_id,
        "started_at": at,
    }
    await _BEGIN_STAY.run(db, **named(told))


async def stay_of(db: Connection, client_id: UUID, instance_id: str) -> Row | None:
    """The pool that an instance was in at last."""
    return await _STAY_OF.row(db, client_id=client_id, instance_id=instance_id)


async def is_noticed(db: Connection, client_id: UUID, instance_id: str) -> bool:
    """Whether AWS took, or takes, an instance away."""
    return await _IS_NOTICED.row(db, client_id=client_id, instance_id=instance_id) is not None
