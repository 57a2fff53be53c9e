"""The rules alone: what a registration means, what a config may be, whose call counts."""

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter

from registry import rules
from registry.rules import DISABLED_CONFIG, FENCED_FOR_GOOD, Outcome
from spotkeeper_contracts import Refused
from spotkeeper_contracts.commands import Priority, Trigger
from spotkeeper_contracts.configs import AgentConfig, ConfigChange
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.values import (
    InstanceStatus,
    PoolId,
    PurchaseMode,
    canonical_pool,
    pool_name,
)

HOME, OTHER = "i-home", "i-other"
PRIMARY, STANDBY = InstanceStatus.PRIMARY, InstanceStatus.STANDBY
SUPERSEDED, ZOMBIE = InstanceStatus.SUPERSEDED, InstanceStatus.ZOMBIE
TERMINATED = InstanceStatus.TERMINATED


@pytest.mark.parametrize(
    ("instance_id", "primary_id", "status", "deleted", "moving", "outcome"),
    [
        (HOME, HOME, PRIMARY, False, False, Outcome.UPDATED),
        (HOME, HOME, PRIMARY, False, True, Outcome.UPDATED),
        (OTHER, HOME, None, False, False, Outcome.PROMOTED),
        (OTHER, HOME, SUPERSEDED, False, False, Outcome.PROMOTED),
        (OTHER, HOME, STANDBY, False, False, Outcome.PROMOTED),
        (OTHER, None, None, False, False, Outcome.PROMOTED),
        (OTHER, HOME, None, False, True, Outcome.STANDBY),
        (OTHER, HOME, SUPERSEDED, False, True, Outcome.STANDBY),
        (OTHER, HOME, STANDBY, False, True, Outcome.STANDBY),
        (OTHER, None, None, False, True, Outcome.PROMOTED),
        (HOME, HOME, PRIMARY, True, False, Outcome.REVIVED),
        (OTHER, HOME, None, True, False, Outcome.REVIVED),
        (OTHER, HOME, SUPERSEDED, True, True, Outcome.REVIVED),
        (OTHER, HOME, ZOMBIE, False, False, Outcome.ZOMBIE_REJECTED),
        (OTHER, HOME, ZOMBIE, False, True, Outcome.ZOMBIE_REJECTED),
        (OTHER, HOME, TERMINATED, False, False, Outcome.ZOMBIE_REJECTED),
        (OTHER, None, TERMINATED, False, False, Outcome.ZOMBIE_REJECTED),
        (OTHER, HOME, ZOMBIE, True, False, Outcome.ZOMBIE_REJECTED),
        (OTHER, HOME, TERMINATED, True, True, Outcome.ZOMBIE_REJECTED),
    ],
)
def test_what_a_registration_means(
    instance_id: str,
    primary_id: str | None,
    status: InstanceStatus | None,
    deleted: bool,
    moving: bool,
    outcome: Outcome,
) -> None:
    found = rules.outcome_of(
        instance_id,
        primary_id=primary_id,
        instance_status=status,
        deleted=deleted,
        moving=moving,
    )
    assert found is outcome


class Home:
    """Where an agent lives, by the rule alone: each outcome does here what it says."""

    def __init__(self, first: str) -> None:
        self.statuses = {first: PRIMARY}
        self.deleted = False

    @property
    def primaries(self) -> list[str]:
        return [id for id, status in self.statuses.items() if status is PRIMARY]

    def register(self, instance_id: str, *, moving: bool) -> None:
        (primary,) = self.primaries
        match rules.outcome_of(
            instance_id,
            primary_id=primary,
            instance_status=self.statuses.get(instance_id),
            deleted=self.deleted,
            moving=moving,
        ):
            case Outcome.PROMOTED | Outcome.REVIVED:
                self.statuses |= {primary: SUPERSEDED}
                self.statuses |= {instance_id: PRIMARY}
                self.deleted = False
            case Outcome.STANDBY:
                self.statuses[instance_id] = STANDBY

    def leave_behind(self, instance_id: str) -> None:
        if instance_id not in self.primaries:
            self.statuses[instance_id] = ZOMBIE


ids = st.sampled_from(["i-1", "i-2", "i-3", "i-4"])
happenings = st.lists(
    st.one_of(
        st.tuples(st.just("register"), ids, st.booleans()),
        st.tuples(st.just("leave behind"), ids, st.just(False)),
        st.tuples(st.just("delete"), ids, st.just(False)),
    ),
    max_size=30,
)


@given(first=ids, history=happenings)
def test_whatever_the_sequence_of_registrations_there_is_exactly_one_primary(
    first: str, history: list[tuple[str, str, bool]]
) -> None:
    home = Home(first)
    for what, instance_id, moving in history:
        gone = {id for id, status in home.statuses.items() if status in FENCED_FOR_GOOD}
        match what:
            case "register":
                home.register(instance_id, moving=moving)
            case "leave behind":
                home.leave_behind(instance_id)
            case _:
                home.deleted = True
        assert len(home.primaries) == 1
        assert not gone & set(home.primaries)


def test_a_spot_instance_lies_in_a_pool_and_an_on_demand_one_in_none() -> None:
    assert canonical_pool(PurchaseMode.SPOT, "m5.large", "us-east-1b") == "m5.large.us-east-1b"
    assert canonical_pool(PurchaseMode.ONDEMAND, "m5.large", "us-east-1b") is None


def test_an_instance_lies_where_it_is_told_to_lie_even_on_demand() -> None:
    on_demand = example(Instance, mode="on-demand", pool_id="reserved")
    where = {"instance_type": "m5.large", "az": "us-east-1b"}
    unnamed = example(Instance, mode="spot", pool_id=None, **where)
    assert rules.pool_of(on_demand) == "reserved"
    assert rules.pool_of(unnamed) == "m5.large.us-east-1b"


