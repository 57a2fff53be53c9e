"""Evidence to features: what a fleet saw of its pools, as the rows that the model reads.

Evidence is counted over the last 1, 6, 24 and 168 hours: interruption notices, at most one per
instance and none for a rebalance recommendation, and the hours that the fleet's instances ran.
Nothing later than the moment asked for is ever counted. Arrays have one row per pool.
"""

from dataclasses import dataclass

import numpy as np
import numpy.typing as npt

Floats = npt.NDArray[np.float64]
Rows = npt.NDArray[np.float32]
Integers = npt.NDArray[np.int64]

WINDOW_HOURS = (1.0, 6.0, 24.0, 168.0)
HISTORY_HOURS = 168.0
PRIOR_HOURS = 24.0
"""A pool's rate begins at its group's, which weighs as much as one instance that ran for a day."""
PRIOR_NOTICES = 0.24
"""A group's rate begins at the prior, which weighs as much as a quarter of a notice: a day where
interruptions are common, months where they are rare. So the first notice of a rare kind is a
warning, and not the end of all that was known."""

NAMES = (
    *("log_rate", "w", "u", "u_unknown", "since"),
    *("r1", "r6", "r24", "sib6", "sib24"),
)
_U, _U_UNKNOWN, _SINCE = (NAMES.index(name) for name in ("u", "u_unknown", "since"))
_CAUTION = np.array([0.5, 0.5, 1.0, 0.5, 0.5])
"""What is added to both sides of r1, r6, r24, sib6 and sib24."""

FULL_PRICE_HISTORY_HOURS = 24.0
VOLATILITY_WITHOUT_HISTORY = 0.004
LEAST_PRICE = 1e-6
"""USD per hour below which a price is not told apart from nothing; a logarithm needs one."""


@dataclass(frozen=True)
class Evidence:
    """What the fleet saw of each pool up to one moment.

    `notices` and `exposure_hours` are [n, 4], a column per window. `hours_since_notice` [n] is
    168 if the last one is older than that or there was none. `group` [n] numbers the pools'
    instance types and regions: pools with the same number are siblings, and they have the same
    `prior_per_h` [n].
    """

    notices: Floats
    exposure_hours: Floats
    hours_since_notice: Floats
    prior_per_h: Floats
    group: Integers


@dataclass(frozen=True)
class PoolRecord:
    """When the fleet's instances in one pool were interrupted, and from when to when they ran.

    Hours since any fixed moment. Each array is sorted; an instance that runs on has no end yet.
    """

    notices_at: Floats
    started_at: Floats
    ended_at: Floats

    def counted(self, at: Floats) -> tuple[Floats, Floats, Floats]:
        """Notices [t, 4], hours run [t, 4] and hours since the last notice [t], at each moment."""
        starts = at[:, None] - np.asarray(WINDOW_HOURS)
        seen = np.searchsorted(self.notices_at, at, side="right")
        before = np.searchsorted(self.notices_at, starts, side="right")
        run = self._run_until(at)[:, None] - self._run_until(starts)
        last = np.concatenate([[-np.inf], self.notices_at])[seen]
        notices = (seen[:, None] - before).astype(np.float64)
        return notices, np.maximum(run, 0.0), np.minimum(at - last, HISTORY_HOURS)

    def _run_until(self, at: Floats) -> Floats:
        return _hours_after(self.started_at, at) - _hours_after(self.ended_at, at)


def _hours_after(moments: Floats, at: Floats) -> Floats:
    """The sum, over the moments that have passed, of the hours since then."""
    passed = np.searchsorted(moments, at, side="right")
    sums = np.concatenate([[0.0], np.cumsum(moments)])
    return np.asarray(at * passed - sums[passed])


def candidate_rows(evidence: Evidence) -> Rows:
    """A row [n, 10] per pool, as for an instance that would be new there."""
    notices, exposure, group = evidence.notices, evidence.exposure_hours, evidence.group
    windows = notices.shape[1]
    counted = np.concatenate([notices, exposure, np.ones((len(group), 1))], axis=1)
    sums = _sum_by(group, counted)
    group_notices = sums[:, :windows]
    prior_hours = np.maximum(PRIOR_HOURS, PRIOR_NOTICES / evidence.prior_per_h)
    group_rate = (group_notices[:, -1] + evidence.prior_per_h * prior_hours) / (
        sums[:, -2] + prior_hours
    )
    rate = (notices[:, -1] + group_rate * PRIOR_HOURS) / (exposure[:, -1] + PRIOR_HOURS)
    expected = rate[:, None] * exposure
    sibling_expected = np.maximum(_sum_by(group, expected) - expected, 0.0)
    seen = group_notices[:, -1] / (group_notices[:, -1] + 1.0)
    came = np.concatenate([notices[:, :3], (group_notices - notices)[:, 1:3]], axis=1)
    awaited = np.concatenate([expected[:, :3], sibling_expected[:, 1:3]], axis=1)
    ratios = np.log((came + _CAUTION) / (awaited + _CAUTION))
    ratios[sums[:, -1] == 1.0, 3:] = 0.0  # A pool without siblings.
    rows = np.empty((len(group), len(NAMES)), np.float32)
    rows[:, 0] = np.log(rate)
    rows[:, 1] = rows[:, _U_UNKNOWN] = seen
    rows[:, _U] = 0.0
    rows[:, _SINCE] = np.log1p(evidence.hours_since_notice * rate)
    rows[:, _SINCE + 1 :] = ratios
    return rows


def own_rows(rows: Rows, uptime_hours: Floats) -> Rows:
    """Candidates' rows as for instances that have run in those pools for so many hours."""
    own = rows.copy()
    own[:, _U] = np.log1p(uptime_hours * np.exp(rows[:, 0].astype(np.float64)))
    own[:, _U_UNKNOWN] = 0.0
    return own


def price_history(changed_at: Floats, prices: Floats, at: float) -> tuple[float, float]:
    """The hours for which a pool's price is known, and its volatility, at one moment.

    Volatility is the standard deviation of the hourly steps of the logarithm of the price over
    the last 168 hours. `changed_at` are hours, sorted, with the price that began then.
    """
    known = int(np.searchsorted(changed_at, at, side="right"))
    hours = at - float(changed_at[0]) if known else 0.0
    if hours < FULL_PRICE_HISTORY_HOURS:
        return hours, VOLATILITY_WITHOUT_HISTORY
    moments = at - np.arange(min(int(hours), int(HISTORY_HOURS)), -1, -1.0)
    current = np.searchsorted(changed_at[:known], moments, side="right") - 1
    return hours, float(np.std(np.diff(np.log(np.maximum(prices[current], LEAST_PRICE)))))


def _sum_by(group: Integers, values: Floats) -> Floats:
    """The sums [n, k] of the values [n, k] over each row's group."""
    columns = values.shape[1]
    cells = (group * columns)[:, None] + np.arange(columns)
    sums = np.bincount(cells.ravel(), values.ravel()).reshape(-1, columns)
    return np.asarray(sums[group])
