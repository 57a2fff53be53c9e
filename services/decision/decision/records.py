"""A decision as it is kept, told and shown: from the engine's answer to the contract's words."""

from collections.abc import Iterator, Sequence
from datetime import datetime
from uuid import UUID

from decision import acting
from decision.choices import Choice, Gate
from decision.questions import Answer
from decision.reasons import reason_for
from spotkeeper_contracts.decisions import (
    DecisionDetail,
    GateVerdict,
    RatedChoice,
    Recommendation,
    ShadowDecision,
)
from spotkeeper_contracts.values import rfc3339

CHOICES_SHOWN = 20
"""So many choices of a decision are kept: the present state, the chosen one, on demand, and the
cheapest of the others."""
DEGRADED = "degraded"


def detail_of(
    answer: Answer,
    shadow: Answer | None,
    gates: Sequence[GateVerdict],
    *,
    decision_id: UUID,
    at: datetime,
) -> DecisionDetail:
    """All of a decision that the engine made."""
    decision = answer.decision
    here = decision.standing.pool
    return DecisionDetail(
        decision_id=decision_id,
        recommendation=decision.recommendation,
        current_pool=here.pool_id if here else None,
        target_pool=_target(answer),
        confidence=round(decision.confidence, 4),
        reason=reason_for(decision),
        expected_savings_per_day=_usd(decision.expected_savings_per_day),
        risk_adjusted_savings_per_day=_usd(decision.risk_adjusted_savings_per_day),
        savings_against_ondemand_per_day=_usd(decision.savings_against_ondemand_per_day),
        risk_score=_probability(decision.risk_score),
        will_auto_execute=acting.will_auto_execute(decision.recommendation, gates),
        outcome=None,
        model_version=answer.model_version,
        gates=list(gates),
        choices=list(_rated(answer)),
        shadow=shadow and _shadow(shadow),
        timestamp=at,
    )


def degraded(
    why: str,
    last: DecisionDetail | None,
    gates: Sequence[GateVerdict],
    *,
    current_pool: str | None,
    decision_id: UUID,
    at: datetime,
) -> DecisionDetail:
    """What is said while the engine is away: the last decision again, or to stay; nobody moves."""
    new = {
        "decision_id": decision_id,
        "timestamp": at,
        "outcome": DEGRADED,
        "will_auto_execute": False,
        "gates": list(gates),
        "shadow": None,
    }
    if last is not None:
        reason = f"Degraded, {why}; as decided at {rfc3339(last.timestamp)}: {last.reason}"
        return last.model_copy(update={**new, "reason": reason})
    return DecisionDetail(
        **new,
        recommendation=Recommendation.STAY,
        current_pool=current_pool,
        target_pool=None,
        confidence=0.0,
        reason=f"Degraded, {why}; staying, as no recent decision is known",
        expected_savings_per_day=0.0,
        risk_adjusted_savings_per_day=0.0,
        savings_against_ondemand_per_day=0.0,
        risk_score=1.0,
        model_version=None,
        choices=[],
    )


def still_holds(last: DecisionDetail, current_pool: str | None, pools: Sequence[str]) -> bool:
    """Whether a decision can be repeated where the agent stands, with the pools there are now."""
    reachable = last.target_pool is None or last.target_pool in pools
    return last.current_pool == current_pool and reachable


def _shadow(answer: Answer) -> ShadowDecision:
    return ShadowDecision(
        model_version=answer.model_version,
        recommendation=answer.decision.recommendation,
        target_pool=_target(answer),
        risk_score=_probability(answer.decision.risk_score),
    )


def _target(answer: Answer) -> str | None:
    decision = answer.decision
    return decision.target_pool if decision.recommendation is Recommendation.SWITCH else None


def _rated(answer: Answer) -> Iterator[RatedChoice]:
    decision = answer.decision
    ondemand = [choice for choice in decision.choices if choice.pool is None]
    first = [decision.choices[0], decision.chosen, *ondemand]
    cheapest = sorted(decision.choices, key=lambda choice: choice.cost)
    for choice in list(dict.fromkeys([*first, *cheapest]))[:CHOICES_SHOWN]:
        yield _rated_choice(choice, answer)


def _rated_choice(choice: Choice, answer: Answer) -> RatedChoice:
    pool = choice.pool
    features = answer.features(pool.pool_id) if pool else {}
    return RatedChoice(
        pool_id=pool and pool.pool_id,
        price_usd_per_hour=choice.price,
        cost_usd=_usd(choice.cost),
        risk_1h=_probability(pool.risk.hour) if pool else 0.0,
        allowed=choice.allowed,
        gates=[_verdict(gate) for gate in choice.gates],
        features={name: round(value, 6) for name, value in features.items()},
    )


def _verdict(gate: Gate) -> GateVerdict:
    return GateVerdict(name=gate.name, value=gate.value, limit=gate.limit, passed=gate.passed)


def _usd(amount: float) -> float:
    return round(amount, 6)


def _probability(value: float) -> float:
    return round(min(max(value, 0.0), 1.0), 8)
