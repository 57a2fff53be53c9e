"""The life of a command: what may follow what, who gets it when, what speaks against it."""

from datetime import UTC, datetime, timedelta
from itertools import pairwise
from typing import Any
from uuid import UUID

import pytest
from hypothesis import given
from hypothesis import strategies as st

from commands.rules import lifecycle
from commands.rules.lifecycle import Order
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStatus, CommandType, Trigger
from tests.commands.fleet import HOME, agent

NOW = datetime(2024, 11, 26, 10, tzinfo=UTC)
OTHER = "i-other"
ENDED = sorted(lifecycle.ENDED)
STATUSES = st.sampled_from(list(CommandStatus))


def order(**known: Any) -> Order:
    """A manual switch of an agent at home, queued a minute ago."""
    told = {
        "id": UUID(int=1),
        "command_type": CommandType.SWITCH,
        "status": CommandStatus.QUEUED,
        "priority": 75,
        "trigger": Trigger.MANUAL,
        "replica_id": None,
        "expected_instance_id": HOME,
        "created_at": NOW - timedelta(minutes=1),
        "expires_at": NOW + timedelta(minutes=59),
        "lease_until": None,
        **known,
    }
    return Order(**told)


@given(steps=st.lists(STATUSES, max_size=12))
def test_whatever_is_tried_a_command_ends_once_and_for_good(steps: list[CommandStatus]) -> None:
    life = [CommandStatus.QUEUED]
    for step in steps:
        if lifecycle.may_become(life[-1], step):
            life.append(step)
    assert sum(lifecycle.has_ended(status) for status in life) <= 1
    assert CommandStatus.QUEUED not in life[1:]
    executing = [index for index, status in enumerate(life) if status is CommandStatus.EXECUTING]
    assert all(life[index - 1] is CommandStatus.DELIVERED for index in executing)


@given(status=STATUSES, said=st.sampled_from(sorted(lifecycle.END_OF.values())))
def test_the_same_report_is_a_repeat_and_another_is_refused(
    status: CommandStatus, said: CommandStatus
) -> None:
    if lifecycle.has_ended(status) and status is not said:
        with pytest.raises(Refused) as refused:
            lifecycle.is_repeat(status, said)
        assert refused.value.refusal.status == 409
    else:
        assert lifecycle.is_repeat(status, said) is (status is said)


@pytest.mark.parametrize(
    ("known", "is_free"),
    [
        ({}, True),
        ({"lease_until": NOW + timedelta(seconds=1)}, False),
        ({"lease_until": NOW}, True),
        ({"expires_at": NOW}, False),
        ({"expires_at": NOW + timedelta(seconds=1)}, True),
        *(({"status": status}, False) for status in ENDED),
    ],
)
def test_what_nobody_has_in_hand_is_free(known: dict[str, Any], is_free: bool) -> None:
    assert lifecycle.is_free(order(**known), NOW) is is_free


@pytest.mark.parametrize(
    ("known", "state", "objection"),
    [
        ({}, agent(), None),
        ({}, agent({"auto_switch_enabled": False}), "gate_closed"),
        ({}, agent({"enabled": False}), "gate_closed"),
        ({"trigger": Trigger.AUTOMATIC}, agent({"auto_switch_enabled": False}), "gate_closed"),
        ({"trigger": Trigger.EMERGENCY}, agent({"auto_switch_enabled": False}), None),
        *(
            ({"trigger": trigger}, agent(setting), objection)
            for setting in ({"decision_engine_active": False}, {"emergency_rebalance_only": True})
            for trigger, objection in (
                (Trigger.AUTOMATIC, "gate_closed"),
                (Trigger.MANUAL, None),
                (Trigger.EMERGENCY, None),
            )
        ),
        ({"trigger": Trigger.EMERGENCY}, agent(instance_id=OTHER), "superseded"),
        ({}, agent(instance_id=OTHER), "superseded"),
        ({}, agent(instance_id=None), None),
        ({}, agent(deleted=True), "agent_deleted"),
        ({"command_type": CommandType.CREATE_REPLICA}, agent({"enabled": False}), None),
        ({"command_type": CommandType.CREATE_REPLICA}, agent(instance_id=OTHER), None),
        ({"command_type": CommandType.CREATE_REPLICA}, agent(deleted=True), "agent_deleted"),
    ],
)
def test_what_speaks_against_a_command(
    known: dict[str, Any], state: AgentState, objection: str | None
) -> None:
    assert lifecycle.objection(order(**known), state) == objection
    assert lifecycle.is_deliverable(order(**known), state, NOW) is (objection is None)


@given(
    told=st.lists(st.tuples(st.sampled_from([10, 25, 50, 75, 100]), st.integers(0, 5)), max_size=8)
)
def test_the_most_urgent_comes_first_and_of_equals_the_oldest(told: list[tuple[int, int]]) -> None:
    orders = [
        order(id=UUID(int=index), priority=priority, created_at=NOW + timedelta(seconds=age))
        for index, (priority, age) in enumerate(told)
    ]
    found = lifecycle.by_urgency(orders)
    assert sorted(one.id for one in found) == sorted(one.id for one in orders)
    for one, following in pairwise(found):
        assert one.priority >= following.priority
        assert one.priority > following.priority or one.created_at <= following.created_at


def test_the_clock_changes_something_when_a_lease_or_a_life_is_over() -> None:
    soon, past = NOW + timedelta(seconds=5), NOW - timedelta(seconds=5)
    orders = [order(lease_until=soon), order(lease_until=past), order(status=ENDED[0])]
    assert sorted(lifecycle.next_changes(orders, NOW)) == [soon, *[orders[0].expires_at] * 2]
