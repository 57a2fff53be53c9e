"""Choices and decisions: each gate at its limit, the money, and how the answer moves with both."""

import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from decision.choices import (
    HORIZON_HOURS,
    Gate,
    Move,
    Policy,
    Pool,
    Risk,
    Standing,
    cost_of_moving,
    cost_of_spot,
)
from decision.rules import Decision, decide
from spotkeeper_contracts.decisions import Recommendation
from tests.decision.market import CALM, POLICY, decided, pool, risk

STAY, SWITCH = Recommendation.STAY, Recommendation.SWITCH
TO_ONDEMAND = Recommendation.SWITCH_TO_ONDEMAND
PRICES, RISKS = st.floats(0.01, 2.0), st.floats(0.0, 1.0)


def gate(decision: Decision, target: str, name: str) -> Gate:
    """What a gate of a choice found."""
    choice = next(c for c in decision.choices if c.name == target)
    return next(one for one in choice.gates if one.name == name)


def test_the_pool_that_costs_least_is_chosen() -> None:
    decision = decided(pool("a", 0.5), pool("b", 0.4), pool("c", 0.3), pool("d", 0.35))
    assert (decision.recommendation, decision.target_pool) == (SWITCH, "c")
    assert decision.move is Move.PLANNED
    assert decision.expected_savings_per_day == pytest.approx(0.2 * 24)


def test_the_sample_of_a_small_instance_is_a_switch_that_saves_14_tenths_of_a_cent_a_day() -> None:
    here, there = Pool("a", 0.0104, CALM), Pool("b", 0.0098, CALM)
    decision = decide(Standing(here, hours_in_pool=26.0), [there], 0.0416, POLICY)
    assert (decision.recommendation, decision.target_pool) == (SWITCH, "b")
    assert decision.expected_savings_per_day == pytest.approx(0.0144)


def test_a_move_must_earn_what_it_costs_within_the_horizon() -> None:
    """0.2 hours of on-demand and ten minutes of the new pool, over 72 hours."""
    breaks_even = (0.4 * 72 - 0.2) / (72 + 10 / 60)
    assert decided(pool("a", 0.4), pool("b", breaks_even - 1e-6)).recommendation is SWITCH
    assert decided(pool("a", 0.4), pool("b", breaks_even + 1e-6)).recommendation is STAY


def test_of_equally_cheap_choices_the_present_state_wins_then_the_safer_then_the_name() -> None:
    free = replace(POLICY, switch_cost_hours=0.0, overlap_hours=0.0)
    same = decided(pool("b", 0.4), pool("a", 0.4), policy=free)
    assert same.recommendation is STAY
    assert decided(None, pool("b", 0.4), pool("a", 0.4, 0.1), policy=free).target_pool == "b"
    assert decided(None, pool("b", 0.4), pool("a", 0.4), policy=free).target_pool == "a"


def test_the_order_of_the_candidates_means_nothing() -> None:
    pools = [pool(name, 0.4) for name in "dbca"]
    assert decided(None, *pools).target_pool == decided(None, *reversed(pools)).target_pool == "a"


def test_savings_are_measured_against_on_demand_and_just_enough_is_enough() -> None:
    allowed, refused = decided(None, pool("a", 0.85)), decided(None, pool("a", 0.8501))
    enough = gate(allowed, "a", "min_savings_percent")
    assert (round(enough.value, 6), enough.limit, enough.passed) == (15.0, 15.0, True)
    less = gate(refused, "a", "min_savings_percent")
    assert (round(less.value, 6), less.limit, less.passed) == (14.99, 15.0, False)
    assert (allowed.recommendation, refused.recommendation) == (SWITCH, STAY)


def test_a_risk_at_the_threshold_is_allowed_and_one_above_it_is_not() -> None:
    above = 0.30 * 1.000002
    assert decided(None, pool("a", 0.3, 0.30)).target_pool == "a"
    refused = decided(None, pool("a", 0.3, above))
    assert refused.target_pool is None
    assert gate(refused, "a", "risk_threshold")[1:] == (above, 0.30, False)


@pytest.mark.parametrize("threshold", [0.05, 0.30, 0.9])
def test_a_risk_is_at_the_threshold_if_32_bits_cannot_tell_them_apart(threshold: float) -> None:
    answer = float(np.nextafter(np.float32(threshold), np.float32(1.0)))
    assert answer > threshold
    policy = replace(POLICY, risk_threshold=threshold)
    taken = decided(None, pool("a", 0.3, answer), policy=policy)
    assert taken.target_pool == "a"
    assert gate(taken, "a", "risk_threshold")[1:] == (threshold, threshold, True)


