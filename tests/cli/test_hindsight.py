"""Foresight pays least: neither the other baselines nor any way of moving costs less."""

from typing import NamedTuple

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.choices import Policy
from spotkeeper.backtest import hindsight
from spotkeeper.backtest.market import Market, MarketType
from tests.cli.recordings import START, ZONES
from tests.cli.recordings import Market as Recordings

TICK_HOURS, ONDEMAND_PRICE = 0.5, 2.0


class Life(NamedTuple):
    """A market of one type, where an agent starts in it, and where it wants to be at each tick."""

    market: Market
    start: int | None
    policy: Policy
    wishes: list[int]


@st.composite
def lives(draw: st.DrawFn) -> Life:
    """Pools that are down at any time, the start and between ticks included."""
    ticks, pools = draw(st.integers(1, 8)), draw(st.integers(1, 3))

    def grid(cells: st.SearchStrategy[bool] | st.SearchStrategy[float]) -> np.ndarray:
        drawn = draw(st.lists(cells, min_size=ticks * pools, max_size=ticks * pools))
        return np.array(drawn).reshape(ticks, 1, pools)

    up, flickered = grid(st.booleans()), grid(st.booleans())
    market = Market(
        at=np.arange(ticks, dtype=np.float64) * TICK_HOURS,
        tick_hours=TICK_HOURS,
        types=[MarketType("m5.large", "us-east-1", ONDEMAND_PRICE, 1e-2, [])],
        price=ONDEMAND_PRICE * grid(st.floats(0.05, 1.0)),
        up=up,
        fell=flickered | ~up | np.concatenate([~up[:1], ~up[:-1]]),
        traced=True,
        left_out={},
        data_until=ticks * TICK_HOURS,
    )
    start = draw(st.none() | st.integers(0, pools - 1))
    policy = Policy(interruption_cost_hours=draw(st.sampled_from([0.0, 0.1, 1.0, 2.0])))
    wishes = draw(st.lists(st.integers(0, pools), min_size=ticks, max_size=ticks))
    return Life(market, start, policy, wishes)


@given(lives())
def test_nobody_pays_less_than_foresight(life: Life) -> None:
    market, start, policy, _ = life
    least = hindsight.with_foresight(market, [0], [start], policy).sum()
    others = {
        "always on-demand": hindsight.always_on_demand(market, [0], [start], policy).sum(),
        "always spot": hindsight.always_spot(market, [0], [start], policy).sum(),
        "as it wished": paid_by_wishes(life),
    }
    assert {name: paid for name, paid in others.items() if paid < least - 1e-9} == {}


def paid_by_wishes(life: Life) -> float:
    """What an agent pays that goes where it wishes; on demand if its wish is down."""
    market, state, policy, wishes = life
    paid = 0.0
    for tick, wish in enumerate(wishes):
        is_pool = wish < market.up.shape[2]
        target = wish if is_pool and market.up[tick, 0, wish] else None
        price = 1.0 if target is None else market.price[tick, 0, target] / ONDEMAND_PRICE
        if state is not None and market.fell[tick, 0, state]:
            paid += policy.interruption_cost_hours
        elif target != state:
            paid += policy.switch_cost_hours + policy.overlap_hours * price
        paid += price * TICK_HOURS
        state = target
    return paid


@pytest.mark.parametrize("fleet", ["all", "own"])
def test_a_pool_that_is_down_at_the_start_costs_everyone_an_interruption(
    torn: Recordings, fleet: str
) -> None:
    torn.trace = [
        {"ts": START.isoformat(), "pool_id": f"p3.2xlarge.{zone}", "available": "0"}
        for zone in ZONES
    ]
    report = torn.run(start_mode="pools", fleet=fleet).report
    costs = [report["cost_rel_ondemand"], *report["baselines"].values()]
    assert costs == pytest.approx([1.0 + 1.0 / 72] * 4)
