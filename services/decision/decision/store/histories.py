"""The prices that pools are rated by: as far back as features look, and what is known of before."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Text, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by
from sqlalchemy.sql.elements import ColumnElement

from chassis.query import AT, SINCE, Connection, Query
from decision.store.rows import CLIENT, Row
from decision.tables import pool_prices

_pool = (
    func.unnest(bindparam("groups", type_=ARRAY(Text)), bindparam("ids", type_=ARRAY(Text)))
    .table_valued("pool_group", "pool_id", name="pool")
    .render_derived()
)
_other = pool_prices.alias("other")


def _is_of_pool(prices: Any) -> ColumnElement[bool]:
    return and_(
        prices.c.client_id == CLIENT,
        prices.c.pool_group == _pool.c.pool_group,
        prices.c.pool_id == _pool.c.pool_id,
        prices.c.at <= AT,
    )


_first_at = select(func.min(_other.c.at)).where(_is_of_pool(_other))
_in_force_at = select(func.max(_other.c.at)).where(_is_of_pool(_other), _other.c.at <= SINCE)
_ondemand = (
    select(_other.c.ondemand_usd_per_hour)
    .where(_is_of_pool(_other), _other.c.ondemand_usd_per_hour.is_not(None))
    .order_by(_other.c.at.desc())
    .limit(1)
)
_begins_at = func.coalesce(_in_force_at.correlate(_pool).scalar_subquery(), SINCE)
_read = (
    select(
        func.array_agg(aggregate_order_by(pool_prices.c.at, pool_prices.c.at)).label("moments"),
        func.array_agg(
            aggregate_order_by(pool_prices.c.price_usd_per_hour, pool_prices.c.at)
        ).label("prices"),
    )
    .where(_is_of_pool(pool_prices), pool_prices.c.at >= _begins_at)
    .correlate(_pool)
    .lateral("read")
)
_PRICES = Query(
    select(
        *_pool.c,
        *_read.c,
        _first_at.correlate(_pool).scalar_subquery().label("first_at"),
        _ondemand.correlate(_pool).scalar_subquery().label("ondemand_usd_per_hour"),
    )
    .select_from(_pool)
    .join(_read, _read.c.moments.is_not(None))
)


async def prices_of(
    db: Connection,
    client_id: UUID,
    pools: Sequence[tuple[str, str]],
    *,
    since: datetime,
    at: datetime,
) -> Sequence[Row]:
    """A row for each of these pools of a client, given by group and id, that has a price.

    `moments` and `prices` begin with the price in force at `since`, oldest first. `first_at` is
    when the first price was told, however old; the on-demand price is the last that was told.
    """
    return await _PRICES.rows(
        db,
        client_id=client_id,
        groups=[group for group, _ in pools],
        ids=[pool_id for _, pool_id in pools],
        since=since,
        at=at,
    )
