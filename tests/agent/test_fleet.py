"""The simulated fleet follows from its seed, and looks like a real one."""

from collections import Counter

from hypothesis import given
from hypothesis import strategies as st

from spotkeeper_agent.cloud import Instance
from spotkeeper_agent.fleet import fleet

seeds = st.integers()


def homes(agents: int, seed: int) -> dict[str, Instance]:
    return fleet(agents, seed=seed)


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
