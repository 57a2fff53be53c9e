"""Pools and their prices: told by many, in any order; rated by the one who has the partition."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    Float,
    SmallInteger,
    Text,
    and_,
    bindparam,
    func,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import distinct_on, insert

from chassis.envelope import partition_for
from chassis.query import AT, LIMIT, SINCE, Connection, Query
from decision.places import Place
from decision.store.rows import CLIENT, PARTITIONS, Row, of_groups
from decision.tables import pool_prices, pools

SAME_PRICE = timedelta(hours=1)
"""A price that is told again within this time is not kept again."""


class Told(NamedTuple):
    """A pool's price at a moment."""

    pool_id: str
    group: str
    price: float
    at: datetime


def _array(name: str, kind: Any) -> Any:
    return bindparam(name, type_=ARRAY(kind))


_new = (
    func.unnest(
        _array("ids", Text),
        _array("groups", Text),
        _array("pool_partitions", SmallInteger),
        _array("instance_types", Text),
        _array("regions", Text),
        _array("azs", Text),
    )
    .table_valued("pool_id", "pool_group", "partition", "instance_type", "region", "az", name="new")
    .render_derived()
)
_adding = insert(pools).from_select(
    ["client_id", *_new.c.keys(), "due_at"],
    select(CLIENT, *_new.c, AT),
)
_ADD = Query(
    _adding.on_conflict_do_update(
        index_elements=list(pools.primary_key),
        set_={"az": _adding.excluded.az, "due_at": _adding.excluded.due_at},
        where=pools.c.az.is_(None) & _adding.excluded.az.is_not(None),
    )
)
_told = (
    func.unnest(
        _array("ids", Text),
        _array("groups", Text),
        _array("pool_partitions", SmallInteger),
        _array("prices", Float),
        _array("moments", DateTime(timezone=True)),
    )
    .table_valued("pool_id", "pool_group", "partition", "price_usd_per_hour", "at", name="told")
    .render_derived()
)
_price_of = and_(
    pool_prices.c.client_id == CLIENT,
    pool_prices.c.pool_group == _told.c.pool_group,
    pool_prices.c.pool_id == _told.c.pool_id,
)
_last = (
    select(pool_prices.c.price_usd_per_hour, pool_prices.c.ondemand_usd_per_hour, pool_prices.c.at)
    .where(_price_of)
    .order_by(pool_prices.c.at.desc())
    .limit(1)
    .lateral("last")
)
_ONDEMAND = bindparam("ondemand", type_=Float)
_columns = ["client_id", *_told.c.keys(), "ondemand_usd_per_hour"]
_KEEP = Query(
    insert(pool_prices)
    .from_select(_columns, select(CLIENT, *_told.c, _ONDEMAND))
    .on_conflict_do_nothing()
)
_KEEP_CHANGED = Query(
    insert(pool_prices)
    .from_select(
        _columns,
        select(CLIENT, *_told.c, _ONDEMAND)
        .select_from(_told.outerjoin(_last, _last.c.at.is_not(None)))
        .where(
            _last.c.at.is_(None)
            | (
                (_told.c.at > _last.c.at)
                & (
                    (_last.c.price_usd_per_hour != _told.c.price_usd_per_hour)
                    | (
                        _ONDEMAND.is_not(None)
                        & _last.c.ondemand_usd_per_hour.is_distinct_from(_ONDEMAND)
                    )
                    | (_last.c.at < SINCE)
                )
            )
        ),
    )
    .on_conflict_do_nothing()
)
_newest_first = (
    pool_prices.c.client_id,
    pool_prices.c.pool_group,
    pool_prices.c.pool_id,
    pool_prices.c.at.desc(),
)
_LATEST = Query(
    select(pool_prices)
    .ext(distinct_on(*_newest_first[:3]))
    .where(of_groups(pool_prices), pool_prices.c.at > SINCE, pool_prices.c.at <= AT)
    .order_by(*_newest_first)
)
_key = ("client_id", "pool_group", "pool_id")
_unseen = (
    select(*(pool_prices.c[name] for name in (*_key, "at")))
    .where(pool_prices.c.partition == PARTITIONS, pool_prices.c.is_new)
    .limit(LIMIT)
    .with_for_update(skip_locked=True)
    .cte("unseen")
)
_see = (
    update(pool_prices)
    .where(*(pool_prices.c[name] == _unseen.c[name] for name in (*_key, "at")))
    .values(is_new=False)
    .returning(*(pool_prices.c[name] for name in _key))
    .cte("seen")
)
_SEE_NEW_PRICES = Query(
    update(pools)
    .where(tuple_(*(pools.c[n] for n in _key)).in_(select(*(_see.c[n] for n in _key))))
    .values(due_at=AT)
)
_siblings = (
    select(*(pools.c[name] for name in _key))
    .where(of_groups(pools))
    .order_by(pools.c.pool_id)
    .with_for_update()
    .cte("siblings")
)
_RATE_SOON = Query(
    update(pools).where(*(pools.c[n] == _siblings.c[n] for n in _key)).values(due_at=AT)
)
_DUE = Query(
    select(pools)
    .where(pools.c.partition == PARTITIONS, pools.c.due_at <= AT)
    .order_by(pools.c.due_at)
    .limit(LIMIT)
    .with_for_update(skip_locked=True)
)
_RATED = (
    *("price_usd_per_hour", "ondemand_usd_per_hour", "priced_at", "first_priced_at"),
    *("volatility", "risk_1h", "told_at", "due_at"),
)
_rated = (
    func.unnest(*(_array(name, pools.c[name].type) for name in (*_key, *_RATED)))
    .table_valued(*_key, *_RATED, name="rated")
    .render_derived()
)
_RATE = Query(
    update(pools)
    .where(*(pools.c[name] == _rated.c[name] for name in _key))
    .values({name: _rated.c[name] for name in _RATED})
)


