"""One decision inside the engine, beside the model alone and beside a plain rule."""

from collections.abc import Callable
from statistics import quantiles
from time import perf_counter

import numpy as np

from benchmarks.processes import System
from benchmarks.report import Line
from decision.choices import Policy, Standing
from decision.features import Evidence, candidate_rows
from decision.model import load
from decision.questions import KnownPool, Question, answer

POOLS = (1, 5, 20)
ROUNDS, WARM_UP = 2_000, 200
ON_DEMAND_USD = 0.0416


async def answers(_: System, __: float) -> list[Line]:
    """Counters to features to ONNX to policy, in this process on one thread."""
    model = load()
    lines = []
    for pools in POOLS:
        asked = _question(pools)
        rows = candidate_rows(asked.evidence)
        whole = _measured(lambda asked=asked: answer(asked, model))
        alone = _measured(lambda rows=rows: model.risks(rows))
        plain = _measured(lambda asked=asked: _cheapest(asked))
        goal = 300.0 if pools == max(POOLS) else None
        lines += [
            Line(f"decision of {pools} pools: p50", whole[49], "µs", at_most=goal),
            Line(f"decision of {pools} pools: p99", whole[98], "µs"),
            Line(f"the model alone, {pools} pools: p50", alone[49], "µs"),
            Line(f"the cheapest price alone, {pools} pools: p50", plain[49], "µs"),
            Line(f"decisions of {pools} pools in a process", 1e6 / whole[49], "per s"),
        ]
    return lines


def _measured(work: Callable[[], object]) -> list[float]:
    """The 99 percentiles of its time, in microseconds."""
    times = []
    for _ in range(WARM_UP + ROUNDS):
        start = perf_counter()
        work()
        times.append((perf_counter() - start) * 1e6)
    return quantiles(times[WARM_UP:], n=100)


def _question(pools: int) -> Question:
    """An agent in the first of so many pools, all of one type, with a week of evidence."""
    random = np.random.default_rng(pools)
    notices = np.sort(random.integers(0, 12, (pools, 4)), axis=1).astype(np.float64)
    return Question(
        [KnownPool(f"pool-{n}", 0.0104 + n / 1e5, 0.002, 168.0) for n in range(pools)],
        Evidence(
            notices,
            np.tile([1.0, 6.0, 24.0, 168.0], (pools, 1)),
            random.uniform(0.1, 168.0, pools),
            np.full(pools, 1e-2),
            np.zeros(pools, np.int64),
        ),
        here=0,
        uptime_hours=26.0,
        standing=Standing(None, hours_in_pool=26.0),
        ondemand_price=ON_DEMAND_USD,
        policy=Policy(),
    )


def _cheapest(question: Question) -> KnownPool:
    """The plain rule: the pool with the lowest price that is far enough below on-demand."""
    limit = question.ondemand_price * 0.85
    priced = (pool for pool in question.pools if pool.price is not None and pool.price <= limit)
    return min(priced, key=lambda pool: pool.price or 0.0)