def test_the_longest_type_and_zone_still_make_a_pool_id() -> None:
    TypeAdapter(PoolId).validate_python(pool_name("t" * 64, "a" * 48))


def test_the_disabled_config_is_nothing_but_false_and_zero() -> None:
    assert not any(DISABLED_CONFIG.model_dump().values())


percents = st.floats(0, 100)
SETTINGS = {
    "enabled": st.booleans(),
    "auto_switch_enabled": st.booleans(),
    "manual_replica_enabled": st.booleans(),
    "terminate_wait_seconds": st.integers(0, 86_400),
    "replica_count": st.integers(0, 5),
    "min_savings_percent": percents,
    "risk_threshold": st.floats(0, 1),
    "preferred_replica_pools": st.lists(st.sampled_from(["a", "b"]), max_size=2),
}


def is_valid(config: AgentConfig) -> bool:
    return not (config.auto_switch_enabled and config.manual_replica_enabled)


changes = st.fixed_dictionaries({}, optional=SETTINGS).map(ConfigChange.model_validate)
configs = (
    st.fixed_dictionaries(SETTINGS, optional={"config_version": st.integers(1, 100)})
    .map(AgentConfig.model_validate)
    .filter(is_valid)
)


@given(current=configs, named=st.sets(st.sampled_from(sorted(SETTINGS))))
def test_a_change_of_nothing_is_the_same_config(current: AgentConfig, named: set[str]) -> None:
    change = ConfigChange.model_validate(current.model_dump(include=named))
    assert rules.config_after(current, change) is current


@given(current=configs, change=changes)
def test_a_change_raises_the_version_by_one_and_touches_only_what_it_names(
    current: AgentConfig, change: ConfigChange
) -> None:
    wanted = current.model_copy(update=change.settings())
    if not is_valid(wanted):
        with pytest.raises(Refused, match="INVALID_CONFIGURATION"):
            rules.config_after(current, change)
        return
    changed = rules.config_after(current, change)
    different = rules.difference(current, changed)
    assert different == {k: v for k, v in change.settings().items() if getattr(current, k) != v}
    assert changed.config_version == current.config_version + bool(different)
    assert changed == wanted.model_copy(update={"config_version": changed.config_version})


@pytest.mark.parametrize(
    "steps",
    [
        [["auto_switch_enabled", "manual_replica_enabled"]],
        [["auto_switch_enabled"], ["manual_replica_enabled"]],
        [["manual_replica_enabled"], ["auto_switch_enabled"]],
    ],
)
def test_flags_that_exclude_each_other_are_refused_in_any_order(steps: list[list[str]]) -> None:
    config = AgentConfig(auto_switch_enabled=False)
    *before, last = [ConfigChange.model_validate(dict.fromkeys(names, True)) for names in steps]
    for change in before:
        config = rules.config_after(config, change)
    with pytest.raises(Refused, match="INVALID_CONFIGURATION") as refused:
        rules.config_after(config, last)
    assert refused.value.refusal.status == 400


@given(current=configs, earlier=configs)
def test_an_earlier_version_comes_back_as_the_next_one(
    current: AgentConfig, earlier: AgentConfig
) -> None:
    restored = rules.config_as(current, earlier)
    assert rules.difference(restored, earlier) == {}
    if rules.difference(current, earlier):
        assert restored.config_version == current.config_version + 1
    else:
        assert restored is current


@given(before=configs, after=configs)
def test_the_difference_leads_from_one_config_to_the_other(
    before: AgentConfig, after: AgentConfig
) -> None:
    different = rules.difference(before, after)
    assert "config_version" not in different
    assert rules.difference(before.model_copy(update=different), after) == {}


@pytest.mark.parametrize(
    ("instance_id", "primary_id", "may"),
    [
        (None, HOME, True),
        (None, None, True),
        (HOME, HOME, True),
        (OTHER, HOME, False),
        (OTHER, None, False),
    ],
)
def test_a_call_counts_that_names_the_primary_or_nobody(
    instance_id: str | None, primary_id: str | None, may: bool
) -> None:
    assert rules.may_act(instance_id, primary_id=primary_id) is may


SPOT, ONDEMAND = PurchaseMode.SPOT, PurchaseMode.ONDEMAND


@pytest.mark.parametrize(
    ("target", "current", "there"),
    [
        ((SPOT, "a"), (SPOT, "a"), True),
        ((SPOT, "b"), (SPOT, "a"), False),
        ((SPOT, "a"), (ONDEMAND, "a"), False),
        ((ONDEMAND, None), (SPOT, "a"), False),
        ((ONDEMAND, None), (ONDEMAND, None), True),
        ((ONDEMAND, None), (ONDEMAND, "a"), True),
    ],
)
def test_a_switch_leads_nowhere_in_the_same_pool_or_on_demand(
    target: tuple[PurchaseMode, str | None], current: tuple[PurchaseMode, str | None], there: bool
) -> None:
    found = rules.is_there(*target, current_mode=current[0], current_pool=current[1])
    assert found is there


@pytest.mark.parametrize(
    ("trigger", "urgent", "priority"),
    [
        (Trigger.EMERGENCY, False, Priority.EMERGENCY),
        (Trigger.MANUAL, True, Priority.MANUAL),
        (Trigger.AUTOMATIC, True, Priority.URGENT),
        (Trigger.AUTOMATIC, False, Priority.NORMAL),
    ],
)
def test_an_automatic_switch_is_urgent_only_while_it_flees_risk(
    trigger: Trigger, urgent: bool, priority: int
) -> None:
    assert rules.priority_of(trigger, urgent=urgent) == priority
