"""What a fit is worth on what it has not seen, beside simple forecasts, as Brier skill."""

from collections.abc import Iterator

import numpy as np

from decision.features import Floats
from decision.model import Skill
from training.fit import Fit, predicted
from training.samples import HORIZONS, Booleans, Samples

BAND_4_MONTHLY = 0.30
"""The highest advisor band, read literally: more than 20 % a month, taken for 30 %."""
MONTH_HOURS = 730.0
LEAST_POSITIVE = 30


def skills(name: str, fit: Fit, test: Samples) -> Iterator[Skill]:
    """One line per horizon; skill is measured against the test's own base rate."""
    risks = predicted(fit, test.rows)[:, 1:4]
    rate = np.exp(test.rows[:, 0].astype(np.float64))
    literal = -np.log1p(-BAND_4_MONTHLY) / MONTH_HOURS
    for column, hours in enumerate(HORIZONS):
        known = test.known[:, column]
        hit = test.interrupted[known, column]
        if min(hit.sum(), (~hit).sum()) < LEAST_POSITIVE:
            continue
        ours = risks[known, column]
        trailing = -np.expm1(-rate[known] * hours)
        band = np.full(len(hit), -np.expm1(-literal * hours))
        yield Skill(
            test=name,
            horizon_h=int(hours),
            base_rate=round(float(hit.mean()), 4),
            brier_skill_percent=brier_skill_percent(ours, hit),
            trailing_rate_skill_percent=brier_skill_percent(trailing, hit),
            advisor_band_skill_percent=brier_skill_percent(band, hit),
            expected_calibration_error=calibration_error(ours, hit),
        )


def brier_skill_percent(risks: Floats, hit: Booleans) -> float:
    """100 is perfect, 0 as good as always saying how often it happened."""
    base = float(np.mean((hit.mean() - hit) ** 2))
    return round(100.0 * (1.0 - float(np.mean((risks - hit) ** 2)) / base), 1)


def calibration_error(risks: Floats, hit: Booleans) -> float:
    """The mean distance of what was said and what happened, over ten bands of risk."""
    band = np.minimum((risks * 10).astype(int), 9)
    said, happened = (np.bincount(band, weights=x, minlength=10) for x in (risks, hit))
    return round(float(np.abs(said - happened).sum() / len(hit)), 3)
