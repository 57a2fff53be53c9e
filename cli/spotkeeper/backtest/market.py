"""A recorded market on a grid of ticks: prices, and which pools were up.

Arrays are [ticks, types, pools]; types with fewer pools are filled up with pools that are never up.
"""

from collections import defaultdict
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace

import numpy as np
import numpy.typing as npt

from decision.features import Floats, PoolRecord
from decision.places import named_pool, region_of
from decision.prior import Advisor
from decision.recordings import PriceSeries, RecordingError, Trace

FEWEST_ZONES = 2
MOST_NAMED = 5
SPOT_ABOVE_ONDEMAND = 1.001
"""A type whose spot price goes higher is from another regime, or its on-demand price is wrong."""
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class MarketPool:
    """A pool with its prices, and its availability if that was recorded."""

    pool_id: str
    series: PriceSeries
    trace: Trace | None


@dataclass(frozen=True)
class MarketType:
    """An instance type in a region."""

    instance_type: str
    region: str
    ondemand_price: float
    prior_per_h: float
    pools: Sequence[MarketPool]


@dataclass(frozen=True)
class Market:
    """Everything that is known at each tick, in hours since the epoch.

    `fell` tells that a pool was down at any time since the tick before, `up` that it is up and has
    a price. Without traces every pool with a price is up, and none ever falls. `left_out` says why
    types take no part, by their name and region. After `data_until` nothing changes.
    """

    at: Floats
    tick_hours: float
    types: Sequence[MarketType]
    price: Floats
    up: Booleans
    fell: Booleans
    traced: bool
    left_out: Mapping[str, str]
    data_until: float

    def record(self, pool: MarketPool) -> PoolRecord:
        """What a fleet that always had an instance in the pool would have seen, since the start.

        Without traces it has run there since the first known price, and nothing befell it.
        """
        if pool.trace:
            return pool.trace.record(float(self.at[0]))
        never = np.zeros(0)
        return PoolRecord(never, pool.series.changed_at[:1] - self.at[0], never)


def market_of(
    series: Sequence[PriceSeries],
    ondemand: dict[str, dict[str, float]],
    advisor: Advisor,
    traces: Sequence[Trace] | None,
    at: Floats,
    *,
    ends: float,
    tick_hours: float,
) -> Market:
    """The market of all types that can be judged; raises `RecordingError` if there are none.

    `ondemand` has USD per hour by region and type. With traces, only their pools take part. Who
    takes part depends on the prices until `ends`, and not on how often decisions are made.
    """
    by_type: dict[tuple[str, str], list[PriceSeries]] = defaultdict(list)
    for one in series:
        by_type[one.instance_type, region_of(one.az)].append(one)
    data_until = max(float(one.changed_at[-1]) for one in series)
    traced = None
    if traces is not None:
        traces = [_known_from(one, float(at[0])) for one in traces]
        traced = _traces_by_pool(series, traces)
        data_until = min(data_until, max(one.told_until for one in traces))
    types, left_out = [], {}
    for (instance_type, region), told in sorted(by_type.items()):
        if not _pools(told, traced):
            continue
        price = ondemand[region].get(instance_type)
        priced = [one for one in told if one.changed_at[0] <= at[0]]
        pools = _pools(priced, traced)
        why_not = _why_not(priced, pools, price, float(at[0]), ends)
        if price is None or why_not:
            left_out[f"{instance_type}.{region}"] = why_not
            continue
        prior = advisor.prior_per_h(instance_type, region)
        types.append(MarketType(instance_type, region, price, prior, pools))
    if not types:
        raise RecordingError(f"No instance type takes part: {'; '.join(in_short(left_out))}.")
    return _on_grid(types, at, tick_hours, traced is not None, left_out, data_until)


def in_short(left_out: Mapping[str, str]) -> list[str]:
    """Why types take no part, a clause per reason, with the first types that it concerns."""
    by_reason = defaultdict(list)
    for name, why in left_out.items():
        by_reason[why].append(name)
    return [
        f"{', '.join(names[:MOST_NAMED])}"
        + (f" and {len(names) - MOST_NAMED} more" if len(names) > MOST_NAMED else "")
        + f": {why}"
        for why, names in sorted(by_reason.items())
    ]


