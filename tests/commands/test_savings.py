"""What a switch has brought in money: by hand-made sums, and over any split of time."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.rules import savings
from commands.rules.savings import Flow, Rate, Stay

START = datetime(2024, 11, 26, 10, tzinfo=UTC)
DAY_SECONDS = 86_400

MOMENTS = st.integers(0, DAY_SECONDS).map(lambda seconds: START + timedelta(seconds=seconds))
PRICES = st.floats(0, 10) | st.none()


def hours(count: float) -> datetime:
    """So many hours after the switch."""
    return START + timedelta(hours=count)


@st.composite
def rates(draw: st.DrawFn) -> Rate:
    moments = sorted(draw(st.sets(MOMENTS, max_size=5)))
    return [(moment, draw(PRICES)) for moment in (START, *moments) if moment >= START]


@st.composite
def flows(draw: st.DrawFn) -> Flow:
    since = draw(MOMENTS)
    until = draw(st.none() | MOMENTS.filter(lambda moment: moment >= since))
    return Flow(rate=[(since, draw(PRICES))], since=since, until=until)


@st.composite
def stays(draw: st.DrawFn) -> Stay:
    return Stay(
        completed_at=START,
        ended_at=draw(st.none() | MOMENTS),
        old_price=draw(rates()),
        new_price=draw(rates()),
        old_gone_at=draw(st.none() | MOMENTS),
        replicas=draw(st.lists(flows(), max_size=3)),
        downtime_seconds=draw(st.floats(0, 600)),
        ondemand_price=draw(PRICES),
    )


@given(stay=stays(), cuts=st.lists(MOMENTS, min_size=1, max_size=8))
def test_the_parts_of_any_time_add_up_to_the_whole(stay: Stay, cuts: list[datetime]) -> None:
    moments = sorted([START, *cuts, hours(30)])
    parts = [savings.realised(stay, since=since, until=until) for since, until in pairwise(moments)]
    whole = savings.realised(stay, since=START, until=hours(30))
    assert sum(parts) == pytest.approx(whole, abs=1e-6)


@given(stay=stays(), moment=MOMENTS)
def test_what_is_settled_changes_no_more(stay: Stay, moment: datetime) -> None:
    if stay.is_settled and not stay.replicas:
        end = max(filter(None, (stay.ended_at, stay.old_gone_at)))
        at_the_end = savings.realised(stay, since=START, until=end)
        later = savings.realised(stay, since=START, until=max(end, moment) + timedelta(days=1))
        if end > START:
            assert later == pytest.approx(at_the_end, abs=1e-9)


def stay(**known: object) -> Stay:
    """From a pool at ten cents to one at four, with the old instance gone at once."""
    told = {
        "completed_at": START,
        "ended_at": None,
        "old_price": [(START, 0.10)],
        "new_price": [(START, 0.04)],
        "old_gone_at": START,
        **known,
    }
    return Stay(**told)  # type: ignore[arg-type]  # fields by name


REPLICA = Flow(rate=[(hours(1), 0.03)], since=hours(1), until=hours(3))


@pytest.mark.parametrize(
    ("one", "until_hours", "usd"),
    [
        (stay(), 10, 0.60),
        (stay(ended_at=hours(2)), 10, 0.12),
        (stay(old_gone_at=hours(1)), 10, 0.50),
        (stay(old_gone_at=None), 10, -0.40),
        (stay(new_price=[(START, 0.15)]), 10, -0.50),
        (stay(old_price=[(START, 0.10), (hours(5), 0.20)]), 10, 1.10),
        (stay(new_price=[(START, 0.04), (hours(5), 0.00)]), 10, 0.80),
        (stay(old_price=[(START, None)]), 10, 0.0),
        (stay(old_price=[(START, None), (hours(5), 0.10)]), 10, 0.30),
        (stay(replicas=[REPLICA]), 10, 0.54),
        (stay(replicas=[REPLICA], ended_at=hours(2)), 10, 0.09),
        (stay(downtime_seconds=600.0, ondemand_price=0.40), 10, 0.20),
        (stay(downtime_seconds=600.0, ondemand_price=None), 10, 0.60),
    ],
)
def test_a_sum_made_by_hand(one: Stay, until_hours: float, usd: float) -> None:
    assert savings.realised(one, since=START, until=hours(until_hours)) == pytest.approx(usd)


def test_a_reported_price_holds_until_the_pools_price_changes() -> None:
    prices = [(hours(-2), 0.05), (hours(1), 0.07)]
    assert savings.rate_since(START, 0.06, prices) == [(START, 0.06), (hours(1), 0.07)]
    assert savings.rate_since(START, None, prices) == [(START, 0.05), (hours(1), 0.07)]
    assert savings.rate_since(START, None, []) == [(START, None)]
    assert savings.rate_since(START, 0.06, prices, until=hours(0.5)) == [(START, 0.06)]


@given(stay=stays(), until=MOMENTS)
def test_prices_after_a_stay_is_settled_need_not_be_known(stay: Stay, until: datetime) -> None:
    settled_at = savings.settled_at(stay.ended_at, stay.old_gone_at) or hours(30)

    def known(rate: Rate) -> Rate:
        return [step for step in rate if step[0] <= settled_at]

    less = replace(stay, old_price=known(stay.old_price), new_price=known(stay.new_price))
    assert savings.realised(less, since=START, until=until) == pytest.approx(
        savings.realised(stay, since=START, until=until)
    )


@pytest.mark.parametrize(
    ("old", "new", "promised"),
    [([(START, 0.10)], [(START, 0.04)], 0.06), ([(START, 0.1)], [(START, 0.3)], -0.2),
     ([(START, None)], [(START, 0.04)], 0.0), ([], [], 0.0)],
)  # fmt: skip
def test_a_switch_promises_what_the_prices_say(old: Rate, new: Rate, promised: float) -> None:
    assert savings.promised(old, new, START) == pytest.approx(promised)


@pytest.mark.parametrize(("usd", "shown"), [(-0.004, "0.0"), (0.004, "0.0"), (-1.006, "-1.01")])
def test_an_amount_is_shown_in_whole_cents(usd: float, shown: str) -> None:
    assert str(savings.in_cents(usd)) == shown
