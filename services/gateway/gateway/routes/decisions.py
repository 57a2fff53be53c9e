"""What the decision engine says of an agent: decide, recommend, explain; and what it is told."""

from typing import Annotated, Self

from fastapi import Response
from pydantic import BaseModel, Field

from gateway.auth import AGENTS, EVERYONE
from gateway.calls import Ask, AskOnce, Cursor, Limit, OwnAgent
from gateway.errors import DECISION_NOT_FOUND
from gateway.lists import AS_JSON, Accept, in_csv_too, page_response
from gateway.routing import open_to, router
from gateway.values import Moment, with_example
from spotkeeper_contracts.decisions import (
    POOLS_AT_MOST,
    Decide,
    DecisionAnswer,
    DecisionDetail,
    DecisionExplained,
    DecisionPage,
    ExplainDecision,
    GetRecommendation,
    ListDecisions,
    PriceReport,
    PricesRecorded,
    Recommendation,
    RecommendationAnswer,
    ReportedPrice,
    ReportPricing,
    Situation,
)
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.values import PurchaseMode

COLUMNS = (
    "decision_id", "timestamp", "recommendation", "current_pool", "target_pool", "confidence",
    "expected_savings_per_day", "risk_score", "will_auto_execute", "outcome", "model_version",
    "reason",
)  # fmt: skip

_EXAMPLE = example(DecisionDetail).model_dump(mode="json")

routes = router("decisions")


class DecideBody(Situation):
    """Where the agent runs, the prices that it sees, and for how long it has run."""

    model_config = with_example(
        {
            "current_state": {
                "instance_id": "i-current",
                "instance_type": "t3.medium",
                "current_mode": "spot",
                "current_pool": "us-east-1a-pool-1",
                "current_price": 0.0104,
            },
            "pricing_data": {
                "available_pools": [{"pool_id": "us-east-1b-pool-1", "price": 0.0098}],
                "ondemand_price": 0.0416,
            },
            "metrics": {"uptime_hours": 24, "interruption_count": 0},
        }
    )


class DecisionBody(BaseModel):
    """What the agent should do, and why; `expected_savings_per_day` is in USD."""

    model_config = with_example(
        {
            "recommendation": "switch",
            "target_pool": "us-east-1b-pool-1",
            "confidence": 0.6,
            "reason": "us-east-1b-pool-1 at 0.0098 USD per hour instead of 0.0104 saves 0.0144 USD"
            " a day, risk of an interruption within an hour 0.0035 %",
            "expected_savings_per_day": 0.0144,
            "risk_score": 0.000035,
        }
    )

    recommendation: Recommendation
    target_pool: str | None
    confidence: float
    reason: str
    expected_savings_per_day: float
    risk_score: float

    @classmethod
    def of(cls, answer: DecisionAnswer) -> Self:
        """The six keys of an answer."""
        return cls(**answer.model_dump(include=set(cls.model_fields)))


class RecommendationBody(BaseModel):
    """What would be decided now; `savings_impact` is in USD an hour."""

    model_config = with_example(
        {
            "recommendation": "switch",
            "target_pool": "us-east-1b-pool-3",
            "target_type": "spot",
            "confidence": 0.87,
            "reason": "us-east-1b-pool-3 at 0.0098 USD per hour instead of 0.0248 saves 0.36 USD"
            " a day, risk of an interruption within an hour 0.0035 %",
            "savings_impact": 0.015,
            "will_auto_execute": True,
        }
    )

    recommendation: Recommendation
    target_pool: str | None
    target_type: PurchaseMode
    confidence: float
    reason: str
    savings_impact: float
    will_auto_execute: bool

    @classmethod
    def of(cls, answer: RecommendationAnswer) -> Self:
        """The seven keys of an answer."""
        return cls(**answer.model_dump(include=set(cls.model_fields)))


class PriceBody(ReportedPrice):
    """A spot price; without a moment it is that of now."""

    timestamp: Moment | None = None


