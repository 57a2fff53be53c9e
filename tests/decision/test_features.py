"""Evidence to features: what is counted, and that nothing later than the moment ever is."""

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.features import (
    HISTORY_HOURS,
    NAMES,
    VOLATILITY_WITHOUT_HISTORY,
    PoolRecord,
    candidate_rows,
    own_rows,
    price_history,
)
from tests.decision.market import evidence, record, shipped

NOTHING = [0.0, 0.0, 0.0, 0.0]
HOURS = st.lists(st.floats(0, 400, allow_nan=False), max_size=12).map(lambda h: np.array(sorted(h)))


def test_notices_and_hours_are_counted_in_windows_that_end_now() -> None:
    notices, hours, since = record(10.0, 99.5, runs=0.0).counted(np.array([100.0]))
    assert notices.tolist() == [[1, 1, 1, 2]]
    assert hours[0] == pytest.approx([0.5, 5.5, 23.5, 99.0])
    assert since.tolist() == [0.5]


def test_a_notice_as_old_as_the_window_has_left_it_and_one_of_now_counts() -> None:
    notices, _, since = record(94.0, 100.0).counted(np.array([100.0]))
    assert notices.tolist() == [[1, 1, 2, 2]]
    assert since.tolist() == [0.0]


def test_a_notice_of_long_ago_is_168_hours_old_like_none_at_all() -> None:
    assert record(1.0).counted(np.array([500.0]))[2].tolist() == [HISTORY_HOURS]
    assert record().counted(np.array([500.0]))[2].tolist() == [HISTORY_HOURS]


@given(HOURS, HOURS, st.floats(0, 400))
def test_what_comes_later_changes_nothing(notices: np.ndarray, ends: np.ndarray, at: float) -> None:
    whole = PoolRecord(notices, np.zeros(len(ends) + 1), ends)
    cut = PoolRecord(notices[notices <= at], np.zeros(len(ends) + 1), ends[ends <= at])
    moment = np.array([at])
    for seen, known in zip(whole.counted(moment), cut.counted(moment), strict=True):
        assert seen == pytest.approx(known, abs=1e-9)


def test_without_evidence_the_risk_is_the_prior() -> None:
    rows = candidate_rows(evidence([NOTHING, NOTHING], [NOTHING, NOTHING]))
    assert rows[:, 0] == pytest.approx(np.log(1e-2))
    named = dict(zip(NAMES, rows[0].tolist(), strict=True))
    assert {n for n, value in named.items() if value} == {"log_rate", "since"}
    assert shipped().risks(rows)[0].hazard_per_h == pytest.approx(1e-2, rel=0.02)


def test_a_row_is_what_its_definition_says() -> None:
    """By hand: two siblings, a prior of 0.01 per hour that weighs 24 hours."""
    seen = evidence(
        [[1, 1, 2, 3], [0, 1, 1, 1]],
        [[1, 6, 24, 168], [1, 6, 20, 100]],
        hours_since_notice=np.array([0.5, 5.0]),
    )
    together = (4 + 0.01 * 24) / (268 + 24)
    rate, sibling = (3 + together * 24) / (168 + 24), (1 + together * 24) / (100 + 24)
    assert candidate_rows(seen)[0] == pytest.approx(
        [
            np.log(rate),
            4 / 5,
            0,
            4 / 5,
            np.log(1 + 0.5 * rate),
            np.log(1.5 / (rate + 0.5)),
            np.log(1.5 / (rate * 6 + 0.5)),
            np.log(3 / (rate * 24 + 1)),
            np.log(1.5 / (sibling * 6 + 0.5)),
            np.log(1.5 / (sibling * 20 + 0.5)),
        ],
        rel=1e-5,
    )


@pytest.mark.parametrize(("prior", "least", "most"), [(1e-2, 0.05, 0.3), (3.5e-5, 1e-5, 2e-3)])
def test_notices_of_a_sibling_condemn_a_torn_group_and_only_warn_a_calm_one(
    prior: float, least: float, most: float
) -> None:
    two, hour = [2.0] * 4, [1.0] * 4
    seen = evidence([NOTHING, two], [NOTHING, hour], prior_per_h=np.full(2, prior))
    quiet, interrupted = shipped().risks(candidate_rows(seen))
    assert least < quiet.hour < most
    assert interrupted.hour > 0.05


def test_a_pool_without_siblings_has_nothing_to_learn_from_them() -> None:
    seen = evidence(
        [[1, 1, 1, 1], [5, 5, 5, 5]], [[1, 6, 24, 168]] * 2, group=np.array([0, 1], np.int64)
    )
    rows = candidate_rows(seen)
    assert rows[:, NAMES.index("sib6") :].tolist() == [[0, 0], [0, 0]]
    alone = candidate_rows(evidence([[1, 1, 1, 1]], [[1, 6, 24, 168]]))
    assert rows[0].tolist() == alone[0].tolist()


def test_the_own_pool_knows_its_uptime() -> None:
    rows = candidate_rows(evidence([[1, 1, 1, 1]], [[1, 6, 24, 168]]))
    own = own_rows(rows, np.array([30.0]))
    rate = np.exp(rows[0, 0])
    assert own[0, NAMES.index("u")] == pytest.approx(np.log(1 + 30 * rate))
    assert own[0, NAMES.index("u_unknown")] == 0
    assert rows[0, NAMES.index("u_unknown")] == 0.5, "the candidates' rows are left alone"


@given(st.integers(0, 20), st.integers(0, 3), st.floats(1, 168))
def test_one_more_notice_never_lowers_the_risk(before: int, window: int, hours: float) -> None:
    """A notice within a window lies within the longer ones too."""
    exposure = [min(hours, 1.0), min(hours, 6.0), min(hours, 24.0), hours]
    fewer = [0.0] * window + [float(before)] * (4 - window)
    more = [0.0] * window + [before + 1.0] * (4 - window)
    calm, torn = candidate_rows(evidence([fewer, more], [exposure] * 2, group=np.array([0, 1])))
    risks = shipped().risks(np.stack([calm, torn]))
    assert risks[1].hour >= risks[0].hour


def test_a_day_of_prices_is_needed_for_a_volatility() -> None:
    changed, prices = np.array([0.0, 10.0, 20.0]), np.array([1.0, 1.1, 1.0])
    assert price_history(changed, prices, 23.9) == (23.9, VOLATILITY_WITHOUT_HISTORY)
    hours, volatility = price_history(changed, prices, 24.0)
    assert hours == 24.0
    assert volatility == pytest.approx(np.log(1.1) * np.sqrt(2 / 24))


def test_a_pool_whose_first_price_is_still_to_come_has_no_history() -> None:
    prices = np.array([0.3])
    assert price_history(np.array([5.0]), prices, 4.0) == (0.0, VOLATILITY_WITHOUT_HISTORY)


def test_later_prices_do_not_change_the_volatility() -> None:
    changed = np.arange(60.0)
    prices = np.exp(np.sin(changed))
    cut = changed <= 40.0
    assert price_history(changed, prices, 40.0) == price_history(changed[cut], prices[cut], 40.0)
