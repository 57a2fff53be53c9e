"""When a decision is acted upon by itself, how urgent that is, and how many may move at once."""

import math
from collections.abc import Sequence

from decision.rules import Decision
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.decisions import GateVerdict, Recommendation
from spotkeeper_contracts.values import PurchaseMode

IS_PRESENT = "not_from_a_former_instance"


def gates_of(
    config: AgentConfig, *, in_emergency: bool, from_former: bool = False
) -> list[GateVerdict]:
    """The conditions on the agent as a whole; each is 1 (yes) or 0 (no) where 1 is asked for."""
    answers = {
        "enabled": config.enabled,
        "auto_switch_enabled": config.auto_switch_enabled,
        "decision_engine_active": config.decision_engine_active,
        "not_emergency_rebalance_only": not config.emergency_rebalance_only,
        "no_termination_notice": not in_emergency,
        IS_PRESENT: not from_former,
    }
    return [
        GateVerdict(name=name, value=float(yes), limit=1.0, passed=yes)
        for name, yes in answers.items()
    ]


def speaks_for_the_agent(gates: Sequence[GateVerdict]) -> bool:
    """Whether a decision was asked for by the instance that the agent runs on."""
    return all(gate.passed for gate in gates if gate.name == IS_PRESENT)


def target_of(
    recommendation: Recommendation, target_pool: str | None
) -> tuple[PurchaseMode | None, str | None]:
    """The mode and the pool that a decision sends the agent to; neither if it stays."""
    match recommendation:
        case Recommendation.STAY:
            return None, None
        case Recommendation.SWITCH_TO_ONDEMAND:
            return PurchaseMode.ONDEMAND, None
        case _:
            return PurchaseMode.SPOT, target_pool


def will_auto_execute(recommendation: Recommendation, gates: Sequence[GateVerdict]) -> bool:
    """Whether the automatic loop is to move the agent."""
    return recommendation is not Recommendation.STAY and all(gate.passed for gate in gates)


def flees_risk(decision: Decision) -> bool:
    """Whether the move leaves a pool because of its risk, and not to save money."""
    here = decision.standing.pool
    if here is None or decision.recommendation is Recommendation.STAY:
        return False
    return decision.standing.interrupted or not decision.choices[0].allowed


def max_price(decision: Decision) -> float | None:
    """USD per hour above which the move is not worth making any more; None for on-demand."""
    if decision.recommendation is not Recommendation.SWITCH:
        return None
    most = decision.ondemand_price * (1.0 - decision.policy.min_savings_percent / 100.0)
    if not flees_risk(decision) and decision.expected_savings_per_day >= 0.0:
        most = min(most, decision.current_price)
    return max(most, decision.chosen.price)


def switches_at_once(agents: int, share: float) -> int:
    """How many of so many agents may move to save money at once."""
    return max(1, math.floor(agents * share))