def test_the_own_pool_is_left_only_above_133_hundredths_of_the_threshold() -> None:
    assert decided(pool("a", 0.3, 0.399)).recommendation is STAY
    left = decided(pool("a", 0.3, 0.3991))
    assert left.recommendation is TO_ONDEMAND
    assert left.expected_savings_per_day == pytest.approx(-0.7 * 24), "safety is paid for"


def test_the_own_pool_may_save_less_than_a_candidate_must() -> None:
    assert decided(pool("a", 0.95)).recommendation is STAY


def test_no_departure_before_the_least_stay_is_over() -> None:
    cheap = pool("b", 0.2)
    early = decided(pool("a", 0.4), cheap, hours_in_pool=1.999)
    assert early.recommendation is STAY
    assert gate(early, "b", "min_pool_duration_hours")[1:] == (1.999, 2.0, False)
    assert gate(early, "on-demand", "min_pool_duration_hours")[1:] == (1.999, 2.0, False)
    assert decided(pool("a", 0.4), cheap, hours_in_pool=2.0).recommendation is SWITCH


def test_an_agent_on_demand_need_not_have_stayed_there() -> None:
    assert decided(None, pool("a", 0.4), hours_in_pool=0.0).recommendation is SWITCH


def test_the_last_planned_move_of_the_week_is_allowed_and_one_more_is_not() -> None:
    cheap = pool("b", 0.2)
    assert decided(pool("a", 0.4), cheap, planned_moves=9).recommendation is SWITCH
    full = decided(pool("a", 0.4), cheap, planned_moves=10)
    assert full.recommendation is STAY
    assert gate(full, "b", "max_switches_per_week")[1:] == (10, 10, False)


def test_an_agent_with_no_moves_left_stays_even_where_the_risk_is_too_high() -> None:
    stuck = decided(pool("a", 0.4, 0.9), pool("b", 0.2), planned_moves=10)
    assert stuck.recommendation is STAY
    assert not stuck.chosen.allowed


def test_a_notice_sends_an_agent_elsewhere_outside_all_limits() -> None:
    here = pool("a", 0.1)
    forced = decided(
        here, here, pool("b", 0.4), planned_moves=10, hours_in_pool=0.1, interrupted=True
    )
    assert (forced.target_pool, forced.move) == ("b", Move.FORCED)


def test_a_notice_without_a_pool_to_go_to_means_on_demand() -> None:
    here = pool("a", 0.1)
    forced = decided(here, here, pool("b", 0.9), pool("c", None), interrupted=True)
    assert (forced.recommendation, forced.move) == (TO_ONDEMAND, Move.FORCED)
    assert forced.risk_adjusted_savings_per_day == 0.0


def test_the_first_return_to_spot_is_outside_the_limits() -> None:
    back = decided(None, pool("a", 0.4), planned_moves=10, recovering=True)
    assert (back.target_pool, back.move) == ("a", Move.RECOVERY)
    again = decided(None, pool("a", 0.4), planned_moves=10)
    assert again.recommendation is STAY


def test_a_rebalance_recommendation_makes_the_own_pool_risky_at_once() -> None:
    safe = pool("a", 0.3)
    left = decided(safe, pool("b", 0.35), rebalance=True)
    assert left.target_pool == "b"
    here = gate(left, "a", "risk_threshold")
    assert (here.value, here.passed) == (0.5, False)
    assert here.limit == pytest.approx(0.399)
    assert decided(safe, pool("b", 0.35)).recommendation is STAY


def test_a_pool_without_a_price_is_no_candidate() -> None:
    assert [c.name for c in decided(None, pool("a", None)).choices] == ["on-demand"]


def test_the_risk_that_is_reported_is_that_of_the_recommended_state() -> None:
    assert decided(pool("a", 0.5, 0.2), pool("b", 0.3, 0.1)).risk_score == 0.1
    assert decided(pool("a", 0.5, 0.9)).risk_score == 0.0


def test_a_spot_pool_is_paid_until_an_interruption_is_expected_then_on_demand() -> None:
    likely = Risk(0.02, 0.02, 0.08, 0.4, expected_hours=40.0, horizon=0.7)
    cost = cost_of_spot(0.3, likely, 2.0, POLICY)
    assert cost == pytest.approx(0.3 * 40 + 0.7 * 1.0 * 2.0 + 32 * 2.0)
    assert cost_of_moving(0.3, 2.0, POLICY) == pytest.approx(0.2 * 2.0 + 0.3 / 6)


