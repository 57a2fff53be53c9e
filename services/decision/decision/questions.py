"""A question to the engine, and its answer: evidence, model and rules put together.

This is the one path on which decisions are made; it knows neither a clock nor a database.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace

import numpy as np

from decision.choices import Policy, Pool, Standing
from decision.features import (
    NAMES,
    VOLATILITY_WITHOUT_HISTORY,
    Evidence,
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
        """What the model read of a pool, by name; the own pool's with its uptime."""
        number = next(n for n, pool in enumerate(self.pools) if pool.pool_id == pool_id)
        return dict(zip(NAMES, self.rows[number].tolist(), strict=True))


def answer(question: Question, model: Model) -> Answer:
    """The decision by that model; raises `ModelError` if the model fails."""
    rows = candidate_rows(question.evidence)
    here = question.here
    if here is not None and question.uptime_hours is not None:
        rows = rows.copy()
        rows[here : here + 1] = own_rows(rows[here : here + 1], np.array([question.uptime_hours]))
    risks = model.risks(rows)
    pools = [
        Pool(pool.pool_id, pool.price, risk, pool.volatility, pool.history_hours)
        for pool, risk in zip(question.pools, risks, strict=True)
    ]
    standing = replace(question.standing, pool=None if here is None else pools[here])
    decision = decide(standing, pools, question.ondemand_price, question.policy)
    return Answer(decision, model.version, rows, question.pools)
