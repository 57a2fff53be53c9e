"""What speaks against an order, by its preconditions."""

from dataclasses import replace
from datetime import timedelta
from typing import Any

import pytest

from spotkeeper_agent.orders import Order, objection, objection_to_price
from tests.agent.worlds import BEGAN_AT, cloud_with_a_home, home_of, switch_command

HERE = home_of(cloud_with_a_home()).instance


def order(**parameters: Any) -> Order:
    return Order.of(switch_command(**parameters))


def against(order: Order, *, epoch: int = 3, minutes: float = 0) -> str | None:
    now = BEGAN_AT + timedelta(minutes=minutes)
    return objection(order, HERE, epoch=epoch, now=now)


def test_an_order_whose_preconditions_hold_is_carried_out() -> None:
    assert against(order()) is None
    assert against(order(expected_instance_id=None, expected_pool=None, not_after=None)) is None


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"expected_instance_id": "i-another"}, "expected_instance_id"),
        ({"expected_pool": "m5.large.us-east-1c"}, "expected_pool"),
        ({"not_after": "2025-12-31T23:59:59Z"}, "not_after"),
        ({"epoch": 2}, "epoch"),
        ({"epoch": 4, "expected_instance_id": None}, "epoch"),
    ],
)
def test_an_order_for_other_circumstances_is_not_carried_out(
    parameters: dict[str, Any], word: str
) -> None:
    assert (against(order(**parameters)) or "").startswith(f"{word}: ")


def test_an_instance_that_is_named_believes_in_an_epoch_that_it_has_not_heard_of() -> None:
    assert against(order(epoch=4)) is None


def test_an_order_may_be_carried_out_until_its_last_moment() -> None:
    soon = order(not_after=(BEGAN_AT + timedelta(minutes=1)).isoformat())
    assert against(soon, minutes=1) is None
    assert against(soon, minutes=1.01) is not None


def test_an_instance_on_demand_is_in_no_pool() -> None:
    on_demand = replace(HERE, mode="ondemand")
    assert objection(order(), on_demand, epoch=3, now=BEGAN_AT) is not None
    unbound = order(expected_pool=None)
    assert objection(unbound, on_demand, epoch=3, now=BEGAN_AT) is None


def test_a_price_above_the_limit_speaks_against_an_order() -> None:
    assert objection_to_price(order(max_price=0.04), 0.04) is None
    assert objection_to_price(order(max_price=0.04), 0.0401) is not None
    assert objection_to_price(order(), 999) is None
