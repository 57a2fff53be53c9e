"""Samples: what the model would have read at a moment, and whether the interruption then came."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

from decision.features import Evidence, Floats, Integers, PoolRecord, Rows, candidate_rows, own_rows
from decision.prior import Advisor
from decision.recordings import Trace

EVERY_HOURS = 0.5
HORIZONS = (1.0, 4.0, 24.0)
Booleans = npt.NDArray[np.bool_]


@dataclass(frozen=True)
class Place:
    """A pool's instance type and region: what siblings share."""

    instance_type: str
    region: str


@dataclass(frozen=True)
class Recording:
    """Pools that were watched together until `ends_at`, in hours since the epoch."""

    name: str
    traces: Sequence[Trace]
    places: Sequence[Place]
    ends_at: float


@dataclass(frozen=True)
class Samples:
    """A row per moment and pool that was up, as for a candidate, with what came after.

    `interrupted` and `known` are [n, 3], a column per horizon: an interruption came within it, and
    the recording goes on for as long.
    """

    at: Floats
    rows: Rows
    uptime_hours: Floats
    notices: Integers
    interrupted: Booleans
    known: Booleans


def samples_of(recording: Recording, advisor: Advisor) -> Samples:
    """A sample every half hour of each pool that is up, with a fleet in every pool."""
    begins = min(float(trace.changed_at[0]) for trace in recording.traces)
    ends = recording.ends_at - begins
    at = np.arange(0.0, ends, EVERY_HOURS)
    records = [trace.record(begins) for trace in recording.traces]
    rows = _rows(recording, records, at, advisor)
    parts = [_pool(record, at, ends, rows[:, i]) for i, record in enumerate(records)]
    return Samples(*(np.concatenate(column) for column in zip(*parts, strict=True)))


def joined(samples: Sequence[Samples]) -> Samples:
    """Several recordings' samples as one."""
    columns = zip(*(vars(one).values() for one in samples), strict=True)
    return Samples(*(np.concatenate(column) for column in columns))


def before(samples: Samples, split: float) -> tuple[Samples, Samples]:
    """The samples whose outcome was known at a moment of their recording, and those after it."""
    early, late = samples.at + max(HORIZONS) <= split, samples.at >= split
    first, second = (Samples(*(v[part] for v in vars(samples).values())) for part in (early, late))
    return first, second


def with_uptime_of_every_other(samples: Samples) -> Rows:
    """The rows, every other one as for an instance that has run since the pool came up."""
    rows = samples.rows.copy()
    rows[::2] = own_rows(samples.rows[::2], samples.uptime_hours[::2])
    return rows


def evidence_at(
    records: Sequence[PoolRecord], group: Integers, prior_per_h: Floats, at: Floats
) -> Evidence:
    """The evidence at each moment for each pool, [t * p] rows; other moments are other groups."""
    counted = [record.counted(at) for record in records]
    notices, exposure, since = (np.stack(column, axis=1) for column in zip(*counted, strict=True))
    moments, pools = since.shape
    groups = (np.arange(moments)[:, None] * (int(group.max()) + 1) + group).ravel()
    return Evidence(
        notices.reshape(moments * pools, -1),
        exposure.reshape(moments * pools, -1),
        since.ravel(),
        np.tile(prior_per_h, moments),
        groups,
    )


def _rows(
    recording: Recording, records: Sequence[PoolRecord], at: Floats, advisor: Advisor
) -> Rows:
    """[t, p, 10]"""
    places = sorted(set(recording.places), key=lambda place: (place.region, place.instance_type))
    group = np.array([places.index(place) for place in recording.places])
    prior = [advisor.prior_per_h(p.instance_type, p.region) for p in recording.places]
    rows = candidate_rows(evidence_at(records, group, np.array(prior), at))
    return rows.reshape(len(at), len(records), -1)


def _pool(record: PoolRecord, at: Floats, ends: float, rows: Rows) -> tuple[object, ...]:
    started = np.searchsorted(record.started_at, at, side="right")
    ended = np.searchsorted(record.ended_at, at, side="right")
    up = started > ended
    at, rows, started = at[up], rows[up], started[up]
    uptime = at - record.started_at[started - 1]
    upcoming = np.searchsorted(record.notices_at, at, side="right")
    next_notice = np.concatenate([record.notices_at, [np.inf]])[upcoming]
    horizons = at[:, None] + np.array(HORIZONS)
    return at, rows, uptime, upcoming, next_notice[:, None] <= horizons, horizons <= ends