def types_asked_for(
    series: Sequence[PriceSeries], traces: Sequence[Trace] | None
) -> dict[str, set[str]]:
    """By region, the types with spot prices and, if there is a trace, pools in it."""
    traced = None if traces is None else _traces_by_pool(series, traces)
    found: dict[str, set[str]] = {region_of(one.az): set() for one in series}
    for one in series:
        if traced is None or (one.instance_type, one.az) in traced:
            found[region_of(one.az)].add(one.instance_type)
    return found


def _why_not(
    priced: Sequence[PriceSeries],
    pools: Sequence[MarketPool],
    ondemand_price: float | None,
    begins: float,
    ends: float,
) -> str:
    """Why a type cannot be judged; nothing if it can be."""
    if ondemand_price is None:
        return "no on-demand price"
    if len(priced) < FEWEST_ZONES:
        return "fewer than two zones with a spot price at the start"
    if max(_highest(one, begins, ends) for one in priced) > SPOT_ABOVE_ONDEMAND * ondemand_price:
        return "a spot price above on-demand"
    return "" if pools else "no pool of the trace with a spot price at the start"


def _highest(series: PriceSeries, begins: float, ends: float) -> float:
    """The highest price from the one in force at the beginning to the last before the end."""
    first = int(np.searchsorted(series.changed_at, begins, side="right")) - 1
    last = int(np.searchsorted(series.changed_at, ends, side="left"))
    return float(series.prices[first:last].max())


def _at(series: PriceSeries, at: Floats) -> Floats:
    """The last price at or before each moment."""
    last = np.searchsorted(series.changed_at, at, side="right") - 1
    return np.asarray(series.prices[last])


def _known_from(trace: Trace, begins: float) -> Trace:
    """The trace, its first state told of no later than at the beginning.

    A first entry tells how a pool was when somebody began to look, and not that it changed then.
    """
    first = np.minimum(trace.changed_at[:1], begins)
    return replace(trace, changed_at=np.concatenate([first, trace.changed_at[1:]]))


def _traces_by_pool(
    series: Sequence[PriceSeries], traces: Sequence[Trace]
) -> dict[tuple[str, str], Trace]:
    known = {(one.instance_type, one.az) for one in series}
    found: dict[tuple[str, str], Trace] = {}
    for trace in traces:
        pool = named_pool(trace.pool_id, known)
        if pool in found:
            both = f"{found[pool].pool_id} and {trace.pool_id}"
            raise RecordingError(f"The trace has two names of one pool: {both}.")
        if pool in known:
            found[pool] = trace
    if not found:
        raise RecordingError("No pool of the trace has spot prices; name them like type.az.")
    return found


def _pools(
    priced: Sequence[PriceSeries], traced: dict[tuple[str, str], Trace] | None
) -> list[MarketPool]:
    if traced is None:
        return [MarketPool(one.pool_id, one, None) for one in priced]
    found = ((one, traced.get((one.instance_type, one.az))) for one in priced)
    return [MarketPool(trace.pool_id, one, trace) for one, trace in found if trace]


def _on_grid(
    types: Sequence[MarketType],
    at: Floats,
    tick_hours: float,
    traced: bool,
    left_out: Mapping[str, str],
    data_until: float,
) -> Market:
    shape = (len(at), len(types), max(len(one.pools) for one in types))
    price, up, fell = np.full(shape, np.nan), np.zeros(shape, bool), np.zeros(shape, bool)
    before = np.concatenate([at[:1] - tick_hours, at[:-1]])
    for k, one in enumerate(types):
        for p, pool in enumerate(one.pools):
            price[:, k, p] = _at(pool.series, at)
            up[:, k, p] = True
            if pool.trace:
                up[:, k, p] = _up(pool.trace, at)
                fell[:, k, p] = _fell(pool.trace, at, before)
    return Market(at, tick_hours, types, price, up, fell, traced, left_out, data_until)


def _up(trace: Trace, at: Floats) -> Booleans:
    """Whether it is up, at moments from the first entry on."""
    return np.asarray(trace.up[np.searchsorted(trace.changed_at, at, side="right") - 1])


def _fell(trace: Trace, at: Floats, before: Floats) -> Booleans:
    """Down at the tick, at the tick before, or for some time between; the first entry is no fall.

    Both ends of the time between are ticks: a difference of hours would miss them by its rounding.
    """
    downs = trace.changed_at[1:][~trace.up[1:]]
    passed = np.searchsorted(downs, at, side="right") > np.searchsorted(downs, before, side="right")
    began_down = ~_up(trace, np.maximum(before, trace.changed_at[0]))
    return np.asarray(passed | ~_up(trace, at) | began_down)
