"""What the same agents would have paid by simpler rules, and with perfect foresight."""

from collections.abc import Sequence

import numpy as np

from decision.choices import Policy
from decision.features import Floats, Integers
from spotkeeper.backtest.market import Booleans, Market


def always_on_demand(
    market: Market, types: Sequence[int], starts: Sequence[int | None], policy: Policy
) -> Floats:
    """Paid at each tick by all agents, in hours of on-demand: a move at once, if need be.

    Who starts in a pool that is down is interrupted, and pays for that instead.
    """
    spent = np.full(len(market.at), market.tick_hours * len(starts))
    pools = [(k, start) for k, start in zip(types, starts, strict=True) if start is not None]
    fallen = sum(bool(market.fell[0, k, start]) for k, start in pools)
    moving = policy.switch_cost_hours + policy.overlap_hours
    spent[0] += fallen * policy.interruption_cost_hours + (len(pools) - fallen) * moving
    return spent


def always_spot(
    market: Market, types: Sequence[int], starts: Sequence[int | None], policy: Policy
) -> Floats:
    """Paid by agents that stay where they are until interrupted, then take the cheapest pool."""
    kinds, price, up = np.array(types), _relative(market), market.up
    width = price.shape[2]
    state = np.array([width if start is None else start for start in starts])
    everyone = np.arange(len(kinds))
    spent = np.zeros(len(market.at))
    for tick in range(len(market.at)):
        prices = _with_on_demand(np.where(up[tick], price[tick], np.inf))[kinds]
        cheapest = np.argmin(prices[:, :width], axis=1)
        cheapest = np.where(np.isinf(prices[everyone, cheapest]), width, cheapest)
        fell = _with_on_demand(market.fell[tick], 0.0)[kinds, state].astype(bool)
        returns = (state == width) & (cheapest != width)
        state = np.where(fell | returns, cheapest, state)
        paid = prices[everyone, state]
        moving = policy.switch_cost_hours + policy.overlap_hours * paid[returns]
        spent[tick] = paid.sum() * market.tick_hours + moving.sum()
        spent[tick] += fell.sum() * policy.interruption_cost_hours
    return spent


def with_foresight(
    market: Market, types: Sequence[int], starts: Sequence[int | None], policy: Policy
) -> Floats:
    """Paid by agents that know all that comes and have no limits; no policy can pay less."""
    price, width = _relative(market), market.price.shape[2]
    after = np.zeros((len(market.types), width + 1))
    best = np.zeros((len(market.at), *after.shape), np.int64)
    for tick in range(len(market.at) - 1, -1, -1):
        cost = _transitions(market, price, tick, policy) + after[:, None, :]
        best[tick] = cost.argmin(axis=2)
        after = cost.min(axis=2)
    state = np.array([width if start is None else start for start in starts])
    return _followed(market, price, np.array(types), state, best, policy)


def _followed(
    market: Market, price: Floats, kinds: Integers, state: Integers, best: Integers, policy: Policy
) -> Floats:
    spent = np.zeros(len(market.at))
    for tick in range(len(market.at)):
        target = best[tick, kinds, state]
        spent[tick] = _transitions(market, price, tick, policy)[kinds, state, target].sum()
        state = target
    return spent


def _transitions(market: Market, price: Floats, tick: int, policy: Policy) -> Floats:
    """[types, from, to]: the move or interruption, and the tick; the last state is on demand."""
    enterable = _with_on_demand(np.where(market.up[tick], price[tick], np.inf))
    moving = policy.switch_cost_hours + policy.overlap_hours * enterable
    cost = np.repeat(moving[:, None, :], enterable.shape[1], axis=1)
    cost[:, np.eye(enterable.shape[1], dtype=bool)] = 0.0
    fell = _with_on_demand(market.fell[tick], 0.0).astype(bool)
    cost[fell] = policy.interruption_cost_hours
    return np.asarray(cost + market.tick_hours * enterable[:, None, :])


def _relative(market: Market) -> Floats:
    """Prices in parts of the on-demand price."""
    ondemand = np.array([one.ondemand_price for one in market.types])
    return np.asarray(market.price / ondemand[:, None])


def _with_on_demand(values: Floats | Booleans, on_demand: float = 1.0) -> Floats:
    """One column more."""
    return np.pad(values.astype(np.float64), ((0, 0), (0, 1)), constant_values=on_demand)
