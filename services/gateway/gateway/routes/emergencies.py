"""Emergencies: what AWS announces to an agent, what is done about it, and how the agent stands."""

from uuid import UUID

from pydantic import BaseModel

from chassis import clock
from gateway.auth import AGENTS, EVERYONE
from gateway.calls import Ask, AskOnce, CurrentCaller, OwnAgent, Running
from gateway.errors import NOT_PRIMARY
from gateway.routing import open_to, router
from gateway.values import Moment, with_example
from gateway.views import working_engines
from spotkeeper_contracts.emergencies import (
    AnnounceTermination,
    EmergencyEvent,
    EmergencyStatus,
    GetEmergencyStatus,
    RebalanceAction,
    RebalanceAnswer,
    RecommendRebalance,
    TerminationAction,
    TerminationAnswer,
)
from spotkeeper_contracts.values import InstanceId

routes = router("emergencies")

_REPLICA_ID = "0192f3a4-5b6c-7d8e-9f00-112233445566"


class RebalanceBody(BaseModel):
    """AWS recommends to leave an instance before it may be interrupted."""

    model_config = with_example(
        {"instance_id": "i-1234567890abcdef0", "recommendation_time": "2024-11-26T10:00:00Z"}
    )

    instance_id: InstanceId | None = None
    recommendation_time: Moment | None = None


class RebalanceTold(BaseModel):
    """What is done about a recommendation, and with which replica."""

    model_config = with_example(
        {"success": True, "action_taken": "replica_created", "replica_id": _REPLICA_ID}
    )

    success: bool = True
    action_taken: RebalanceAction
    replica_id: UUID | None


class TerminationNotice(BaseModel):
    """AWS announces that it will terminate an instance within two minutes."""

    model_config = with_example(
        {
            "instance_id": "i-1234567890abcdef0",
            "termination_time": "2024-11-26T10:02:00Z",
            "notice_time": "2024-11-26T10:00:00Z",
        }
    )

    instance_id: InstanceId
    termination_time: Moment
    notice_time: Moment | None = None


class TerminationTold(BaseModel):
    """What is done about a notice, with which replica or which command."""

    model_config = with_example(
        {
            "success": True,
            "action_taken": "replica_promoted",
            "replica_id": _REPLICA_ID,
            "command_id": None,
        }
    )

    success: bool = True
    action_taken: TerminationAction
    replica_id: UUID | None
    command_id: UUID | None


class EmergencyBody(BaseModel):
    """How an agent stands with emergencies."""

    model_config = with_example(
        {
            "agent_id": "0f8fad5b-d9cb-569f-a165-70867728950e",
            "emergency_mode_active": False,
            "rebalance_only_mode": False,
            "ml_models_loaded": True,
            "decision_engine_active": True,
            "last_emergency_event": {
                "timestamp": "2024-11-20T08:00:00Z",
                "type": "rebalance_recommendation",
                "action_taken": "emergency_replica_created",
                "outcome": "success",
            },
            "emergency_replicas_count": 0,
            "termination_notices_24h": 0,
        }
    )

    agent_id: UUID
    emergency_mode_active: bool
    rebalance_only_mode: bool
    ml_models_loaded: bool
    decision_engine_active: bool
    last_emergency_event: EmergencyEvent | None
    emergency_replicas_count: int
    termination_notices_24h: int


@routes.post("/api/agents/{agent_id}/rebalance-recommendation", operation_id="recommend_rebalance")
@open_to(AGENTS)
async def recommend_rebalance(
    agent: OwnAgent, body: RebalanceBody, caller: CurrentCaller, gateway: Running, ask: AskOnce
) -> RebalanceTold:
    """Have a replica ready before AWS interrupts the agent's instance.

    The body's `instance_id` names the caller like `X-Instance-Id`.
    """
    if not ask.refused:
        agent = await gateway.agents.acting(agent, body.instance_id, caller)
        if not agent.is_primary(body.instance_id):
            ask.refuse(NOT_PRIMARY.refused())
    answer: RebalanceAnswer = await ask(RecommendRebalance(**agent.as_known, **body.model_dump()))
    return RebalanceTold(action_taken=answer.action_taken, replica_id=answer.replica_id)


@routes.post("/api/agents/{agent_id}/termination-imminent", operation_id="announce_termination")
@open_to(AGENTS)
async def announce_termination(
    agent: OwnAgent, body: TerminationNotice, ask: AskOnce
) -> TerminationTold:
    """Promote a replica at once, or switch to on demand, before AWS terminates the instance.

    `promotion_pending` means that a replica is being launched and takes over once it is there; if
    it is not a minute before the end, the agent is sent on demand after all.
    """
    answer: TerminationAnswer = await ask(
        AnnounceTermination(**agent.as_known, **body.model_dump())
    )
    return TerminationTold(
        action_taken=answer.action_taken,
        replica_id=answer.replica_id,
        command_id=answer.command_id,
    )


@routes.get("/api/agents/{agent_id}/emergency-status", operation_id="get_emergency_status")
@open_to(EVERYONE)
async def get_emergency_status(agent: OwnAgent, ask: Ask, gateway: Running) -> EmergencyBody:
    """Whether the agent is in an emergency, and whether a decision engine works.

    What was not heard of a decision engine within 30 seconds counts as not working.
    """
    status: EmergencyStatus = await ask(GetEmergencyStatus(**agent.as_known))
    engines = working_engines(gateway.engines, clock.now())
    return EmergencyBody(
        agent_id=agent.state.agent_id,
        rebalance_only_mode=agent.state.config.emergency_rebalance_only,
        ml_models_loaded=any(engine.model_loaded for engine in engines),
        decision_engine_active=any(engine.healthy for engine in engines),
        **status.model_dump(exclude={"revision"}),
    )
