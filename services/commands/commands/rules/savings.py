"""What a switch has brought in money: metered by the hour, and never made to look better.

A switch earns the difference of two prices for as long as the agent stays where it went. It pays
for the old instance until that is gone, for replicas, and for the time in which nothing ran. Of a
deleted agent nobody can tell what became of the old instance: it pays for that until the deletion.
"""

from bisect import bisect_right
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

SECONDS_PER_HOUR = 3600
DOWNTIME_FACTOR = 6
"""An hour in which nothing runs costs as much as so many hours on demand."""

METER_SOONEST, METER_LATEST = timedelta(seconds=30), timedelta(hours=1)
SETTLE_AFTER = timedelta(minutes=1)
"""So long prices of a stay are waited for when it has ended: they come by way of ratings."""

Rate = Sequence[tuple[datetime, float | None]]
"""The price of an hour from each moment on, in order; None where it is unknown."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Flow:
    """Money that flows by the hour from one moment to another, or until now."""

    rate: Rate
    since: datetime
    until: datetime | None = None


@dataclass(frozen=True, slots=True, kw_only=True)
class Stay:
    """The time on the instance that an agent switched to, with all that it is charged with."""

    completed_at: datetime
    ended_at: datetime | None
    old_price: Rate
    new_price: Rate
    old_gone_at: datetime | None
    replicas: Sequence[Flow] = ()
    downtime_seconds: float = 0.0
    ondemand_price: float | None = None

    @property
    def is_settled(self) -> bool:
        """Whether time will change nothing any more."""
        return settled_at(self.ended_at, self.old_gone_at) is not None


def settled_at(ended_at: datetime | None, old_gone_at: datetime | None) -> datetime | None:
    """When the agent had left and the old instance was gone: no later price concerns the stay."""
    return max(ended_at, old_gone_at) if ended_at is not None and old_gone_at is not None else None


def metered_next(completed_at: datetime, now: datetime) -> datetime:
    """When it is told again what a switch has brought: once it is twice as old, within limits."""
    return now + min(max(now - completed_at, METER_SOONEST), METER_LATEST)


def realised(stay: Stay, *, since: datetime, until: datetime) -> float:
    """What the switch brought from `since` until `until`; parts of a time add up to the whole."""
    saved = Flow(
        rate=difference(stay.old_price, stay.new_price),
        since=stay.completed_at,
        until=stay.ended_at,
    )
    overlap = Flow(rate=stay.old_price, since=stay.completed_at, until=stay.old_gone_at)
    standby = [_during(stay, replica) for replica in stay.replicas]
    costs = sum(accrued(flow, since=since, until=until) for flow in (overlap, *standby))
    if since <= stay.completed_at < until:
        costs += downtime_cost(stay.downtime_seconds, stay.ondemand_price)
    return accrued(saved, since=since, until=until) - costs


def downtime_cost(seconds: float, ondemand_price: float | None) -> float:
    """What it cost that nothing ran for so long."""
    return seconds / SECONDS_PER_HOUR * (ondemand_price or 0.0) * DOWNTIME_FACTOR


def accrued(flow: Flow, *, since: datetime, until: datetime) -> float:
    """What flowed from `since` until `until`; where the price is unknown, nothing did."""
    start = max(since, flow.since)
    stop = until if flow.until is None else min(until, flow.until)
    total = 0.0
    for index, (moment, price) in enumerate(flow.rate):
        begins = max(start, moment)
        ends = min(stop, flow.rate[index + 1][0]) if index + 1 < len(flow.rate) else stop
        if price is not None and begins < ends:
            total += price * (ends - begins).total_seconds() / SECONDS_PER_HOUR
    return total


def difference(old: Rate, new: Rate) -> Rate:
    """What the old price was above the new one; unknown where one of them is."""
    moments = sorted({moment for moment, _ in (*old, *new)})
    return [(moment, _minus(price_at(old, moment), price_at(new, moment))) for moment in moments]


def rate_since(
    moment: datetime,
    reported: float | None,
    prices: Sequence[tuple[datetime, float]],
    *,
    until: datetime | None = None,
) -> Rate:
    """What an hour cost from a moment on: as reported, then as the pool's price changed.

    Where nothing was reported, the price that the pool had last counts. What changed after
    `until` is left out.
    """
    begin = bisect_right(prices, moment, key=_moment)
    end = len(prices) if until is None else bisect_right(prices, until, key=_moment)
    first = reported if reported is not None else price_at(prices, moment)
    return [(moment, first), *prices[begin:end]]


def price_at(rate: Rate, moment: datetime) -> float | None:
    """The price that held at a moment."""
    index = bisect_right(rate, moment, key=_moment)
    return rate[index - 1][1] if index else None


def in_cents(usd: float) -> float:
    """The amount in whole cents; a loss of less than half a cent is nothing, not minus nothing."""
    return round(usd, 2) + 0.0


def promised(old: Rate, new: Rate, moment: datetime) -> float:
    """What an hour was to save by the prices at the switch; nothing if they are unknown."""
    return _minus(price_at(old, moment), price_at(new, moment)) or 0.0


def _moment(step: tuple[datetime, float | None]) -> datetime:
    return step[0]


def _minus(old: float | None, new: float | None) -> float | None:
    return None if old is None or new is None else old - new


def _during(stay: Stay, flow: Flow) -> Flow:
    """The part of a flow that lies in the stay."""
    ends = [moment for moment in (flow.until, stay.ended_at) if moment is not None]
    since = max(flow.since, stay.completed_at)
    return Flow(rate=flow.rate, since=since, until=min(ends, default=None))
