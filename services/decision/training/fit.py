"""The fit: maximum likelihood of a gamma-mixed hazard, and the same formula in numpy.

P(h) = 1 - (1 + L h / k)^(-k) with ln L = x0 + b . x1..9. The signs of b are bounded, so that the
risk never falls as notices come in.
"""

from dataclasses import dataclass

import numpy as np
from scipy.optimize import minimize

from decision.choices import HORIZON_HOURS
from decision.features import NAMES, Floats, Rows
from training.samples import HORIZONS, Samples, with_uptime_of_every_other

L2 = 1e-3
LOG_HAZARD = (-14.0, 4.0)
"""Beyond these no hazard per hour means anything: one in a century, one a minute."""
DECIMALS = 4
"""Of the fitted numbers. What differs from machine to machine lies behind them, so that the same
data give the same file anywhere."""
NEAR_ONE = 1.0001
"""For k = 1 the expected hours have another formula, which gives the same hours as this k."""
_FALLING = ("u", "since")
_RISING = ("r1", "r6", "r24", "sib6", "sib24")
_BEGIN_K = 2.0


@dataclass(frozen=True)
class Fit:
    """The fitted numbers: the shape k, and a weight for each feature but the first."""

    k: float
    weights: Floats

    def named(self) -> dict[str, float]:
        """All numbers by name, as the card shows them."""
        return {"k": self.k, **dict(zip(NAMES[1:], self.weights.tolist(), strict=True))}


def fitted(samples: Samples) -> Fit:
    """The likeliest numbers, all horizons pooled; the same samples give the same numbers."""
    rows = with_uptime_of_every_other(samples).astype(np.float64)
    begin = np.concatenate([[np.log(_BEGIN_K)], np.zeros(len(NAMES) - 1)])
    bounds = [(-3.0, 5.0), *(_bound(name) for name in NAMES[1:])]
    options = {"maxiter": 2000, "ftol": 1e-12, "gtol": 1e-8}
    found = minimize(
        _loss, begin, (rows, samples), "L-BFGS-B", jac=True, bounds=bounds, options=options
    )
    k = round(float(np.exp(found.x[0])), DECIMALS)
    return Fit(NEAR_ONE if k == 1.0 else k, np.round(found.x[1:], DECIMALS) + 0.0)


def _bound(name: str) -> tuple[float | None, float | None]:
    return (None, 0.0) if name in _FALLING else (0.0, None) if name in _RISING else (None, None)


def _loss(numbers: Floats, rows: Floats, samples: Samples) -> tuple[float, Floats]:
    """The mean negative log-likelihood with its gradient."""
    k, weights = np.exp(numbers[0]), numbers[1:]
    hazard = np.exp(np.clip(rows[:, 0] + rows[:, 1:] @ weights, *LOG_HAZARD))[:, None]
    scaled = hazard * np.array(HORIZONS) / k
    log_survival = np.minimum(-k * np.log1p(scaled), -1e-12)
    survival = np.exp(log_survival)
    hit, known = samples.interrupted, samples.known
    likelihood = np.where(hit, np.log1p(-survival), log_survival)
    by_log_survival = np.where(known, np.where(hit, survival / (1.0 - survival), -1.0), 0.0)
    by_log_hazard = (by_log_survival * -k * scaled / (1.0 + scaled)).sum(axis=1)
    by_log_k = (by_log_survival * k * (scaled / (1.0 + scaled) - np.log1p(scaled))).sum()
    total = known.sum()
    loss = -(likelihood * known).sum() / total + L2 * weights @ weights
    gradient = rows[:, 1:].T @ by_log_hazard / total + 2.0 * L2 * weights
    return float(loss), np.concatenate([[by_log_k / total], gradient])


def predicted(fit: Fit, rows: Rows) -> Floats:
    """What the ONNX graph answers, [n, 6]: hazard, three risks, expected hours, risk in 72 h."""
    wide = rows.astype(np.float64)
    z = np.clip(wide[:, :1] + wide[:, 1:] @ fit.weights[:, None], *LOG_HAZARD)
    hazard = np.exp(z)
    horizons = np.array([*HORIZONS, HORIZON_HOURS])
    risks = 1.0 - (1.0 + hazard * horizons / fit.k) ** -fit.k
    grown = (1.0 + hazard * HORIZON_HOURS / fit.k) ** (1.0 - fit.k)
    expected = fit.k / (fit.k - 1.0) * (1.0 - grown) / hazard
    return np.concatenate([hazard, risks[:, :3], expected, risks[:, 3:]], axis=1)