async def add(db: Connection, client_id: UUID, found: dict[str, Place], *, at: datetime) -> None:
    """Make pools known, by id; of one that is known already only the zone may be learned."""
    if not found:
        return
    ids = sorted(found)  # Two who add the same wait for each other instead of locking up.
    places = [found[id] for id in ids]
    await _ADD.run(
        db,
        client_id=client_id,
        at=at,
        ids=ids,
        groups=[place.group for place in places],
        pool_partitions=[partition_for(id) for id in ids],
        instance_types=[place.instance_type for place in places],
        regions=[place.region for place in places],
        azs=[place.az for place in places],
    )


async def keep_prices(
    db: Connection,
    client_id: UUID,
    told: Sequence[Told],
    *,
    ondemand: float | None,
    only_changes_at: datetime | None = None,
) -> int:
    """Keep prices of known pools; how many were new.

    With `only_changes_at`, the present, prices that are as they were within the hour are not kept.
    """
    if not told:
        return 0
    told = sorted(told)
    values = {
        "client_id": client_id,
        "ids": [one.pool_id for one in told],
        "groups": [one.group for one in told],
        "pool_partitions": [partition_for(one.pool_id) for one in told],
        "prices": [one.price for one in told],
        "moments": [one.at for one in told],
        "ondemand": ondemand,
    }
    if only_changes_at is None:
        return await _KEEP.run(db, **values)
    return await _KEEP_CHANGED.run(db, **values, since=only_changes_at - SAME_PRICE)


async def latest_prices(
    db: Connection, client_id: UUID, groups: Sequence[str], *, at: datetime, since: datetime
) -> Sequence[Row]:
    """The price of each pool of these groups at a moment, unless it is older than `since`."""
    return await _LATEST.rows(db, client_id=client_id, groups=list(groups), at=at, since=since)


async def see_new_prices(
    db: Connection, partitions: Sequence[int], *, at: datetime, limit: int
) -> int:
    """Have the pools rated of which new prices were told; how many pools."""
    return await _SEE_NEW_PRICES.run(db, partitions=list(partitions), at=at, limit=limit)


async def rate_soon(
    db: Connection, client_id: UUID, groups: Sequence[str], *, at: datetime
) -> None:
    """Have all pools of these groups rated."""
    await _RATE_SOON.run(db, client_id=client_id, groups=list(groups), at=at)


async def due(
    db: Connection, partitions: Sequence[int], *, at: datetime, limit: int
) -> Sequence[Row]:
    """Pools of these partitions that are to be rated, locked, the longest due first."""
    return await _DUE.rows(db, partitions=list(partitions), at=at, limit=limit)


async def rate(db: Connection, rated: Sequence[Row]) -> None:
    """Keep what ratings found, each in the row of its pool."""
    await _RATE.run(db, **{name: [row[name] for row in rated] for name in (*_key, *_RATED)})
