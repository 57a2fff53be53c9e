"""Pools: where an instance lies, and which one is the safest for a replica."""

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass

from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.values import pool_name

ZONE_LETTERS = "abc"
"""Nearly every region has zones with these letters."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Pool:
    """A pool as far as it is known; one that was never heard of has neither price nor risk."""

    pool_id: str
    az: str
    risk_1h: float | None = None
    price_usd_per_hour: float | None = None


def safest_pool(
    agent: AgentState, known: Iterable[Pool], *, taken: Collection[str | None] = ()
) -> Pool:
    """Where a replica is the least likely to be interrupted together with its agent.

    Preferred pools come first, then those in another zone than the agent's, then the lowest risk,
    the lowest price, and no other replica in the pool. Where no pool is known, the same type in
    another zone is the answer, if there is one without another replica.
    """
    states = {pool.pool_id: pool for pool in known}
    preferred = agent.config.preferred_replica_pools
    named = [states.get(id) or pool_named(id, agent) for id in preferred]
    candidates = [*named, *(pool for id, pool in states.items() if id not in preferred)]
    elsewhere = [pool for pool in candidates if pool.pool_id != agent.current_pool_id]
    if not elsewhere:
        return _next_door(agent, taken)
    return min(elsewhere, key=lambda pool: _danger(pool, agent, taken))


def pool_named(pool_id: str, agent: AgentState) -> Pool:
    """A pool of which nothing is known but its name; its zone, if the name ends in one."""
    zone = re.search(rf"{re.escape(agent.region)}[a-z]\b", pool_id)
    return Pool(pool_id=pool_id, az=zone.group() if zone else agent.az)


def _danger(
    pool: Pool, agent: AgentState, taken: Collection[str | None]
) -> tuple[bool, bool, float, float, bool, str]:
    price = pool.price_usd_per_hour
    return (
        pool.pool_id not in agent.config.preferred_replica_pools,
        pool.az == agent.az,
        1.0 if pool.risk_1h is None else pool.risk_1h,
        float("inf") if price is None else price,
        pool.pool_id in taken,
        pool.pool_id,
    )


def _next_door(agent: AgentState, taken: Collection[str | None]) -> Pool:
    zones = [f"{agent.region}{letter}" for letter in ZONE_LETTERS]
    pools = [Pool(pool_id=pool_name(agent.instance_type, az), az=az) for az in zones]
    return min(
        (pool for pool in pools if pool.az != agent.az), key=lambda pool: pool.pool_id in taken
    )
