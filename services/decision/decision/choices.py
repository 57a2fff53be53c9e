"""The choices of an agent: what each costs, and which gates it must pass.

Each choice is priced over the next 72 hours, in USD per instance: its hours on spot and, after an
expected interruption, on demand; what an interruption costs; what a move costs. The cost of moving
is all the hysteresis there is.
"""

import math
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import NamedTuple

from decision.features import VOLATILITY_WITHOUT_HISTORY

HORIZON_HOURS = 72.0
REBALANCE_RISK = 0.5
"""What a rebalance recommendation makes of the pool's risk for an hour. A rule: no public data
tells how often one comes true."""
ROUNDING = 1e-12
RISK_ROUNDING = 1e-6
"""The part of a risk that is no more than rounding: a model answers in 32 bits, where the number
nearest to 0.3 is above it."""
NO_PRICE = 1e-9
"""USD per hour; what costs less has no price of which a part could be told."""


class Risk(NamedTuple):
    """What the model expects of an instance in one pool.

    The hazard per hour; the risk of an interruption within 1, 4 and 24 hours; the expected hours
    until one, at most 72; the risk of one within those 72 hours.
    """

    hazard_per_h: float
    hour: float
    four_hours: float
    day: float
    expected_hours: float
    horizon: float


class Move(StrEnum):
    """Why an agent moves: only planned moves count towards the limits."""

    PLANNED = "planned"
    FORCED = "forced"
    RECOVERY = "recovery"


@dataclass(frozen=True, slots=True)
class Policy:
    """An agent's limits, and what interruptions and moves cost.

    Costs are in hours at the on-demand price. An interruption is ten minutes down, valued at six
    times that price; a switch is two minutes down.
    """

    min_savings_percent: float = 15.0
    risk_threshold: float = 0.30
    max_switches_per_week: int = 10
    min_pool_duration_hours: float = 2.0
    interruption_cost_hours: float = 1.0
    switch_cost_hours: float = 0.2
    overlap_hours: float = 10 / 60
    exit_factor: float = 1.33


@dataclass(frozen=True, slots=True)
class Pool:
    """A spot pool as it is now; without a price it is no candidate."""

    pool_id: str
    price: float | None
    risk: Risk
    volatility: float = VOLATILITY_WITHOUT_HISTORY
    history_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Standing:
    """Where an agent stands: in a spot pool, or on demand if `pool` is None.

    `recovering` tells that an interruption threw it out of spot and it has not been back since.
    `interrupted` means that its pool takes its instance away, `rebalance` that a recommendation to
    leave it is less than an hour old. `planned_moves` are those of the last 168 hours.
    """

    pool: Pool | None
    hours_in_pool: float = math.inf
    planned_moves: int = 0
    recovering: bool = False
    interrupted: bool = False
    rebalance: bool = False


class Gate(NamedTuple):
    """One condition on a choice: what was found, what is allowed, and whether that is kept."""

    name: str
    value: float
    limit: float
    passed: bool


class Choice(NamedTuple):
    """A state that the agent could be in: its price an hour, its cost over the horizon, its gates.

    Without a pool it is on demand.
    """

    pool: Pool | None
    price: float
    cost: float
    gates: tuple[Gate, ...]

    @property
    def name(self) -> str:
        """What people call it."""
        return self.pool.pool_id if self.pool else "on-demand"

    @property
    def allowed(self) -> bool:
        """Whether every gate is passed."""
        return all(gate.passed for gate in self.gates)


def choices_of(
    standing: Standing, candidates: Iterable[Pool], ondemand_price: float, policy: Policy
) -> Iterator[Choice]:
    """The present state first, unless it ends; then each other pool with a price; on demand."""
    here = _as_recommended(standing.pool, standing) if standing.pool else None
    to_spot, to_ondemand = (tuple(_limits(standing, policy, spot)) for spot in (True, False))
    if here is None:
        yield Choice(None, ondemand_price, ondemand_price * HORIZON_HOURS, ())
    elif not standing.interrupted:
        assert here.price is not None
        gate = _risk_gate(here, policy.risk_threshold * policy.exit_factor)
        cost = cost_of_spot(here.price, here.risk, ondemand_price, policy)
        yield Choice(here, here.price, cost, (gate,))
    for pool in candidates:
        if pool.price is None or (here and pool.pool_id == here.pool_id):
            continue
        gates = (
            _savings_gate(pool.price, ondemand_price, policy),
            _risk_gate(pool, policy.risk_threshold),
            *to_spot,
        )
        cost = cost_of_spot(pool.price, pool.risk, ondemand_price, policy)
        cost += cost_of_moving(pool.price, ondemand_price, policy)
        yield Choice(pool, pool.price, cost, gates)
    if here is not None:
        cost = ondemand_price * HORIZON_HOURS
        cost += cost_of_moving(ondemand_price, ondemand_price, policy)
        yield Choice(None, ondemand_price, cost, to_ondemand)


def cost_of_spot(price: float, risk: Risk, ondemand_price: float, policy: Policy) -> float:
    """USD over the horizon: on spot as long as it is expected to last, on demand thereafter."""
    interruption = risk.horizon * policy.interruption_cost_hours * ondemand_price
    hours = risk.expected_hours
    return price * hours + interruption + (HORIZON_HOURS - hours) * ondemand_price


def cost_of_moving(price: float, ondemand_price: float, policy: Policy) -> float:
    """USD for a move to a state with that price: the time down, and both instances running."""
    return policy.switch_cost_hours * ondemand_price + policy.overlap_hours * price


def _as_recommended(pool: Pool, standing: Standing) -> Pool:
    """The agent's own pool, at the risk that a rebalance recommendation makes of it."""
    if not standing.rebalance:
        return pool
    risk = pool.risk._replace(
        hour=max(pool.risk.hour, REBALANCE_RISK), horizon=max(pool.risk.horizon, REBALANCE_RISK)
    )
    return replace(pool, risk=risk)


def _savings_gate(price: float, ondemand_price: float, policy: Policy) -> Gate:
    """Savings are measured against on-demand."""
    saved = 100.0 * (1.0 - price / ondemand_price) if ondemand_price > NO_PRICE else 0.0
    limit = ondemand_price * (1.0 - policy.min_savings_percent / 100.0)
    passed = price <= limit * (1.0 + ROUNDING)
    return Gate("min_savings_percent", saved, policy.min_savings_percent, passed)


def _risk_gate(pool: Pool, limit: float) -> Gate:
    """A risk that is above the limit by its rounding alone is told as the limit."""
    risk = pool.risk.hour
    passed = risk <= limit * (1.0 + RISK_ROUNDING)
    return Gate("risk_threshold", min(risk, limit) if passed else risk, limit, passed)


def _limits(standing: Standing, policy: Policy, to_spot: bool) -> Iterator[Gate]:
    """The limits of planned moves; a replacement and the first return to spot are outside them."""
    if move_of(standing, to_spot=to_spot) is not Move.PLANNED:
        return
    if standing.pool:
        hours, least = standing.hours_in_pool, policy.min_pool_duration_hours
        yield Gate("min_pool_duration_hours", hours, least, hours >= least)
    moves, most = standing.planned_moves, policy.max_switches_per_week
    yield Gate("max_switches_per_week", moves, most, moves < most)


def move_of(standing: Standing, *, to_spot: bool) -> Move:
    """The kind of move that a move from there is."""
    if standing.interrupted:
        return Move.FORCED
    return Move.RECOVERY if standing.recovering and to_spot else Move.PLANNED
