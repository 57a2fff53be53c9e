"""The decision itself: the cheapest choice that passes its gates, and what follows from it."""

import math
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from functools import cached_property

from decision.choices import (
    HORIZON_HOURS,
    Choice,
    Move,
    Policy,
    Pool,
    Standing,
    choices_of,
    move_of,
)
from decision.features import FULL_PRICE_HISTORY_HOURS
from spotkeeper_contracts.decisions import Recommendation

CONFIDENCE = (0.5, 0.99)
CONFIDENCE_WITHOUT_HISTORY = 0.6


def decide(
    standing: Standing, candidates: Iterable[Pool], ondemand_price: float, policy: Policy
) -> "Decision":
    """What an agent should do now, with every choice and gate that led to it.

    Prices are in USD per hour. A candidate that is the agent's own pool is passed over.
    """
    choices = list(choices_of(standing, candidates, ondemand_price, policy))
    current = None if standing.interrupted and standing.pool else choices[0]
    allowed = sorted((c for c in choices if c.allowed), key=lambda c: _order(c, current))
    if not allowed:
        allowed = choices[:1]
    return Decision(standing, ondemand_price, policy, tuple(choices), tuple(allowed))


def _order(choice: Choice, current: Choice | None) -> tuple[float, bool, float, str]:
    """Cheapest first; equally cheap: the present state, then the safer, then by name."""
    risk = choice.pool.risk.hour if choice.pool else 0.0
    return choice.cost, choice is not current, risk, choice.name


@dataclass(frozen=True)
class Decision:
    """What is recommended, and all that it follows from.

    `allowed` are the choices that pass their gates, best first; if none does, the present state.
    """

    standing: Standing
    ondemand_price: float
    policy: Policy
    choices: Sequence[Choice]
    allowed: Sequence[Choice]

    @property
    def chosen(self) -> Choice:
        """The state that is recommended."""
        return self.allowed[0]

    @property
    def recommendation(self) -> Recommendation:
        """Stay, switch, or switch to on-demand."""
        here, there = self.standing.pool, self.chosen.pool
        if there is None:
            return Recommendation.SWITCH_TO_ONDEMAND if here else Recommendation.STAY
        same = here is not None and here.pool_id == there.pool_id
        return Recommendation.STAY if same else Recommendation.SWITCH

    @property
    def target_pool(self) -> str | None:
        """The pool to be in; None is on-demand."""
        return self.chosen.pool.pool_id if self.chosen.pool else None

    @property
    def move(self) -> Move | None:
        """The kind of move that this is, if it is one."""
        if self.recommendation is Recommendation.STAY:
            return None
        return move_of(self.standing, to_spot=self.chosen.pool is not None)

    @property
    def risk_score(self) -> float:
        """The risk, within an hour, of the state that is recommended; 0 on demand."""
        return self.chosen.pool.risk.hour if self.chosen.pool else 0.0

    @property
    def current_price(self) -> float:
        """USD per hour where the agent stands."""
        pool = self.standing.pool
        return self.ondemand_price if pool is None or pool.price is None else pool.price

    @property
    def expected_savings_per_day(self) -> float:
        """USD by price alone; negative where money is paid for safety."""
        if self.recommendation is Recommendation.STAY:
            return 0.0
        return (self.current_price - self.chosen.price) * 24.0

    @property
    def risk_adjusted_savings_per_day(self) -> float:
        """USD against staying, with the costs of interruptions and of the move; 0 if it must go."""
        if self.recommendation is Recommendation.STAY or self.standing.interrupted:
            return 0.0
        return (self.choices[0].cost - self.chosen.cost) * 24.0 / HORIZON_HOURS

    @property
    def savings_against_ondemand_per_day(self) -> float:
        """USD against running on demand, with the costs of interruptions and of the move."""
        return (self.ondemand_price * HORIZON_HOURS - self.chosen.cost) * 24.0 / HORIZON_HOURS

    @cached_property
    def confidence(self) -> float:
        """How probably the choice stays cheaper than the next best over the horizon.

        The price is taken for a random walk, the interruption for a coin. The only allowed choice
        has the highest confidence, unless its price is not known for a day.
        """
        low, high = CONFIDENCE
        best = self.chosen
        if len(self.allowed) > 1:
            second = self.allowed[1]
            spread = math.sqrt(self._variance(best) + self._variance(second))
            margin = abs(second.cost - best.cost)
            if spread:
                high = min(high, 0.5 * (1.0 + math.erf(margin / spread / math.sqrt(2.0))))
        if best.pool and best.pool.history_hours < FULL_PRICE_HISTORY_HOURS:
            high = min(high, CONFIDENCE_WITHOUT_HISTORY)
        return max(low, high)

    def _variance(self, choice: Choice) -> float:
        """Of the cost over the horizon: the mean of a random walk, and an interruption or none."""
        if choice.pool is None:
            return 0.0
        walk = 0.577 * math.sqrt(HORIZON_HOURS) * HORIZON_HOURS
        price = walk * choice.pool.volatility * choice.price
        odds = choice.pool.risk.horizon * (1.0 - choice.pool.risk.horizon)
        return price**2 + odds * (self.policy.interruption_cost_hours * self.ondemand_price) ** 2