def test_savings_are_told_by_price_and_with_risk_and_against_on_demand() -> None:
    likely = Risk(0.02, 0.02, 0.08, 0.4, expected_hours=40.0, horizon=0.7)
    decision = decided(Pool("a", 0.5, likely, history_hours=168.0), pool("b", 0.3))
    stay, go = 0.5 * 40 + 0.7 + 32, 0.3 * 72 + 0.2 + 0.05
    assert decision.expected_savings_per_day == pytest.approx(0.2 * 24)
    assert decision.risk_adjusted_savings_per_day == pytest.approx((stay - go) / 3)
    assert decision.savings_against_ondemand_per_day == pytest.approx((72 - go) / 3)


@given(PRICES, PRICES, RISKS, RISKS, st.integers(0, 12), st.floats(0, 5))
def test_a_decision_keeps_every_limit_and_its_figures_lie_in_their_bounds(
    here: float, there: float, risk_here: float, risk_there: float, moves: int, hours: float
) -> None:
    decision = decided(
        pool("a", here, risk_here),
        pool("b", there, risk_there),
        planned_moves=moves,
        hours_in_pool=hours,
    )
    assert 0.5 <= decision.confidence <= 0.99
    assert 0.0 <= decision.risk_score <= 1.0
    assert math.isfinite(decision.expected_savings_per_day)
    if decision.recommendation is STAY:
        assert decision.expected_savings_per_day == 0.0
    else:
        assert moves < 10
        assert hours >= 2.0
    if decision.recommendation is SWITCH:
        assert there <= 0.85 * (1 + 1e-9)
        assert risk_there <= 0.30


@given(PRICES, PRICES, st.floats(0, 0.3), st.floats(0.001, 0.5))
def test_a_pool_that_becomes_dearer_or_riskier_is_never_chosen_for_that(
    here: float, there: float, hour_risk: float, worse: float
) -> None:
    def chosen(price: float, more: float) -> bool:
        odds = risk(hour_risk + more, horizon=min(hour_risk + more, 1.0), hours=72 * (1 - more))
        candidate = Pool("b", price, odds, history_hours=168.0)
        return decided(pool("a", here), candidate).target_pool == "b"

    before = chosen(there, 0.0)
    assert chosen(there + worse, 0.0) <= before
    if there < 1.0:  # Above on-demand, a pool that ends sooner is not worse.
        assert chosen(there, worse) <= before


@given(PRICES, st.floats(0, 1))
def test_the_cost_of_spot_rises_with_its_price_and_its_risk(price: float, odds: float) -> None:
    calm = Risk(odds, odds, odds, odds, HORIZON_HOURS * (1 - odds / 2), odds)
    torn = calm._replace(horizon=min(1.0, odds + 0.1))
    assert cost_of_spot(price + 0.01, calm, 2.0, POLICY) > cost_of_spot(price, calm, 2.0, POLICY)
    assert cost_of_spot(price, torn, 2.0, POLICY) >= cost_of_spot(price, calm, 2.0, POLICY)


def test_confidence_grows_with_the_margin_and_shrinks_with_the_volatility() -> None:
    def confidence(price: float, **known: Any) -> float:
        return decided(pool("a", 0.5), pool("b", price, **known)).confidence

    assert confidence(0.3) > confidence(0.495) > 0.5
    assert confidence(0.45, volatility=0.0001) > confidence(0.45, volatility=0.02)


def test_confidence_is_the_odds_that_the_choice_stays_the_cheaper_one() -> None:
    decision = decided(pool("a", 0.41, volatility=0.01), pool("b", 0.4, volatility=0.01))
    margin = abs(0.41 * 72 - (0.4 * 72 + 0.2 + 0.4 / 6))
    spread = 0.577 * math.sqrt(72) * 72 * 0.01 * math.hypot(0.41, 0.4)
    assert decision.confidence == pytest.approx(0.5 * (1 + math.erf(margin / spread / 2**0.5)))


def test_an_only_choice_is_sure_and_a_pool_without_a_day_of_prices_never_is() -> None:
    assert decided(None).confidence == 0.99
    assert decided(None, pool("a", 0.1, history_hours=23.9)).confidence == 0.6
    assert decided(None, pool("a", 0.1, history_hours=24.0)).confidence == 0.99


def test_a_policy_of_no_savings_at_all_lets_a_pool_cost_as_much_as_on_demand() -> None:
    policy = Policy(min_savings_percent=0.0)
    assert gate(decided(None, pool("a", 1.0), policy=policy), "a", "min_savings_percent").passed
