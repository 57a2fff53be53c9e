"""Replicas: ordered by operators, told of by agents and by the replicas themselves."""

from typing import Annotated
from uuid import UUID

from pydantic import BaseModel, Field, Strict

from gateway.auth import AGENTS, EVERYONE
from gateway.calls import (
    Ask,
    Asking,
    AskOnce,
    CurrentCaller,
    NamedInstance,
    OwnAgent,
    ReplicaId,
    Running,
)
from gateway.errors import (
    INSTANCE_IN_USE,
    INVALID_TRANSITION,
    NOT_LAUNCHED,
    NOT_PRIMARY,
    NOT_SYNCED,
    REPLICA_ENDED,
    REPLICA_NOT_FOUND,
    STALE_EPOCH,
    STALE_REPORT,
)
from gateway.routing import open_to, router
from gateway.values import Done, Flag, Percentage, with_example
from gateway.views import KnownAgent
from spotkeeper_contracts.replicas import (
    ChangeReplica,
    CreateReplica,
    DeleteReplica,
    ListReplicas,
    PromoteReplica,
    Replica,
    ReplicaAnswer,
    ReplicaList,
    ReplicaStatus,
    ReportReplicaStatus,
    ReportReplicaSync,
)
from spotkeeper_contracts.values import InstanceId, PoolId, Text

routes = router("replicas")

_EXAMPLE = {
    "replica_id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
    "kind": "manual",
    "status": "syncing",
    "pool_id": "t3.medium.us-east-1b",
    "mode": "spot",
    "instance_id": "i-0fedcba9876543210",
    "instance_type": "t3.medium",
    "region": "us-east-1",
    "az": "us-east-1b",
    "sync_percentage": 40.0,
    "price_usd_per_hour": 0.0098,
    "command_id": "0192f3a4-5b6c-7d8e-9f00-112233445567",
    "error": None,
    "created_at": "2024-11-26T10:00:00Z",
    "updated_at": "2024-11-26T10:01:00Z",
}


class ReplicaBody(Replica):
    """One replica; `instance_id` is null until its instance is launched."""

    model_config = with_example(_EXAMPLE)


class ReplicasBody(BaseModel):
    """The replicas of an agent, newest first; `total` counts those that are left out too."""

    model_config = with_example({"replicas": [_EXAMPLE], "total": 1})

    replicas: list[Replica]
    total: int


class ReplicaPlace(BaseModel):
    """Where a replica runs: without a pool the safest is chosen, or the present one kept."""

    model_config = with_example({"pool_id": "t3.medium.us-east-1b"})

    pool_id: PoolId | None = None
    instance_id: InstanceId | None = None


class ReplicaStatusBody(BaseModel):
    """Where a replica stands; one that syncs or is ready has an instance."""

    model_config = with_example({"status": "ready", "instance_id": "i-0fedcba9876543210"})

    status: ReplicaStatus
    instance_id: InstanceId | None = None
    error: Text | None = None


class ReplicaSyncBody(BaseModel):
    """How far a replica holds the primary's data."""

    model_config = with_example({"sync_percentage": 97.5})

    sync_percentage: Percentage


class PromotionBody(BaseModel):
    """On which conditions to promote, and what becomes of the former primary."""

    model_config = with_example({"epoch": 1, "demote_old_primary": True, "wait_for_sync": False})

    epoch: Annotated[int, Strict(), Field(ge=0, le=2_147_483_647)] | None = None
    demote_old_primary: Flag = True
    wait_for_sync: Flag = False


@routes.get("/api/agents/{agent_id}/replicas", operation_id="list_replicas")
@open_to(EVERYONE)
async def list_replicas(agent: OwnAgent, ask: Ask) -> ReplicasBody:
    """The replicas of an agent, newest first: all that live, and those that ended lately."""
    answer: ReplicaList = await ask(ListReplicas(**agent.as_known))
    return ReplicasBody(replicas=answer.replicas, total=answer.total)


@routes.post(
    "/api/agents/{agent_id}/replicas",
    operation_id="create_replica",
    status_code=201,
    response_model=ReplicaBody,
)
@open_to(AGENTS, INSTANCE_IN_USE)
async def create_replica(
    agent: OwnAgent, ask: AskOnce, body: ReplicaPlace | None = None
) -> Replica:
    """Prepare a replica, in the named pool or in the safest."""
    told = {} if body is None else body.model_dump()
    answer: ReplicaAnswer = await ask(CreateReplica(**agent.as_known, **told))
    return answer.replica


