"""Pools: the latest of each, and what they cost in the past."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import ARRAY, Float, Text, bindparam, func, or_, select
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, SINCE, Connection, Query, given_all, named
from commands.store.rows import CLIENT, Row
from commands.tables import pool_prices, pool_states
from spotkeeper_contracts.pools import PoolState

_pool = bindparam("pool_id", type_=Text)
_told = insert(pool_states).values(given_all(pool_states))
_KEEP = Query(
    _told.on_conflict_do_update(
        index_elements=["client_id", "pool_id"],
        set_={c.name: _told.excluded[c.name] for c in pool_states.c if not c.primary_key},
        where=pool_states.c.revision <= _told.excluded.revision,
    )
)
_LATEST_PRICE = Query(
    select(pool_prices.c.price_usd_per_hour)
    .where(pool_prices.c.client_id == CLIENT, pool_prices.c.pool_id == _pool)
    .order_by(pool_prices.c.at.desc())
    .limit(1)
)
_PRICE = Query(
    insert(pool_prices)
    .values(
        client_id=CLIENT,
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
                _earlier.c.client_id == pool_prices.c.client_id,
                _earlier.c.pool_id == pool_prices.c.pool_id,
                _earlier.c.at <= SINCE,
            )
            .scalar_subquery(),
        ),
    )
    .order_by(pool_prices.c.pool_id, pool_prices.c.at)
)
_ALIKE = Query(
    select(pool_states).where(
        pool_states.c.client_id == CLIENT,
        pool_states.c.region == bindparam("region", type_=Text),
        pool_states.c.instance_type == bindparam("instance_type", type_=Text),
        pool_states.c.as_of >= SINCE,
    )
)
_FIND = Query(
    select(pool_states).where(pool_states.c.client_id == CLIENT, pool_states.c.pool_id == _pool)
)


async def keep(db: Connection, state: PoolState) -> bool:
    """Keep what is told of a pool; False if something newer is known already."""
    return await _KEEP.run(db, **named(state.model_dump())) > 0


async def latest_price(db: Connection, client_id: UUID, pool_id: str) -> float | None:
    """What the pool cost when it was heard of last."""
    price: float | None = await _LATEST_PRICE.value(db, client_id=client_id, pool_id=pool_id)
    return price


async def add_price(
    db: Connection, client_id: UUID, pool_id: str, price: float, *, at: datetime
) -> None:
    """Note that the pool's price has changed."""
    await _PRICE.run(db, client_id=client_id, pool_id=pool_id, price=price, at=at)


async def prices(
    db: Connection, client_id: UUID, pools: Sequence[str], *, since: datetime
) -> dict[str, list[tuple[datetime, float]]]:
    """What pools cost from each moment on: the last before `since`, and all after it."""
    found: dict[str, list[tuple[datetime, float]]] = {pool: [] for pool in pools}
    for row in await _PRICES.rows(db, client_id=client_id, pools=list(pools), since=since):
        found[row["pool_id"]].append((row["at"], row["price_usd_per_hour"]))
    return found


async def alike(
    db: Connection, client_id: UUID, *, region: str, instance_type: str, since: datetime
) -> Sequence[Row]:
    """The pools of a region with one type of instance that were heard of lately."""
    return await _ALIKE.rows(
        db, client_id=client_id, region=region, instance_type=instance_type, since=since
    )


async def pool(db: Connection, client_id: UUID, pool_id: str) -> Row | None:
    """One pool as it was heard of last."""
    return await _FIND.row(db, client_id=client_id, pool_id=pool_id)
