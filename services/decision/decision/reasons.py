"""A decision in words: every number in them is one that the decision was made by."""

from decision.choices import HORIZON_HOURS, Choice, Gate
from decision.features import FULL_PRICE_HISTORY_HOURS
from decision.rules import Decision
from spotkeeper_contracts.decisions import Recommendation


def reason_for(decision: Decision) -> str:
    """One sentence on what is recommended and why, and which gate stood in the way of what."""
    parts = [
        _stays(decision) if decision.recommendation is Recommendation.STAY else _moves(decision)
    ]
    refused = _cheapest_refused(decision)
    if refused:
        costs_less = refused.cost < decision.chosen.cost
        how = "would cost less, but" if costs_less else "is no choice:"
        parts.append(f"{refused.name} {how} {_broken(refused)}")
    pool = decision.chosen.pool
    if pool and pool.history_hours < FULL_PRICE_HISTORY_HOURS:
        parts.append("no history for pool, using advisor prior")
    return "; ".join(parts)


def _stays(decision: Decision) -> str:
    chosen = decision.chosen
    if not chosen.allowed:
        return (
            f"Staying at {_price(chosen)} though {_broken(chosen)}: every other choice is refused"
        )
    return (
        f"Staying at {_price(chosen)}: no allowed choice costs less over {HORIZON_HOURS:.0f} hours"
        f"{_risk(chosen)}"
    )


def _moves(decision: Decision) -> str:
    chosen, savings = decision.chosen, decision.expected_savings_per_day
    change = "saves" if savings >= 0 else "costs"
    text = (
        f"{chosen.name} at {_price(chosen)} instead of {decision.current_price:.5g} {change} "
        f"{abs(savings):.4g} USD a day{_risk(chosen)}"
    )
    if decision.standing.interrupted:
        return f"The present pool takes the instance away: {text}"
    here = decision.choices[0]
    return text if here.allowed else f"Leaving {here.name}, where {_broken(here)}: {text}"


def _cheapest_refused(decision: Decision) -> Choice | None:
    """The choice that would have been made if gates were open; or else, of no other pool, why."""
    others = decision.choices[1:] if decision.choices else ()
    to_pools = [choice for choice in others if choice.pool]
    none_is_open = not any(choice.allowed for choice in to_pools)
    refused = [
        choice
        for choice in decision.choices
        if not choice.allowed
        if choice.cost < decision.chosen.cost or (choice in to_pools and none_is_open)
    ]
    return min(refused, key=lambda choice: choice.cost, default=None)


def _price(choice: Choice) -> str:
    return f"{choice.price + 0.0:.5g} USD per hour"  # There is a zero below zero, too.


def _risk(choice: Choice) -> str:
    if choice.pool is None:
        return ""
    return f", risk of an interruption within an hour {100 * choice.pool.risk.hour:.3g} %"


def _broken(choice: Choice) -> str:
    return " and ".join(_told(gate) for gate in choice.gates if not gate.passed)


def _told(gate: Gate) -> str:
    value, limit = f"{gate.value:.4g}", f"{gate.limit:.4g}"
    if value == limit:  # What breaks a limit by so little must not seem to keep it.
        value, limit = f"{gate.value:.10g}", f"{gate.limit:.10g}"
    return f"{gate.name} is {value} where the limit is {limit}"
