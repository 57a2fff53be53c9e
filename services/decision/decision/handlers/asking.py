"""What the engine is asked: where an agent stands, and the evidence of each pool there is."""

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import numpy as np

from chassis.transaction import Tx
from decision.choices import Policy, Standing
from decision.engine import Engine
from decision.features import HISTORY_HOURS, VOLATILITY_WITHOUT_HISTORY, WINDOW_HOURS, Evidence
from decision.handlers.found import Known
from decision.places import Place
from decision.questions import KnownPool, Question
from decision.settings import DecisionSettings
from decision.store import evidence as store
from decision.store import switches
from decision.store.rows import Row
from spotkeeper_contracts.configs import AgentConfig

HOUR = timedelta(hours=1)
Key = tuple[str, str]
"""A pool's group and its id."""


@dataclass(frozen=True, slots=True)
class Market:
    """Where an agent runs (`here` is None on demand) and what each pool and on-demand cost.

    `uptime_hours` is None if nobody told it.
    """

    here: str | None
    prices: Mapping[str, float]
    ondemand_price: float
    uptime_hours: float | None


async def known_pools(agent: Known, market: Market, tx: Tx) -> Sequence[Row]:
    """What is known of the market's pools, and of the others in their groups."""
    groups = sorted({agent.place_of(pool_id).group for pool_id in market.prices})
    return await store.known_pools(tx.db, agent.client_id, groups, at=tx.now) if groups else ()


async def question_about(
    agent: Known, market: Market, known_rows: Sequence[Row], engine: Engine, tx: Tx
) -> Question:
    """All that a decision about the agent is made from; `known_rows` are of `known_pools`."""
    places = {pool_id: agent.place_of(pool_id) for pool_id in market.prices}
    keys = [(place.group, pool_id) for pool_id, place in places.items()]
    rows = {(row["pool_group"], row["pool_id"]): row for row in known_rows}
    siblings = [key for key in rows if key not in set(keys)]
    told = [_known_pool(rows.get(key), market.prices[key[1]], key, tx.now) for key in keys]
    known = [_known_pool(rows[key], None, key, tx.now) for key in siblings]
    place_by_group = {place.group: place for place in places.values()}
    found = evidence_of(
        [*keys, *siblings],
        rows,
        {group: _prior(engine, place) for group, place in place_by_group.items()},
        tx.now,
    )
    return Question(
        pools=[*told, *known],
        evidence=found,
        here=None if market.here is None else list(places).index(market.here),
        uptime_hours=market.uptime_hours,
        standing=await _standing(agent, market, tx),
        ondemand_price=market.ondemand_price,
        policy=policy_of(agent.state.config, tx.settings),
    )


def evidence_of(
    keys: Sequence[Key], rows: Mapping[Key, Row], prior_per_h: Mapping[str, float], now: datetime
) -> Evidence:
    """What a client's fleet saw of these pools, which are all that it knows of their groups.

    Of a pool without a row nothing is known yet.
    """
    groups = sorted(prior_per_h)
    notices = np.zeros((len(keys), len(WINDOW_HOURS)))
    hours = np.zeros((len(keys), len(WINDOW_HOURS)))
    since = np.full(len(keys), HISTORY_HOURS)
    for n, key in enumerate(keys):
        if (row := rows.get(key)) is None:
            continue
        notices[n] = [row[name] for name in store.NOTICES]
        hours[n] = [row[name] for name in store.HOURS]
        if row["noticed_at"] is not None:
            since[n] = min(HISTORY_HOURS, (now - row["noticed_at"]) / HOUR)
    return Evidence(
        notices,
        hours,
        since,
        np.array([prior_per_h[group] for group, _ in keys], float),
        np.array([groups.index(group) for group, _ in keys], int),
    )


def policy_of(config: AgentConfig, settings: DecisionSettings) -> Policy:
    """The agent's limits, and what interruptions and moves cost."""
    return Policy(
        min_savings_percent=config.min_savings_percent,
        risk_threshold=config.risk_threshold,
        max_switches_per_week=config.max_switches_per_week,
        min_pool_duration_hours=config.min_pool_duration_hours,
        interruption_cost_hours=settings.interruption_cost_hours,
        switch_cost_hours=settings.switch_cost_hours,
        overlap_hours=settings.overlap_minutes / 60.0,
        exit_factor=settings.exit_factor,
    )


async def _standing(agent: Known, market: Market, tx: Tx) -> Standing:
    """Where the agent stands, its pool left out.

    It has been there since its last switch or, if it made none, as long as it runs; if nobody knows
    how long that is, long enough.
    """
    moves = await switches.recent(tx.db, agent.id, agent.client_id, at=tx.now)
    if moves["last_at"] is not None:
        hours = (tx.now - moves["last_at"]) / HOUR
    else:
        hours = math.inf if market.uptime_hours is None else market.uptime_hours
    on_spot = market.here is not None
    return Standing(
        pool=None,
        hours_in_pool=hours,
        planned_moves=moves["planned_within_a_week"],
        recovering=agent.is_recovering and not on_spot,
        interrupted=on_spot and agent.is_interrupted(tx.now),
        rebalance=on_spot and agent.has_rebalance(tx.now),
    )


def _known_pool(row: Row | None, price: float | None, key: Key, now: datetime) -> KnownPool:
    if row is None or row["first_priced_at"] is None:
        return KnownPool(key[1], price)
    volatility = row["volatility"]
    return KnownPool(
        key[1],
        price,
        VOLATILITY_WITHOUT_HISTORY if volatility is None else volatility,
        max(0.0, (now - row["first_priced_at"]) / HOUR),
    )


def _prior(engine: Engine, place: Place) -> float:
    return engine.prior_per_h(place.instance_type, place.region)
