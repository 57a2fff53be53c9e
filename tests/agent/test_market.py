"""The simulated market follows from its seed, and moves like a real one, only faster."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from statistics import fmean

import pytest
from hypothesis import given
from hypothesis import strategies as st

from spotkeeper_agent.market import (
    NOTICE,
    ONDEMAND_PRICES,
    STRAY,
    USUAL,
    Fate,
    Market,
    pool_id,
    zones_of,
)

seeds = st.integers(0, 1_000)
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))
pools = st.sampled_from(
    [
        (kind, az)
        for region in ONDEMAND_PRICES
        for kind in ONDEMAND_PRICES[region]
        for az in zones_of(region)
    ]
)
A_DAY = datetime(2026, 1, 1, tzinfo=UTC)


@given(pools, moments, seeds)
def test_spot_prices_lie_well_below_on_demand_prices(
    pool: tuple[str, str], at: datetime, seed: int
) -> None:
    ondemand = ONDEMAND_PRICES[pool[1][:-1]][pool[0]]
    share = Market(seed).spot_price(*pool, at) / ondemand
    assert USUAL[0] - STRAY - 0.01 <= share <= USUAL[1] + STRAY + 0.01


@given(pools, moments, seeds)
def test_prices_move_but_do_not_jump(pool: tuple[str, str], at: datetime, seed: int) -> None:
    market, ondemand = Market(seed), ONDEMAND_PRICES[pool[1][:-1]][pool[0]]
    prices = [market.spot_price(*pool, at + timedelta(minutes=n)) for n in range(121)]
    steps = [abs(after - before) for before, after in pairwise(prices)]
    assert 0 < max(steps) <= 0.005 * ondemand + 1e-4


def test_prices_return_to_what_is_usual_in_their_pool() -> None:
    market, ondemand = Market(7), ONDEMAND_PRICES["us-east-1"]["m5.large"]
    hours = [A_DAY + timedelta(hours=n) for n in range(24 * 60)]
    shares = [market.spot_price("m5.large", "us-east-1a", hour) / ondemand for hour in hours]
    mean = fmean(shares)
    assert USUAL[0] <= mean <= USUAL[1]
    far = [n for n in range(len(shares) - 24) if abs(shares[n] - mean) > 0.04]
    assert far
    assert fmean(abs(shares[n + 12] - mean) for n in far) < fmean(
        abs(shares[n] - mean) for n in far
    )


def test_which_pool_is_cheapest_changes_within_days() -> None:
    market = Market(7)
    cheapest = {
        min(
            zones_of("us-east-1"),
            key=lambda az: market.spot_price("m5.large", az, A_DAY + timedelta(hours=n)),
        )
        for n in range(72)
    }
    assert len(cheapest) > 1


@pytest.mark.parametrize(
    "pool", [("m5.large", "us-east-1z"), ("m9.huge", "us-east-1a"), ("m5.large", "x")]
)
def test_what_is_no_pool_has_no_price(pool: tuple[str, str]) -> None:
    with pytest.raises(KeyError):
        Market(7).spot_price(*pool, A_DAY)


def test_a_calm_market_and_on_demand_interrupt_nobody() -> None:
    pool = pool_id("m5.large", "us-east-1a")
    assert Market(7).fate("i-1", pool, A_DAY) == Fate()
    assert Market(7, interruptions_per_day=9).fate("i-1", None, A_DAY) == Fate()


@given(seeds, st.floats(0.01, 50))
def test_a_notice_follows_its_recommendation_and_comes_two_minutes_before_the_end(
    seed: int, per_day: float
) -> None:
    market = Market(seed, interruptions_per_day=per_day)
    fate = market.fate("i-1", "m5.large.us-east-1a", A_DAY)
    assert fate == market.fate("i-1", "m5.large.us-east-1a", A_DAY)
    assert fate.rebalance_at or fate.notice_at
    if fate.rebalance_at and fate.notice_at:
        assert A_DAY <= fate.rebalance_at < fate.notice_at
    assert fate.ends_at == (fate.notice_at and fate.notice_at + NOTICE)


def test_interruptions_come_as_often_as_is_asked_for_and_in_every_form() -> None:
    market, pool = Market(7, interruptions_per_day=2), "m5.large.us-east-1a"
    fates = [market.fate(f"i-{n}", pool, A_DAY) for n in range(2_000)]
    firsts = [fate.rebalance_at or fate.notice_at or A_DAY for fate in fates]
    days = fmean((first - A_DAY) / timedelta(days=1) for first in firsts)
    assert 0.2 < days < 2.2  # Half a day, as dangerous as this pool is against the average.
    forms = {(fate.rebalance_at is None, fate.notice_at is None) for fate in fates}
    assert forms == {(False, False), (False, True), (True, False)}
