"""The simulated world follows from its seed, and looks like a real one."""

from collections import Counter
from datetime import UTC, datetime, timedelta
from itertools import pairwise

from hypothesis import given
from hypothesis import strategies as st

from spotkeeper_agent.cloud import ONDEMAND_PRICES, Instance, SimulatedCloud
from spotkeeper_agent.fleet import fleet

seeds = st.integers()
moments = st.datetimes(datetime(2020, 1, 1), datetime(2100, 1, 1), timezones=st.just(UTC))


def homes(agents: int, seed: int) -> dict[str, Instance]:
    return fleet(SimulatedCloud(seed), agents, seed=seed)


@given(st.integers(0, 40), st.integers(0, 40), seeds)
def test_a_larger_fleet_begins_with_the_smaller_one(few: int, more: int, seed: int) -> None:
    few, more = sorted((few, more))
    smaller, larger = homes(few, seed), homes(more, seed)
    assert list(smaller.items()) == list(larger.items())[:few]


def test_names_are_numbers_that_sort() -> None:
    assert list(homes(100, 7))[::33] == ["agent-01", "agent-34", "agent-67", "agent-100"]


def test_another_seed_is_another_fleet() -> None:
    ours, others = homes(50, 7), homes(50, 8)
    assert not {i.instance_id for i in ours.values()} & {i.instance_id for i in others.values()}


def test_a_thousand_instances_have_ids_of_their_own() -> None:
    assert len({instance.instance_id for instance in homes(1_000, 7).values()}) == 1_000


def test_a_fleet_is_spread_over_zones_and_types_and_lives_mostly_on_spot() -> None:
    instances = homes(1_000, 7).values()
    zones = Counter(instance.az for instance in instances)
    types = Counter(instance.instance_type for instance in instances)
    modes = Counter(instance.mode for instance in instances)
    assert (len(zones), len(types)) == (6, 6)
    assert min(zones.values()) > 120
    assert min(types.values()) > 120
    assert 800 < modes["spot"] < 900


@given(moments, seeds)
def test_spot_prices_lie_well_below_on_demand_prices(at: datetime, seed: int) -> None:
    cloud = SimulatedCloud(seed)
    for instance in homes(5, seed).values():
        ondemand = ONDEMAND_PRICES[instance.region][instance.instance_type]
        assert cloud.ondemand_price(instance) == ondemand
        assert 0.19 * ondemand < cloud.spot_price(instance, at) < 0.51 * ondemand


@given(moments, seeds)
def test_prices_move_but_do_not_jump(at: datetime, seed: int) -> None:
    cloud = SimulatedCloud(seed)
    (instance,) = homes(1, seed).values()
    minutes = [at + timedelta(minutes=n) for n in range(121)]
    prices = [cloud.spot_price(instance, minute) for minute in minutes]
    steps = [abs(after - before) for before, after in pairwise(prices)]
    assert 0 < max(steps) <= 0.011 * cloud.ondemand_price(instance) + 1e-4


def test_agents_of_one_pool_see_one_price() -> None:
    cloud, at = SimulatedCloud(7), datetime(2024, 11, 26, 10, tzinfo=UTC)
    seen: dict[str, set[float]] = {}
    for instance in homes(500, 7).values():
        if instance.pool_id is not None:
            seen.setdefault(instance.pool_id, set()).add(cloud.spot_price(instance, at))
    assert len(seen) == 36
    assert all(len(prices) == 1 for prices in seen.values())
