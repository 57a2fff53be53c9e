"""What the clock brings about: models are looked at, pools rated, old rows forgotten."""

import socket
from collections import defaultdict
from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta

import numpy as np

from chassis import clock
from chassis.transaction import Tx
from decision import metrics
from decision.engine import Engine
from decision.features import HISTORY_HOURS, candidate_rows, price_history
from decision.handlers.asking import HOUR, Key, evidence_of
from decision.handlers.models import engine_of_now, look_at_models
from decision.store import evidence, pools, retention
from decision.store.histories import prices_of
from decision.store.rows import Row
from spotkeeper_contracts.pools import EngineState, PoolState

POOLS_AT_ONCE = 50
PRICES_AT_ONCE = 2_000
PRICES_BACK = timedelta(hours=HISTORY_HOURS + 1)
"""An hour more than volatility looks back, which no rounding of hours can miss."""
STEPS_AT_ONCE = 200
"""So many prices a report may bring of one pool, each for its moment."""
ROWS_AT_ONCE = 1_000
FORGET_SECONDS = 60.0
RISK_STEP = 0.05
"""A risk that differs from what was told by less than this share is not told anew."""
TELL_AT_LEAST = timedelta(hours=1)
IDLE_RATING = timedelta(days=1)
"""How often a pool is rated that nobody has run in for a week, nor knows a price of. Any word may
be told as a pool's name, and what is heard of once is not to take the time of the others."""
EPOCH = datetime.fromisoformat("1970-01-01T00:00:00+00:00")

_forgot_at = float("-inf")


async def sweep(partitions: Sequence[int], tx: Tx) -> bool:
    """Do what is due; tells whether more is."""
    engine = await engine_of_now(tx)
    await look_at_models(engine, tx)
    await _tell_of_engine(engine, tx)
    seen = await pools.see_new_prices(tx.db, partitions, at=tx.now, limit=PRICES_AT_ONCE)
    due = await pools.due(tx.db, partitions, at=tx.now, limit=POOLS_AT_ONCE)
    by_client = defaultdict(list)
    for pool in due:
        by_client[pool["client_id"]].append(pool)
    for of_client in by_client.values():
        if not await tx.apart(_rate(of_client, engine, tx)):
            await pools.rate(tx.db, [{**pool, "due_at": _soon(tx)} for pool in of_client])
    await _forget(tx)
    return len(due) == POOLS_AT_ONCE or seen >= PRICES_AT_ONCE


async def _tell_of_engine(engine: Engine, tx: Tx) -> None:
    """Say how the engine is: now and then, and at once when that changes."""
    is_due = clock.monotonic() >= engine.told_at + tx.settings.engine_state_seconds
    if is_due:
        await engine.recover()
    model = engine.active.model
    told = (engine.is_healthy, model and model.version)
    metrics.ENGINE_HEALTHY.set(engine.is_healthy)
    if told == engine.told and not is_due:
        return
    engine.told, engine.told_at = told, clock.monotonic()
    tx.emit(
        EngineState(
            instance=tx.settings.engine_name or socket.gethostname(),
            revision=_revision(tx.now),
            model_version=model and model.version,
            model_loaded=model is not None,
            healthy=engine.is_healthy,
            at=tx.now,
        )
    )


async def _rate(due: Sequence[Row], engine: Engine, tx: Tx) -> None:
    """Rate pools of one client by all that is known of their groups, and tell what changed."""
    client_id = due[0]["client_id"]
    priors = {
        pool["pool_group"]: engine.prior_per_h(pool["instance_type"], pool["region"])
        for pool in due
    }
    known = await evidence.known_pools(tx.db, client_id, sorted(priors), at=tx.now)
    rows = {(pool["pool_group"], pool["pool_id"]): pool for pool in known}
    keys = list(rows)
    risks = await engine.rate(candidate_rows(evidence_of(keys, rows, priors, tx.now)))
    prices = await _prices_of(due, tx)
    rated = []
    for pool in due:
        key = pool["pool_group"], pool["pool_id"]
        risk = risks[keys.index(key)].hour if risks else pool["risk_1h"]
        rating = _rated(pool, prices.get(key), risk, tx)
        is_idle = _is_idle(rating, rows[key], tx)
        rated.append({**rating, "due_at": tx.now + IDLE_RATING if is_idle else _soon(tx)})
    await pools.rate(tx.db, rated)


def _rated(pool: Row, history: Row | None, risk: float | None, tx: Tx) -> Row:
    """The pool with its new rating, which is told if it is news."""
    priced = _priced(pool, history, tx.now) if history else {}
    rated = {**pool, **priced, "risk_1h": risk}
    if not _is_news(pool, rated):
        return {**rated, "risk_1h": pool["risk_1h"]}  # So that small steps add up to news.
    for moment, price in _not_told(pool, history):
        tx.emit(_state({**rated, "price_usd_per_hour": price, "priced_at": moment}, tx))
    tx.emit(_state(rated, tx))
    return {**rated, "told_at": tx.now}