@routes.put(
    "/api/agents/{agent_id}/replicas/{replica_id}",
    operation_id="change_replica",
    response_model=ReplicaBody,
)
@open_to(AGENTS, REPLICA_NOT_FOUND, REPLICA_ENDED, INSTANCE_IN_USE)
async def change_replica(
    agent: OwnAgent, replica_id: ReplicaId, body: ReplicaPlace, ask: Ask
) -> Replica:
    """Tell a replica's pool or its instance anew; what is left out stays."""
    answer: ReplicaAnswer = await ask(
        ChangeReplica(**agent.as_known, replica_id=replica_id, **body.model_dump())
    )
    return answer.replica


@routes.delete("/api/agents/{agent_id}/replicas/{replica_id}", operation_id="delete_replica")
@open_to(AGENTS, REPLICA_NOT_FOUND, REPLICA_ENDED)
async def delete_replica(agent: OwnAgent, replica_id: ReplicaId, ask: Ask) -> Done:
    """Give a replica up; if it has an instance, that becomes a zombie."""
    await ask(DeleteReplica(**agent.as_known, replica_id=replica_id))
    return Done()


@routes.post(
    "/api/agents/{agent_id}/replicas/{replica_id}/promote",
    operation_id="promote_replica",
    response_model=ReplicaBody,
)
@open_to(
    AGENTS, REPLICA_NOT_FOUND, NOT_LAUNCHED, STALE_EPOCH, NOT_SYNCED, REPLICA_ENDED, STALE_REPORT
)
async def promote_replica(
    agent: OwnAgent, replica_id: ReplicaId, ask: AskOnce, body: PromotionBody | None = None
) -> Replica:
    """Make a replica's instance the agent's primary; that begins a new epoch."""
    told = {} if body is None else body.model_dump()
    answer: ReplicaAnswer = await ask(
        PromoteReplica(**agent.as_known, replica_id=replica_id, **told)
    )
    return answer.replica


@routes.post(
    "/api/agents/{agent_id}/replicas/{replica_id}/status",
    operation_id="report_replica_status",
    response_model=ReplicaBody,
)
@open_to(
    AGENTS,
    REPLICA_NOT_FOUND,
    NOT_PRIMARY,
    NOT_LAUNCHED,
    REPLICA_ENDED,
    INVALID_TRANSITION,
    INSTANCE_IN_USE,
    fenced=False,
)
async def report_replica_status(
    agent: OwnAgent,
    replica_id: ReplicaId,
    body: ReplicaStatusBody,
    caller: CurrentCaller,
    gateway: Running,
    ask: AskOnce,
    x_instance_id: NamedInstance = None,
) -> Replica:
    """Tell where a replica stands; its own instance may name itself in `X-Instance-Id`."""
    if not ask.refused:
        agent = await gateway.agents.acting(agent, x_instance_id, caller)
        await _fence(agent, x_instance_id, replica_id, ask, launched=body.instance_id)
    answer: ReplicaAnswer = await ask(
        ReportReplicaStatus(**agent.as_known, replica_id=replica_id, **body.model_dump())
    )
    return answer.replica


@routes.post(
    "/api/agents/{agent_id}/replicas/{replica_id}/sync-status",
    operation_id="report_replica_sync",
    response_model=ReplicaBody,
)
@open_to(AGENTS, REPLICA_NOT_FOUND, NOT_PRIMARY, NOT_LAUNCHED, REPLICA_ENDED, fenced=False)
async def report_replica_sync(
    agent: OwnAgent,
    replica_id: ReplicaId,
    body: ReplicaSyncBody,
    caller: CurrentCaller,
    gateway: Running,
    ask: AskOnce,
    x_instance_id: NamedInstance = None,
) -> Replica:
    """Tell how far a replica is; its own instance may name itself in `X-Instance-Id`."""
    if not ask.refused:
        agent = await gateway.agents.acting(agent, x_instance_id, caller)
        await _fence(agent, x_instance_id, replica_id, ask)
    answer: ReplicaAnswer = await ask(
        ReportReplicaSync(**agent.as_known, replica_id=replica_id, **body.model_dump())
    )
    return answer.replica


async def _fence(
    agent: KnownAgent,
    named: str | None,
    replica_id: UUID,
    ask: Asking,
    *,
    launched: str | None = None,
) -> None:
    """Let nobody speak of a replica but the primary and the replica's own instance.

    That is the one on record, else the one that was `launched` as this call tells.
    """
    if agent.is_primary(named):
        return
    answer: ReplicaList = await ask(ListReplicas(**agent.as_known, replica_id=replica_id))
    of_replica = [one.instance_id for one in answer.replicas if one.replica_id == replica_id]
    if not of_replica:
        raise REPLICA_NOT_FOUND.refused()
    if named != (of_replica[0] or launched):
        ask.refuse(NOT_PRIMARY.refused())
