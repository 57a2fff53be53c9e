"""What is forgotten, and which old prices are thinned out; a limited number of rows at a time."""

from collections.abc import Mapping
from datetime import datetime, timedelta

from sqlalchemy import delete, func, literal_column, select, true, tuple_

from chassis.query import BEFORE, LIMIT, SINCE, Connection, Query
from decision.tables import agent_decision_history, pool_events, pool_prices, pool_stays

THIN_AFTER = timedelta(days=2)
"""Of prices older than this the last of each hour is kept: volatility counts hourly steps."""
THIN_FOR = timedelta(days=1)
"""For so long they are looked at. What a service that was away for longer left, or who told of late
prices, stays as it is until it is forgotten: it costs room, and nothing else."""
SAME_AFTER = timedelta(minutes=1)
"""Of prices older than this, one that says what the one before it said within the hour goes."""
SAME_FOR = timedelta(hours=3)
"""For so long they are looked at."""

_pool = (pool_prices.c.client_id, pool_prices.c.pool_group, pool_prices.c.pool_id)
_key = (*_pool, pool_prices.c.at)
_later = pool_prices.alias("later")
_earlier = pool_prices.alias("earlier")
_same_pool = [_later.c[column.name] == column for column in _pool]
_hour = func.date_trunc("hour", pool_prices.c.at, "UTC")
_FORGET = {
    "prices": Query(
        delete(pool_prices).where(
            tuple_(*_key).in_(
                select(*_key)
                .where(
                    pool_prices.c.at < SINCE,
                    # The newest price of a pool is known however old it is.
                    select(_later.c.at).where(*_same_pool, _later.c.at > pool_prices.c.at).exists(),
                )
                .limit(LIMIT)
            )
        )
    ),
    "events": Query(
        delete(pool_events).where(
            tuple_(*pool_events.primary_key.columns).in_(
                select(*pool_events.primary_key.columns)
                .where(pool_events.c.at < SINCE)
                .limit(LIMIT)
            )
        )
    ),
    "stays": Query(
        delete(pool_stays).where(
            pool_stays.c.id.in_(
                select(pool_stays.c.id).where(pool_stays.c.ended_at < SINCE).limit(LIMIT)
            )
        )
    ),
    "decisions": Query(
        delete(agent_decision_history).where(
            agent_decision_history.c.id.in_(
                select(agent_decision_history.c.id)
                .where(agent_decision_history.c.decided_at < SINCE)
                .limit(LIMIT)
            )
        )
    ),
}
_THIN = Query(
    delete(pool_prices).where(
        tuple_(*_key).in_(
            select(*_key)
            .where(
                pool_prices.c.at >= SINCE,
                pool_prices.c.at < BEFORE,
                select(_later.c.at)
                .where(
                    *_same_pool,
                    _later.c.at > pool_prices.c.at,
                    _later.c.at < _hour + literal_column("interval '1 hour'"),
                )
                .exists(),
            )
            .limit(LIMIT)
        )
    )
)
_before_it = (
    select(_earlier)
    .where(
        *(_earlier.c[column.name] == column for column in _pool),
        _earlier.c.at < pool_prices.c.at,
        _earlier.c.at >= _hour,
    )
    .order_by(_earlier.c.at.desc())
    .limit(1)
    .lateral("before_it")
)
_ondemand = pool_prices.c.ondemand_usd_per_hour
_THIN_SAME = Query(
    delete(pool_prices).where(
        tuple_(*_key).in_(
            select(*_key)
            .join(_before_it, true())
            .where(
                pool_prices.c.at >= SINCE,
                pool_prices.c.at < BEFORE,
                pool_prices.c.price_usd_per_hour == _before_it.c.price_usd_per_hour,
                _ondemand.is_(None) | (_ondemand == _before_it.c.ondemand_usd_per_hour),
                # The newest price of a pool says how lately somebody knew it.
                select(_later.c.at).where(*_same_pool, _later.c.at > pool_prices.c.at).exists(),
            )
            .limit(LIMIT)
        )
    )
)


async def forget(db: Connection, before: Mapping[str, datetime], *, limit: int) -> int:
    """Forget rows older than each table's moment; how many."""
    count = 0
    for table, moment in before.items():
        count += await _FORGET[table].run(db, since=moment, limit=limit)
    return count


async def thin_prices(db: Connection, *, at: datetime, limit: int) -> int:
    """Keep one price an hour of those that are old; how many went."""
    before = at - THIN_AFTER
    return await _THIN.run(db, since=before - THIN_FOR, before=before, limit=limit)


async def thin_same_prices(db: Connection, *, at: datetime, limit: int) -> int:
    """Keep one of the prices that say the same within an hour; how many went.

    Whatever price was in force at any moment is so afterwards, however many agents report it.
    """
    before = at - SAME_AFTER
    return await _THIN_SAME.run(db, since=before - SAME_FOR, before=before, limit=limit)
