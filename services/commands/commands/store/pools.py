"""Pools: the latest of each, and what they cost in the past."""

from collections.abc import Collection, Mapping, Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import ARRAY, Float, Text, and_, bindparam, func, select
from sqlalchemy.dialects.postgresql import aggregate_order_by, insert
from sqlalchemy.sql.elements import ColumnElement

from chassis.query import AT, SINCE, Connection, Query, given_all, named
from commands.store.rows import CLIENT, Row
from commands.tables import pool_prices, pool_states
from spotkeeper_contracts.pools import PoolState

_pool = bindparam("pool_id", type_=Text)
_type = bindparam("instance_type", type_=Text)
_region = bindparam("region", type_=Text)

Key = tuple[str, str, str]
"""What tells a client's pools apart: the instance type, the region, and the name."""

_told = insert(pool_states).values(given_all(pool_states))
_KEEP = Query(
    _told.on_conflict_do_update(
        index_elements=list(pool_states.primary_key),
        set_={c.name: _told.excluded[c.name] for c in pool_states.c if not c.primary_key},
        where=pool_states.c.revision <= _told.excluded.revision,
    )
)
_LATEST_PRICE = Query(
    select(pool_prices.c.price_usd_per_hour)
    .where(
        pool_prices.c.client_id == CLIENT,
        pool_prices.c.instance_type == _type,
        pool_prices.c.region == _region,
        pool_prices.c.pool_id == _pool,
    )
    .order_by(pool_prices.c.at.desc())
    .limit(1)
)
_PRICE = Query(
    insert(pool_prices)
    .values(
        client_id=CLIENT,
        instance_type=_type,
        region=_region,
        pool_id=_pool,
        at=AT,
        price_usd_per_hour=bindparam("price", type_=Float),
    )
    .on_conflict_do_nothing()
)
_wanted = (
    func.unnest(
        *(bindparam(name, type_=ARRAY(Text)) for name in ("instance_types", "regions", "pool_ids"))
    )
    .table_valued("instance_type", "region", "pool_id")
    .render_derived(name="wanted")
)
_earlier = pool_prices.alias("earlier")


def _is_wanted(prices: Any) -> ColumnElement[bool]:
    return and_(prices.c.client_id == CLIENT, *(prices.c[key.name] == key for key in _wanted.c))


_in_force_at = select(func.max(_earlier.c.at)).where(_is_wanted(_earlier), _earlier.c.at <= SINCE)
_begins_at = func.coalesce(_in_force_at.correlate(_wanted).scalar_subquery(), SINCE)
# Read pool by pool, along the key: a list of pools alone would read all prices of the client.
_read = (
    select(
        func.array_agg(aggregate_order_by(pool_prices.c.at, pool_prices.c.at)).label("moments"),
        func.array_agg(
            aggregate_order_by(pool_prices.c.price_usd_per_hour, pool_prices.c.at)
        ).label("prices"),
    )
    .where(_is_wanted(pool_prices), pool_prices.c.at >= _begins_at)
    .correlate(_wanted)
    .lateral("read")
)
_PRICES = Query(
    select(*_wanted.c, *_read.c).select_from(_wanted).join(_read, _read.c.moments.is_not(None))
)
_ALIKE = Query(
    select(pool_states).where(
        pool_states.c.client_id == CLIENT,
        pool_states.c.region == _region,
        pool_states.c.instance_type == _type,
        pool_states.c.as_of >= SINCE,
    )
)
_FIND = Query(
    select(pool_states)
    .where(
        pool_states.c.client_id == CLIENT,
        pool_states.c.region == _region,
        pool_states.c.pool_id == _pool,
    )
    .order_by((pool_states.c.instance_type == _type).desc(), pool_states.c.as_of.desc())
    .limit(1)
)


async def keep(db: Connection, state: PoolState) -> bool:
    """Keep what is told of a pool; False if something newer is known already."""
    return await _KEEP.run(db, **named(state.model_dump())) > 0


async def see_price(db: Connection, client_id: UUID, state: PoolState, price: float) -> None:
    """Note what the pool costs if it cost something else when it was heard of last."""
    pool = {
        "client_id": client_id,
        "instance_type": state.instance_type,
        "region": state.region,
        "pool_id": state.pool_id,
    }
    if await _LATEST_PRICE.value(db, **pool) != price:
        await _PRICE.run(db, **pool, price=price, at=state.as_of)


async def prices(
    db: Connection, client_id: UUID, wanted: Collection[Key], *, since: datetime
) -> Mapping[Key, Sequence[tuple[datetime, float]]]:
    """What these pools cost from each moment on: the last before `since`, and all after.

    A pool of which nothing is known has no prices.
    """
    keys = sorted(set(wanted))
    rows = await _PRICES.rows(
        db,
        client_id=client_id,
        instance_types=[instance_type for instance_type, _, _ in keys],
        regions=[region for _, region, _ in keys],
        pool_ids=[pool_id for _, _, pool_id in keys],
        since=since,
    )
    return {
        (row["instance_type"], row["region"], row["pool_id"]): list(
            zip(row["moments"], row["prices"], strict=True)
        )
        for row in rows
    }


async def alike(
    db: Connection, client_id: UUID, *, region: str, instance_type: str, since: datetime
) -> Sequence[Row]:
    """The pools of a region with one type of instance that were heard of lately."""
    return await _ALIKE.rows(
        db, client_id=client_id, region=region, instance_type=instance_type, since=since
    )


async def pool(
    db: Connection, client_id: UUID, pool_id: str, *, instance_type: str, region: str
) -> Row | None:
    """A region's pool by its name as it was heard of last: one of this type, if there is."""
    return await _FIND.row(
        db, client_id=client_id, pool_id=pool_id, instance_type=instance_type, region=region
    )
