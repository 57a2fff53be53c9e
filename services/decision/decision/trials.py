"""Rows that every model must answer soundly before it may decide, and again after it failed.

They are what a fleet really brings, from calm pools to torn ones, and every corner of what the
features can be at all: a model that is sound there does not fail on what comes between.
"""

from functools import cache
from itertools import product

import numpy as np

from decision.features import HISTORY_HOURS, WINDOW_HOURS, Evidence, Rows, candidate_rows, own_rows

PRIORS_PER_H = (3.5e-5, 1e-2)
INSTANCES = (0, 1, 500)
NOTICES = ((0, 0, 0, 0), (0, 0, 0, 1), (1, 1, 1, 1), (0, 2, 5, 20), (30, 30, 30, 60))
"""Within the last 1, 6, 24 and 168 hours."""
UPTIME_HOURS = (0.0, 24.0, 2_000.0)
CORNERS = (
    *((-16.0, 4.0), (0.0, 1.0), (0.0, 12.0), (0.0, 1.0), (0.0, 10.0)),
    *((-8.0, 8.0), (-8.0, 8.0), (-8.0, 8.0), (-8.0, 8.0), (-8.0, 8.0)),
)
"""Between what each feature lies: rates from one interruption in a millennium to one a minute."""


@cache
def trial_rows() -> Rows:
    """All of them, [n, 10]; candidates first."""
    candidates = candidate_rows(_evidence())
    own = [own_rows(candidates, np.full(len(candidates), hours)) for hours in UPTIME_HOURS]
    corners = np.array(list(product(*CORNERS)), np.float32)
    rows = np.concatenate([candidates, *own, corners])
    rows.flags.writeable = False
    return rows


def _evidence() -> Evidence:
    """Groups of two pools: one that was interrupted, if any was, and its calm sibling."""
    cases = list(product(PRIORS_PER_H, INSTANCES, NOTICES))
    calm = (0,) * len(WINDOW_HOURS)
    hours = np.array([[n * span for span in WINDOW_HOURS] for _, n, _ in cases], float)
    since = [[0.5 if notices[0] else HISTORY_HOURS, HISTORY_HOURS] for _, _, notices in cases]
    return Evidence(
        np.array([pool for _, _, notices in cases for pool in (notices, calm)], float),
        np.repeat(hours, 2, axis=0),
        np.array(since).ravel(),
        np.repeat([prior for prior, _, _ in cases], 2),
        np.repeat(np.arange(len(cases)), 2),
    )
