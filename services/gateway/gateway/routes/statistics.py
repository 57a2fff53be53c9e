"""GET …/statistics: an agent's decisions and switches in figures."""

from uuid import UUID

from fastapi import Response
from pydantic import BaseModel

from gateway.auth import EVERYONE
from gateway.calls import Ask, OwnAgent
from gateway.routing import open_to, router
from gateway.values import with_example
from spotkeeper_contracts.decisions import GetStatistics
from spotkeeper_contracts.switches import StatisticsAnswer
from spotkeeper_contracts.values import Timestamp, rfc3339

routes = router("decisions")


class SwitchesByTrigger(BaseModel):
    """Executed switches by who set them going."""

    automatic: int
    manual: int


class Statistics(BaseModel):
    """The figures; `success_rate` is executed switches per decision, savings are in USD."""

    total_decisions: int
    switches_executed: int
    switches_recommended: int
    success_rate: float
    average_confidence: float
    last_decision_at: Timestamp | None
    decisions_by_trigger: SwitchesByTrigger
    avg_downtime_seconds: float
    total_savings_generated: float


class StatisticsBody(BaseModel):
    """An agent's figures so far."""

    model_config = with_example(
        {
            "agent_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
            "statistics": {
                "total_decisions": 145,
                "switches_executed": 38,
                "switches_recommended": 45,
                "success_rate": 0.26,
                "average_confidence": 0.82,
                "last_decision_at": "2024-11-26T10:00:00Z",
                "decisions_by_trigger": {"automatic": 35, "manual": 3},
                "avg_downtime_seconds": 12,
                "total_savings_generated": 45.60,
            },
        }
    )

    agent_id: UUID
    statistics: Statistics


@routes.get("/api/agents/{agent_id}/statistics", operation_id="get_statistics")
@open_to(EVERYONE, tells=("X-As-Of",))
async def get_statistics(agent: OwnAgent, ask: Ask, out: Response) -> StatisticsBody:
    """How often the engine decided, what was executed and what that saved, as of `X-As-Of`."""
    told: StatisticsAnswer = await ask(GetStatistics(**agent.ids))
    out.headers["X-As-Of"] = rfc3339(told.as_of)
    decisions = told.decisions.total_decisions
    executed = told.switches_executed
    return StatisticsBody(
        agent_id=agent.state.agent_id,
        statistics=Statistics(
            **told.decisions.model_dump(),
            switches_executed=executed,
            success_rate=round(min(1.0, executed / decisions), 2) if decisions else 0.0,
            decisions_by_trigger=SwitchesByTrigger(automatic=told.automatic, manual=told.manual),
            avg_downtime_seconds=told.avg_downtime_seconds,
            total_savings_generated=round(told.total_savings_generated, 2),
        ),
    )
