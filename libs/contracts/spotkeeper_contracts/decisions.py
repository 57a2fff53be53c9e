"""Decisions: what an agent tells of its market, what it should do, and by which gates."""

from enum import StrEnum
from typing import Annotated
from uuid import UUID

from pydantic import Field, Strict, ValidationInfo, field_validator
from pydantic_core import PydanticCustomError

from spotkeeper_contracts.agents import AgentRequest
from spotkeeper_contracts.message import Message, Reply, Request, Value
from spotkeeper_contracts.switches import StatisticsAnswer
from spotkeeper_contracts.topics import AGENT_DECISIONS, DECISION_REQUESTS
from spotkeeper_contracts.values import (
    AvailabilityZone,
    Count,
    InstanceId,
    InstanceType,
    Mode,
    PoolId,
    Probability,
    PurchaseMode,
    Region,
    Text,
    Timestamp,
    UsdPerHour,
    assert_in_region,
)

POOLS_AT_MOST = 200
Hours = Annotated[float, Strict(), Field(ge=0, le=1_000_000, allow_inf_nan=False)]
Price = Annotated[UsdPerHour, Strict()]
Outcome = Text


class Recommendation(StrEnum):
    """What is recommended."""

    STAY = "stay"
    SWITCH = "switch"
    SWITCH_TO_ONDEMAND = "switch_to_ondemand"


class CurrentState(Value):
    """Where an agent runs, and what an hour costs there; on spot it must name pool and price."""

    instance_id: InstanceId
    instance_type: InstanceType
    current_mode: Mode
    current_pool: Annotated[PoolId | None, Field(validate_default=True)] = None
    current_price: Annotated[Price | None, Field(validate_default=True)] = None

    @field_validator("current_pool", "current_price")
    @classmethod
    def is_known_on_spot(cls, told: str | float | None, info: ValidationInfo) -> str | float | None:
        """On spot an agent runs in a pool, at a price."""
        if told is None and info.data.get("current_mode") is PurchaseMode.SPOT:
            raise PydanticCustomError("missing", "Missing required field")
        return told


class AvailablePool(Value):
    """A spot pool that an agent could go to, at its present price."""

    pool_id: PoolId
    price: Price


class PricingData(Value):
    """Prices as an agent sees them now; each pool once."""

    available_pools: Annotated[list[AvailablePool], Field(max_length=POOLS_AT_MOST)]
    ondemand_price: Price

    @field_validator("available_pools")
    @classmethod
    def names_each_pool_once(cls, pools: list[AvailablePool]) -> list[AvailablePool]:
        """A pool has one price at a time."""
        if len({pool.pool_id for pool in pools}) < len(pools):
            raise PydanticCustomError("duplicate", "A pool is named twice")
        return pools


class InstanceMetrics(Value):
    """What an agent counted on its instance."""

    uptime_hours: Hours
    interruption_count: Annotated[Count, Strict()] = 0


class Situation(Value):
    """All that an agent tells when it asks for a decision."""

    current_state: CurrentState
    pricing_data: PricingData
    metrics: InstanceMetrics


class DecisionAnswer(Reply):
    """What an agent should do; `outcome` is `degraded` where the engine could not decide."""

    decision_id: UUID
    recommendation: Recommendation
    target_pool: PoolId | None
    confidence: Probability
    reason: str
    expected_savings_per_day: float
    risk_score: Probability
    outcome: Outcome | None = None


class Decide(AgentRequest, topic=DECISION_REQUESTS, reply=DecisionAnswer):
    """Decide for an agent by what it tells, and by what its fleet has seen; it moves nobody."""

    situation: Situation


class RecommendationAnswer(Reply):
    """What an agent should do by all that is known of it; `savings_impact` is in USD an hour.

    `outcome` is `no-data` if too little is known, `degraded` where the engine could not decide.
    """

    recommendation: Recommendation
    target_pool: PoolId | None
    target_type: Mode
    confidence: Probability
    reason: str
    savings_impact: float
    will_auto_execute: bool
    outcome: Outcome | None = None


class GetRecommendation(
    AgentRequest, topic=DECISION_REQUESTS, reply=RecommendationAnswer, reads_only=True
):
    """What would be decided now by the latest known state; nothing is kept, and nobody moves."""


