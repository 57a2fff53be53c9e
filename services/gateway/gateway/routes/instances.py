"""Instances that are left behind: what an agent is to terminate, and what it says of that."""

from pydantic import BaseModel, RootModel

from gateway.auth import AGENTS, EVERYONE
from gateway.calls import Ask, AskOnce, OwnAgent
from gateway.errors import INSTANCE_NOT_FOUND
from gateway.routing import open_to, router
from gateway.values import Done, Flag, JsonObject, Moment, with_example
from spotkeeper_contracts.instances import (
    InstancesToTerminate,
    InstanceToTerminate,
    ListInstancesToTerminate,
    ReportCleanup,
    ReportTermination,
    TerminationReason,
    TerminationType,
)
from spotkeeper_contracts.values import InstanceId, Text

routes = router("instances")

_TO_TERMINATE = {
    "instance_id": "i-zombie-123",
    "reason": "zombie_instance",
    "age_hours": 168,
    "terminate_after": "2024-11-26T12:00:00Z",
}


class TerminationBody(BaseModel):
    """How an instance ended, or with `success` false that it could not be ended."""

    model_config = with_example(
        {
            "instance_id": "i-terminated-123",
            "reason": "system",
            "timestamp": "2024-11-26T10:00:00Z",
            "termination_type": "graceful",
        }
    )

    instance_id: InstanceId
    reason: TerminationReason = TerminationReason.SYSTEM
    timestamp: Moment | None = None
    termination_type: TerminationType = TerminationType.GRACEFUL
    success: Flag = True
    error: Text | None = None


class CleanupBody(RootModel[JsonObject]):
    """What an agent cleaned up, in its own words."""

    model_config = with_example({"instances_terminated": ["i-zombie-123"], "errors": []})


@routes.get(
    "/api/agents/{agent_id}/instances-to-terminate",
    operation_id="list_instances_to_terminate",
    responses={200: {"content": {"application/json": {"example": [_TO_TERMINATE]}}}},
)
@open_to(EVERYONE)
async def list_instances_to_terminate(agent: OwnAgent, ask: Ask) -> list[InstanceToTerminate]:
    """What the agent is to terminate: its own zombies whose wait is over, never its primary."""
    answer: InstancesToTerminate = await ask(ListInstancesToTerminate(**agent.ids))
    return answer.instances


@routes.post("/api/agents/{agent_id}/termination-report", operation_id="report_termination")
@open_to(AGENTS, INSTANCE_NOT_FOUND, fenced=False)
async def report_termination(agent: OwnAgent, body: TerminationBody, ask: AskOnce) -> Done:
    """Tell that an instance is gone for good, or that it could not be terminated."""
    await ask(ReportTermination(**agent.ids, **body.model_dump(exclude={"timestamp"})))
    return Done()


@routes.post("/api/agents/{agent_id}/cleanup-report", operation_id="report_cleanup")
@open_to(AGENTS)
async def report_cleanup(agent: OwnAgent, body: CleanupBody, ask: AskOnce) -> Done:
    """Tell what was cleaned up; the whole body is kept in the agent's audit trail."""
    await ask(ReportCleanup(**agent.ids, summary=body.root))
    return Done()