def _not_told(pool: Row, history: Row | None) -> list[tuple[datetime, float]]:
    """The prices before the last one that nobody was told of: each was in force for a while."""
    if history is None:
        return []
    told_until = pool["priced_at"] if pool["told_at"] else None
    steps = list(zip(history["moments"], history["prices"], strict=True))[:-1][-STEPS_AT_ONCE:]
    return [step for step in steps if told_until is None or step[0] > told_until]


def _state(rated: Row, tx: Tx) -> PoolState:
    return PoolState(
        pool_id=rated["pool_id"],
        client_id=rated["client_id"],
        revision=_revision(tx.now),
        instance_type=rated["instance_type"],
        region=rated["region"],
        az=rated["az"],
        price_usd_per_hour=rated["price_usd_per_hour"],
        ondemand_usd_per_hour=rated["ondemand_usd_per_hour"],
        risk_1h=min(max(rated["risk_1h"] or 0.0, 0.0), 1.0),
        as_of=rated["priced_at"] or tx.now,
    )


def _soon(tx: Tx) -> datetime:
    at: datetime = tx.now + timedelta(seconds=tx.settings.pool_rating_seconds)
    return at


def _is_idle(rated: Row, seen: Row, tx: Tx) -> bool:
    """Whether the pool has no price that counts, and nobody ran in it within the windows."""
    priced_at = rated["priced_at"]
    is_priced = priced_at is not None and tx.now - priced_at <= tx.settings.price_life
    return not is_priced and not seen[evidence.NOTICES[-1]] and not seen[evidence.HOURS[-1]]


async def _prices_of(due: Sequence[Row], tx: Tx) -> Mapping[Key, Row]:
    """The prices of each pool of one client, as far back as features look."""
    client_id = due[0]["client_id"]
    keys = [(pool["pool_group"], pool["pool_id"]) for pool in due]
    rows = await prices_of(tx.db, client_id, keys, since=tx.now - PRICES_BACK, at=tx.now)
    return {(row["pool_group"], row["pool_id"]): row for row in rows}


def _priced(pool: Row, history: Row, now: datetime) -> dict[str, object]:
    """What the pool's prices come to by now."""
    hours = np.array([(moment - EPOCH) / HOUR for moment in history["moments"]])
    _, volatility = price_history(hours, np.array(history["prices"]), (now - EPOCH) / HOUR)
    return {
        "price_usd_per_hour": history["prices"][-1],
        "ondemand_usd_per_hour": history["ondemand_usd_per_hour"],
        "priced_at": history["moments"][-1],
        "first_priced_at": min(history["first_at"], pool["first_priced_at"] or history["first_at"]),
        "volatility": volatility,
    }


def _is_news(pool: Row, rated: Row) -> bool:
    """Whether others should hear of the rating. A pool whose zone nobody knows is kept to us."""
    risk, before = rated["risk_1h"], pool["risk_1h"]
    if risk is None or pool["az"] is None:
        return False
    if pool["told_at"] is None or before is None:
        return True
    if abs(risk - before) > RISK_STEP * before:
        return True
    names = ("price_usd_per_hour", "ondemand_usd_per_hour")
    if any(rated[name] != pool[name] for name in names):
        return True
    return rated["priced_at"] is not None and rated["priced_at"] - pool["told_at"] > TELL_AT_LEAST


async def _forget(tx: Tx) -> None:
    """Forget what is old, a little at a time."""
    global _forgot_at
    if clock.monotonic() < _forgot_at + FORGET_SECONDS:
        return
    _forgot_at = clock.monotonic()
    days = {
        "prices": tx.settings.price_retention_days,
        "events": tx.settings.evidence_retention_days,
        "stays": tx.settings.evidence_retention_days,
        "decisions": tx.settings.decision_retention_days,
    }
    before = {table: tx.now - timedelta(days=count) for table, count in days.items()}
    gone = await retention.forget(tx.db, before, limit=ROWS_AT_ONCE)
    gone += await retention.thin_prices(tx.db, at=tx.now, limit=ROWS_AT_ONCE)
    gone += await retention.thin_same_prices(tx.db, at=tx.now, limit=ROWS_AT_ONCE)
    if gone >= ROWS_AT_ONCE:
        _forgot_at = float("-inf")


def _revision(now: datetime) -> int:
    """Seconds since 1970: whoever tells of it, at any process, what is told has one order."""
    return int(now.timestamp())