class GetStatistics(Request, topic=DECISION_REQUESTS, reply=StatisticsAnswer, reads_only=True):
    """An agent's decisions in figures; handed on to the owner of switches, who answers."""

    agent_id: UUID
    client_id: UUID


class GateVerdict(Value):
    """One condition: what was found, what the limit is, and whether it is kept."""

    name: str
    value: float
    limit: float
    passed: bool


class RatedChoice(Value):
    """One state that the agent could be in, with its price, its cost over 72 hours and its gates.

    Without a pool it is on demand. `features` are what the model read, by name.
    """

    pool_id: PoolId | None
    price_usd_per_hour: UsdPerHour
    cost_usd: float
    risk_1h: Probability
    allowed: bool
    gates: list[GateVerdict]
    features: dict[str, float] = Field(default={})


class ShadowDecision(Value):
    """What a model that only watches would have decided."""

    model_version: Text
    recommendation: Recommendation
    target_pool: PoolId | None
    risk_score: Probability


class DecisionDetail(Value):
    """A decision with all that it was made by: `gates` concern the agent, others each choice.

    The savings besides `expected_savings_per_day` count interruptions and moves in.
    """

    decision_id: UUID
    recommendation: Recommendation
    current_pool: PoolId | None
    target_pool: PoolId | None
    confidence: Probability
    reason: str
    expected_savings_per_day: float
    risk_adjusted_savings_per_day: float
    savings_against_ondemand_per_day: float
    risk_score: Probability
    will_auto_execute: bool
    outcome: Outcome | None = None
    model_version: Text | None
    gates: list[GateVerdict]
    choices: list[RatedChoice]
    shadow: ShadowDecision | None
    timestamp: Timestamp


class DecisionPage(Reply):
    """Decisions, newest first."""

    items: list[DecisionDetail]
    next_cursor: str | None = None


class ListDecisions(Request, topic=DECISION_REQUESTS, reply=DecisionPage, reads_only=True):
    """The decisions about an agent."""

    agent_id: UUID
    client_id: UUID
    cursor: str | None = None
    limit: int = 50


class DecisionExplained(Reply):
    """One decision, gate by gate."""

    decision: DecisionDetail


class ExplainDecision(Request, topic=DECISION_REQUESTS, reply=DecisionExplained, reads_only=True):
    """The last decision about an agent; refused with 404 if there is none."""

    agent_id: UUID
    client_id: UUID


class ReportedPrice(Value):
    """A spot price; without a moment it is that of now."""

    pool_id: PoolId
    az: AvailabilityZone
    price: Price
    timestamp: Timestamp | None = None


class PriceReport(Value):
    """Prices of one instance type in a region; each pool and moment once."""

    instance_id: InstanceId | None = None
    instance_type: InstanceType
    region: Region
    spot_prices: Annotated[tuple[ReportedPrice, ...], Field(max_length=POOLS_AT_MOST)]
    on_demand_price: Price

    @field_validator("spot_prices")
    @classmethod
    def are_of_the_region_and_told_once(
        cls, prices: tuple[ReportedPrice, ...], info: ValidationInfo
    ) -> tuple[ReportedPrice, ...]:
        """A pool has one price at a time, and its zone is named for the region."""
        if len({(price.pool_id, price.timestamp) for price in prices}) < len(prices):
            raise PydanticCustomError("duplicate", "A pool is named twice at the same moment")
        region = info.data.get("region", "")
        for price in prices:
            assert_in_region(price.az, region)
        return prices


class PricesRecorded(Reply):
    """How many prices were new."""

    records_inserted: Count


class ReportPricing(AgentRequest, topic=DECISION_REQUESTS, reply=PricesRecorded):
    """Keep prices for later decisions; one that is known of that moment is not kept again."""

    report: PriceReport


class DecisionMade(Message, topic=AGENT_DECISIONS):
    """The engine decided; if `will_auto_execute`, the decision service has the agent moved."""

    agent_id: UUID
    client_id: UUID
    decision_id: UUID
    recommendation: Recommendation
    current_pool: PoolId | None
    target_pool: PoolId | None
    target_mode: Mode
    confidence: Probability
    reason: str
    expected_savings_per_day: float
    risk_score: Probability
    outcome: Outcome | None = None
    gates: list[GateVerdict]
    choices: list[RatedChoice]
    model_version: Text | None
    will_auto_execute: bool
    urgent: bool = False
    max_price: UsdPerHour | None = None
    at: Timestamp
