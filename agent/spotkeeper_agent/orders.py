"""Commands as an agent fetches them, and what speaks against carrying one out. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Any, Literal

from spotkeeper_agent.cloud import Instance, Mode


@dataclass(frozen=True, slots=True, kw_only=True)
class Order:
    """A command with its preconditions."""

    command_id: str
    command_type: str
    target_pool: str | None
    target_mode: Mode | None
    trigger: Literal["automatic", "manual", "emergency"]
    replica_id: str | None
    expected_instance_id: str | None
    expected_pool: str | None
    max_price: float | None
    not_after: datetime | None
    epoch: int

    @classmethod
    def of(cls, command: Mapping[str, Any]) -> "Order":
        """The order in a command's JSON."""
        parameters = command["parameters"]
        not_after = parameters.get("not_after")
        return cls(
            command_id=command["command_id"],
            command_type=command["command_type"],
            target_pool=command["target_pool"],
            target_mode=command["target_mode"],
            trigger=parameters["trigger"],
            replica_id=parameters.get("replica_id"),
            expected_instance_id=parameters.get("expected_instance_id"),
            expected_pool=parameters.get("expected_pool"),
            max_price=parameters.get("max_price"),
            not_after=not_after and datetime.fromisoformat(not_after),
            epoch=parameters["epoch"],
        )


def objection(order: Order, instance: Instance, *, epoch: int, now: datetime) -> str | None:
    """What speaks against an order, on this instance in this epoch of its agent."""
    if order.not_after is not None and now > order.not_after:
        return f"not_after: it was to be carried out by {order.not_after.isoformat()}"
    if order.expected_instance_id not in (None, instance.instance_id):
        return f"expected_instance_id: this is {instance.instance_id}"
    if order.expected_pool not in (None, instance.pool_id):
        return f"expected_pool: the instance runs in {instance.pool_id or 'no pool'}"
    is_named = order.expected_instance_id is not None
    if order.epoch < epoch or (order.epoch > epoch and not is_named):
        return f"epoch: the agent is in epoch {epoch}"
    return None


def objection_to_price(order: Order, price: float) -> str | None:
    """What speaks against an order at the price that its target has now."""
    if order.max_price is not None and price > order.max_price:
        return f"max_price: {order.target_pool} costs {price} by now"
    return None
