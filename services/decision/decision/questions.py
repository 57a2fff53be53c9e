"""A question to the engine, and its answer: evidence, model and rules put together.

This is the one path on which decisions are made; it knows neither a clock nor a database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from decision.choices import Policy, Pool, Risk, Standing
from decision.features import (
    NAMES,
    VOLATILITY_WITHOUT_HISTORY,
    Evidence,
    Floats,
    Integers,
    Rows,
    candidate_rows,
    own_rows,
)
from decision.model import Model
from decision.rules import Decision, decide


@dataclass(frozen=True, slots=True)
class KnownPool:
    """What is known of a pool beside its evidence; without a price it only is a sibling."""

    pool_id: str
    price: float | None
    volatility: float = VOLATILITY_WITHOUT_HISTORY
    history_hours: float = 0.0


@dataclass(frozen=True, slots=True)
class Question:
    """All that one decision is made from.

    `evidence` has a row per pool. `here` numbers the agent's own pool, None on demand;
    `uptime_hours` is None if nobody told it. `standing` is the agent's, its pool left out.
    """

    pools: Sequence[KnownPool]
    evidence: Evidence
    here: int | None
    uptime_hours: float | None
    standing: Standing
    ondemand_price: float
    policy: Policy


@dataclass(frozen=True, slots=True)
class Answer:
    """A decision, the model that it was made with, and what that model read."""

    decision: Decision
    model_version: str
    rows: Rows
    pools: Sequence[KnownPool]

    def features(self, pool_id: str) -> dict[str, float]:
        """What the risk of a pool was read from, by name."""
        number = next(n for n, pool in enumerate(self.pools) if pool.pool_id == pool_id)
        return dict(zip(NAMES, self.rows[number].tolist(), strict=True))


def answer(question: Question, model: Model) -> Answer:
    """The decision by that model; raises `ModelError` if the model fails."""
    here, uptime = question.here, question.uptime_hours
    known = [] if here is None or uptime is None else [(here, uptime)]
    own, uptimes = np.array([n for n, _ in known], int), np.array([hours for _, hours in known])
    rows, risks = rated_pools(candidate_rows(question.evidence), own, uptimes, model)
    pools = [
        Pool(pool.pool_id, pool.price, risk, pool.volatility, pool.history_hours)
        for pool, risk in zip(question.pools, risks, strict=True)
    ]
    standing = replace(question.standing, pool=None if here is None else pools[here])
    decision = decide(standing, pools, question.ondemand_price, question.policy)
    return Answer(decision, model.version, rows, question.pools)


def rated_pools(
    rows: Rows, own: Integers, uptime_hours: Floats, model: Model
) -> tuple[Rows, list[Risk]]:
    """The risk of each pool, and the row [n, 10] that it was read from.

    `rows` are as for newcomers; in the pools numbered `own` an instance has run for so many hours.
    Those are rated both ways, and the lower risk counts. For the model a short uptime is worse than
    one that nobody knows: by that alone an agent would move to a pool like its own, where it would
    be younger still, and from there back again.
    """
    with_uptime = own_rows(rows[own], uptime_hours)
    risks = model.risks(np.concatenate([rows, with_uptime]))
    rows, risks, rated = rows.copy(), risks[: len(rows)], risks[len(rows) :]
    for number, row, risk in zip(own.tolist(), with_uptime, rated, strict=True):
        if risk.hazard_per_h < risks[number].hazard_per_h:
            rows[number], risks[number] = row, risk
    return rows, risks
