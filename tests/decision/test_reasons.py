"""A decision in words: the numbers are those that it was made by."""

from decision.choices import Pool, Risk
from decision.reasons import reason_for
from tests.decision.market import decided, pool


def test_a_switch_tells_of_both_prices_the_saving_and_the_risk() -> None:
    reason = reason_for(decided(pool("a", 0.5), pool("b", 0.3, 0.0125)))
    assert reason == (
        "b at 0.3 USD per hour instead of 0.5 saves 4.8 USD a day, "
        "risk of an interruption within an hour 1.25 %"
    )


def test_a_stay_tells_of_the_price_and_the_horizon() -> None:
    assert reason_for(decided(pool("a", 0.3, 0.02), pool("b", 0.4))) == (
        "Staying at 0.3 USD per hour: no allowed choice costs less over 72 hours, "
        "risk of an interruption within an hour 2 %"
    )


def test_a_stay_on_demand_has_no_risk_to_tell_of() -> None:
    reason = reason_for(decided(None))
    assert reason == "Staying at 1 USD per hour: no allowed choice costs less over 72 hours"


def test_safety_that_costs_money_is_told_as_a_cost() -> None:
    reason = reason_for(decided(pool("a", 0.5, 0.6)))
    assert reason.startswith(
        "Leaving a, where risk_threshold is 0.6 where the limit is 0.399: "
        "on-demand at 1 USD per hour instead of 0.5 costs 12 USD a day"
    )


def test_the_cheaper_choice_that_was_refused_is_named_with_its_gate() -> None:
    reason = reason_for(decided(pool("a", 0.5), pool("b", 0.3), hours_in_pool=1.25))
    assert reason.endswith(
        "b would cost less, but min_pool_duration_hours is 1.25 where the limit is 2"
    )


def test_a_limit_that_is_missed_by_little_does_not_seem_to_be_kept() -> None:
    reason = reason_for(decided(pool("a", 0.5), pool("b", 0.3), hours_in_pool=1.999999))
    assert reason.endswith("min_pool_duration_hours is 1.999999 where the limit is 2")


def test_nothing_costs_less_than_nothing() -> None:
    assert "at 0 USD per hour" in reason_for(decided(pool("a", -0.0)))


def test_an_agent_that_may_not_leave_hears_why_it_should() -> None:
    reason = reason_for(decided(pool("a", 0.5, 0.6), planned_moves=10))
    assert reason.startswith("Staying at 0.5 USD per hour though risk_threshold is 0.6")


def test_a_notice_is_told_first() -> None:
    reason = reason_for(decided(pool("a", 0.5), pool("b", 0.6), interrupted=True))
    assert reason.startswith("The present pool takes the instance away: b at 0.6 USD per hour")
    assert "costs 2.4 USD a day" in reason


def test_a_pool_without_history_is_said_to_rest_on_the_advisors_prior() -> None:
    reason = reason_for(decided(None, pool("a", 0.5, history_hours=3.0)))
    assert reason.endswith("; no history for pool, using advisor prior")
    assert "no history" not in reason_for(decided(None, pool("a", 0.5)))


def test_a_small_risk_keeps_its_digits() -> None:
    calm = Risk(1e-4, 1.04e-4, 4e-4, 2.4e-3, 71.9, 7e-3)
    reason = reason_for(decided(None, Pool("a", 0.5, calm, history_hours=99.0)))
    assert reason.endswith("within an hour 0.0104 %")
