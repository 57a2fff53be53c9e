"""Pools: the latest of each, and what they cost in the past."""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Float, Text, and_, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

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
_earlier = pool_prices.alias("earlier")
_PRICES = Query(
    select(pool_prices)
    .where(
        pool_prices.c.client_id == CLIENT,
        pool_prices.c.pool_id == func.any(bindparam("pools", type_=ARRAY(Text))),
        or_(
            pool_prices.c.at > SINCE,
            pool_prices.c.at
            == select(func.max(_earlier.c.at))
            .where(
                *(
                    _earlier.c[key.name] == pool_prices.c[key.name]
                    for key in pool_states.primary_key
                ),
                _earlier.c.at <= SINCE,
            )
            .scalar_subquery(),
        ),
    )
    .order_by(pool_prices.c.at)
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
    .where(pool_states.c.client_id == CLIENT, pool_states.c.pool_id == _pool)
    .order_by(
        and_(pool_states.c.instance_type == _type, pool_states.c.region == _region).desc(),
        pool_states.c.as_of.desc(),
    )
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
    db: Connection, client_id: UUID, names: Sequence[str], *, since: datetime
) -> Mapping[Key, Sequence[tuple[datetime, float]]]:
    """What pools of these names cost from each moment on: the last before `since`, and all after.

    A pool of which nothing is known has no prices.
    """
    found: dict[Key, list[tuple[datetime, float]]] = defaultdict(list)
    for row in await _PRICES.rows(db, client_id=client_id, pools=list(names), since=since):
        key = (row["instance_type"], row["region"], row["pool_id"])
        found[key].append((row["at"], row["price_usd_per_hour"]))
    return found


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
    """A pool by its name as it was heard of last: one of this type in this region, if there is."""
    return await _FIND.row(
        db, client_id=client_id, pool_id=pool_id, instance_type=instance_type, region=region
    )
