"""A question to the engine and its answer: what is made of an uptime, and that it moves nobody."""

from dataclasses import replace

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.choices import Policy, Standing
from decision.features import Evidence, candidate_rows
from decision.questions import Answer, KnownPool, Question, answer, rated_pools
from spotkeeper_contracts.decisions import Recommendation
from tests.decision.market import ON_DEMAND, POLICY, evidence, shipped

HERE, TWIN = "here", "twin"
MODEL = shipped()
FREE = replace(POLICY, switch_cost_hours=0.0, overlap_hours=0.0)
UPTIMES = st.floats(0, 5_000)
PRICES = st.floats(0.01, 1.0)
SINCE = st.floats(0, 168)
NOTICES = st.lists(st.integers(0, 20), min_size=4, max_size=4).map(
    lambda counts: np.cumsum(counts, dtype=float).tolist()
)
EXPOSURE = st.tuples(st.floats(0, 20), st.floats(0.001, 1)).map(
    lambda told: [told[0] * min(hours, 168 * told[1]) for hours in (1.0, 6.0, 24.0, 168.0)]
)
"""So many instances, which have run for a part of the week."""
PRIORS = st.sampled_from([3.5e-5, 1.1e-4, 1e-2])


def twins(
    notices: list[float], exposure: list[float], *siblings: tuple[list[float], list[float]]
) -> Evidence:
    """Two pools of the same evidence, and siblings."""
    return evidence(
        [notices, notices, *(seen for seen, _ in siblings)],
        [exposure, exposure, *(run for _, run in siblings)],
    )


def answered(
    seen: Evidence, uptime_hours: float | None, price: float = 0.3, policy: Policy = POLICY
) -> Answer:
    """The answer to an agent in the first of two pools of that price; siblings have none."""
    siblings = [KnownPool(f"sibling {n}", None) for n in range(len(seen.group) - 2)]
    pools = [*(KnownPool(name, price, history_hours=168.0) for name in (HERE, TWIN)), *siblings]
    asked = Question(pools, seen, 0, uptime_hours, Standing(None), ON_DEMAND, policy)
    return answer(asked, MODEL)


@given(
    NOTICES,
    EXPOSURE,
    st.lists(st.tuples(NOTICES, EXPOSURE), max_size=3),
    st.tuples(PRIORS, SINCE),
    st.none() | UPTIMES,
    PRICES,
    st.sampled_from([POLICY, FREE]),
)
def test_a_move_to_a_pool_of_the_same_price_and_evidence_is_never_recommended(
    notices: list[float],
    exposure: list[float],
    siblings: list[tuple[list[float], list[float]]],
    known: tuple[float, float],
    uptime_hours: float | None,
    price: float,
    policy: Policy,
) -> None:
    seen = twins(notices, exposure, *siblings)
    same = np.ones(len(seen.group))
    seen = replace(seen, prior_per_h=known[0] * same, hours_since_notice=known[1] * same)
    assert answered(seen, uptime_hours, price, policy).decision.target_pool != TWIN


@pytest.mark.parametrize("uptime_hours", [0.0, 2.0, 24.0, 100.0])
def test_a_notice_elsewhere_drives_nobody_to_a_pool_like_its_own(uptime_hours: float) -> None:
    """As a young instance was, and after the move from there back again."""
    nothing, hour = [0.0] * 4, [1.0] * 4
    seen = twins(nothing, hour, ([1.0] * 4, hour))
    assert answered(seen, uptime_hours).decision.recommendation is Recommendation.STAY


@given(NOTICES, EXPOSURE, UPTIMES, UPTIMES)
def test_an_own_pool_is_never_worse_than_for_a_newcomer_and_better_as_time_goes_on(
    notices: list[float], exposure: list[float], one: float, other: float
) -> None:
    rows = candidate_rows(evidence([notices], [exposure]))
    (newcomer,) = MODEL.risks(rows)
    (young,), (old,) = (
        rated_pools(rows, np.array([0]), np.array([hours]), MODEL)[1]
        for hours in sorted([one, other])
    )
    assert old.hazard_per_h <= young.hazard_per_h * 1.00001
    assert young.hazard_per_h <= newcomer.hazard_per_h * 1.00001


@given(st.integers(0, 20), st.integers(0, 3), st.floats(1, 168), st.floats(0, 1))
def test_one_more_notice_does_not_lower_the_risk_of_the_own_pool(
    before: int, window: int, hours: float, part: float
) -> None:
    """Save for a part in 200, where a dozen notices are all old: more of an uptime's hours then
    ought to have brought one, and that they did not speaks for the pool."""
    exposure = [min(hours, 1.0), min(hours, 6.0), min(hours, 24.0), hours]
    fewer = [0.0] * window + [float(before)] * (4 - window)
    more = [0.0] * window + [before + 1.0] * (4 - window)
    rows = candidate_rows(evidence([fewer, more], [exposure] * 2, group=np.array([0, 1])))
    _, (calm, torn) = rated_pools(rows, np.arange(2), np.full(2, part * hours), MODEL)
    assert torn.hour >= calm.hour * 0.995


@given(NOTICES, EXPOSURE, st.none() | UPTIMES)
def test_the_features_that_are_shown_are_those_that_the_risk_was_read_from(
    notices: list[float], exposure: list[float], uptime_hours: float | None
) -> None:
    told = answered(twins(notices, exposure), uptime_hours)
    for choice in told.decision.choices:
        if choice.pool:
            row = np.array([list(told.features(choice.pool.pool_id).values())], np.float32)
            assert choice.pool.risk == pytest.approx(MODEL.risks(row)[0], rel=1e-5)


@pytest.mark.parametrize(("uptime_hours", "is_known"), [(None, False), (0.0, False), (500.0, True)])
def test_an_uptime_is_a_feature_once_it_speaks_for_the_own_pool(
    uptime_hours: float | None, is_known: bool
) -> None:
    told = answered(twins([1.0] * 4, [1.0, 6.0, 24.0, 168.0]), uptime_hours)
    here, twin = told.features(HERE), told.features(TWIN)
    assert ((here["u"] > 0), (here["u_unknown"] == 0)) == (is_known, is_known)
    assert twin["u"] == 0
    assert twin["u_unknown"] == twin["w"] > 0