class PricingReportBody(PriceReport):
    """Prices of one instance type in a region, 200 at most."""

    model_config = with_example(
        {
            "instance_id": "i-1234567890abcdef0",
            "instance_type": "t3.medium",
            "region": "us-east-1",
            "spot_prices": [
                {
                    "pool_id": "t3.medium.us-east-1b",
                    "az": "us-east-1b",
                    "price": 0.0098,
                    "timestamp": "2024-11-26T10:00:00Z",
                }
            ],
            "on_demand_price": 0.0416,
        }
    )

    spot_prices: Annotated[tuple[PriceBody, ...], Field(max_length=POOLS_AT_MOST)]


class PricingReportAnswer(BaseModel):
    """How many of the prices were new."""

    model_config = with_example({"success": True, "records_inserted": 1})

    success: bool
    records_inserted: int


class ExplainedBody(DecisionDetail):
    """One decision with all that it was made by."""

    model_config = with_example(_EXAMPLE)


class DecisionsBody(BaseModel):
    """Decisions, newest first."""

    model_config = with_example({"items": [_EXAMPLE], "next_cursor": "MTczMjYxNTIwMC4w"})

    items: list[DecisionDetail]
    next_cursor: str | None


@routes.post("/api/agents/{agent_id}/decide", operation_id="decide")
@open_to(AGENTS, tells=("X-Outcome",))
async def decide(body: DecideBody, agent: OwnAgent, ask: AskOnce, out: Response) -> DecisionBody:
    """Ask the engine; the decision is kept, and nothing is switched by asking.

    `X-Outcome: degraded` tells that the engine could not decide in time.
    """
    answer: DecisionAnswer = await ask(Decide(**agent.as_known, situation=body))
    _tell(out, answer.outcome)
    return DecisionBody.of(answer)


@routes.get("/api/agents/{agent_id}/switch-recommendation", operation_id="recommend_switch")
@open_to(EVERYONE)
async def recommend_switch(agent: OwnAgent, ask: Ask, out: Response) -> RecommendationBody:
    """What would be decided by the latest that is known; nothing is kept and nothing executes.

    `X-Outcome` is `no-data` if too little is known, `degraded` if the engine could not decide.
    """
    answer: RecommendationAnswer = await ask(GetRecommendation(**agent.as_known))
    _tell(out, answer.outcome)
    return RecommendationBody.of(answer)


@routes.get(
    "/api/agents/{agent_id}/decisions",
    operation_id="list_decisions",
    response_model=DecisionsBody,
    responses=in_csv_too(COLUMNS),
)
@open_to(EVERYONE, tells=("X-Next-Cursor",))
async def list_decisions(
    agent: OwnAgent, ask: Ask, cursor: Cursor = None, limit: Limit = 50, accept: Accept = AS_JSON
) -> Response:
    """What was decided, newest first; in CSV, `X-Next-Cursor` leads to the next page."""
    page: DecisionPage = await ask(ListDecisions(**agent.ids, cursor=cursor, limit=limit))
    return page_response(accept, DecisionsBody, page, COLUMNS)


@routes.get(
    "/api/agents/{agent_id}/explain", operation_id="explain_decision", response_model=ExplainedBody
)
@open_to(EVERYONE, DECISION_NOT_FOUND)
async def explain_decision(agent: OwnAgent, ask: Ask, out: Response) -> DecisionDetail:
    """The last decision with each choice, each gate's value, limit and verdict, and the model."""
    answer: DecisionExplained = await ask(ExplainDecision(**agent.ids))
    _tell(out, answer.decision.outcome)
    return answer.decision


@routes.post("/api/agents/{agent_id}/pricing-report", operation_id="report_pricing")
@open_to(AGENTS)
async def report_pricing(
    body: PricingReportBody, agent: OwnAgent, ask: AskOnce
) -> PricingReportAnswer:
    """Keep spot prices; one that is known of that moment is not kept again."""
    recorded: PricesRecorded = await ask(ReportPricing(**agent.as_known, report=body))
    return PricingReportAnswer(success=True, records_inserted=recorded.records_inserted)


def _tell(out: Response, outcome: str | None) -> None:
    if outcome is not None:
        out.headers["X-Outcome"] = outcome
