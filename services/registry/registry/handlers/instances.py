"""Instances that are left behind: listed when their wait is over, reported when they are gone."""

from datetime import datetime, timedelta

from chassis.transaction import Tx
from registry.handlers.found import agent_of, agent_to_change
from registry.handlers.telling import note, publish_state
from registry.store import agents
from registry.store import instances as store
from registry.store.states import Row, config_of
from spotkeeper_contracts import Refused
from spotkeeper_contracts.instances import (
    InstanceBecameZombie,
    InstancesToTerminate,
    InstanceTerminated,
    InstanceToTerminate,
    ListInstancesToTerminate,
    ReportCleanup,
    ReportTermination,
    RetireInstance,
    TerminationFailed,
    ZombieReason,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.values import InstanceStatus

NEVER_RETIRED = (InstanceStatus.SUPERSEDED, InstanceStatus.ZOMBIE, InstanceStatus.TERMINATED)
PAUSE_AFTER_FAILURE = timedelta(minutes=5)
SECONDS_PER_HOUR = 3600


async def list_instances_to_terminate(
    request: ListInstancesToTerminate, tx: Tx
) -> InstancesToTerminate:
    """The agent's zombies whose wait is over; none while it may not terminate by itself."""
    agent = await agent_of(request, tx)
    config = config_of(agent)
    if not config.auto_terminate_enabled:
        return InstancesToTerminate(instances=[])
    wait = timedelta(seconds=config.terminate_wait_seconds)
    rows = await store.left_behind(
        tx.db,
        request.agent_id,
        request.client_id,
        wait=wait,
        pause=PAUSE_AFTER_FAILURE,
        at=tx.now,
    )
    return InstancesToTerminate(instances=[_to_terminate(row, wait, tx.now) for row in rows])


async def report_termination(request: ReportTermination, tx: Tx) -> Done:
    """Take an instance for gone, or remember that the attempt failed; a repeat changes nothing."""
    agent = await agent_to_change(request, tx)
    instance = await store.instance(tx.db, request.agent_id, request.instance_id)
    if instance is None:
        raise Refused("INSTANCE_NOT_FOUND", "Instance not found", 404)
    if instance["status"] == InstanceStatus.TERMINATED:
        return Done(revision=agent["revision"])
    if not request.success:
        return await _failed(request, agent, tx)

    was_primary = request.instance_id == agent["instance_id"]
    await store.terminate(tx.db, request.agent_id, request.instance_id, at=tx.now)
    await note(
        agent,
        tx,
        "instance_terminated",
        f"Instance {request.instance_id} was terminated",
        reason=request.reason.value,
        termination_type=request.termination_type.value,
        was_primary=was_primary,
    )
    tx.emit(_terminated(request, instance, tx, was_primary=was_primary))
    if not was_primary:
        return Done(revision=agent["revision"])
    return Done(revision=publish_state(await store.leave(tx.db, request.agent_id), tx))


async def retire_instance(request: RetireInstance, tx: Tx) -> Done:
    """Leave a replica's instance behind, unless it is, or was, the primary, or is gone already."""
    agent = await agents.agent_for_update(tx.db, request.agent_id, request.client_id)
    if agent is None or agent["instance_id"] == request.instance.instance_id:
        return Done()
    known = await store.instance(tx.db, request.agent_id, request.instance.instance_id)
    if known is not None and known["status"] in NEVER_RETIRED:
        return Done()
    reason = ZombieReason.REPLICA_RETIRED
    await store.save(
        tx.db,
        agent,
        request.instance,
        InstanceStatus.ZOMBIE,
        zombie_reason=reason,
        at=tx.now,
    )
    text = f"Replica {request.instance.instance_id} was retired"
    await note(agent, tx, "replica_retired", text, replica_id=str(request.replica_id))
    wait = timedelta(seconds=config_of(agent).terminate_wait_seconds)
    tx.emit(
        InstanceBecameZombie(
            agent_id=request.agent_id,
            client_id=request.client_id,
            instance_id=request.instance.instance_id,
            reason=reason,
            terminate_after=tx.now + wait,
            at=tx.now,
        )
    )
    return Done()


async def report_cleanup(request: ReportCleanup, tx: Tx) -> Done:
    """Keep what an agent cleaned up as a line of its audit trail."""
    agent = await agent_to_change(request, tx)
    await note(agent, tx, "cleanup_reported", "The agent cleaned up", summary=request.summary)
    return Done(revision=agent["revision"])


async def _failed(request: ReportTermination, agent: Row, tx: Tx) -> Done:
    await store.keep_attempt(tx.db, request.agent_id, request.instance_id, at=tx.now)
    await note(
        agent,
        tx,
        "termination_failed",
        f"Instance {request.instance_id} could not be terminated",
        severity="warning",
        error=request.error,
    )
    tx.emit(
        TerminationFailed(
            agent_id=request.agent_id,
            client_id=request.client_id,
            instance_id=request.instance_id,
            error=request.error,
            at=tx.now,
        )
    )
    return Done(revision=agent["revision"])


def _to_terminate(row: Row, wait: timedelta, now: datetime) -> InstanceToTerminate:
    since: datetime = row["status_at"]
    return InstanceToTerminate(
        instance_id=row["instance_id"],
        reason=row["zombie_reason"] or ZombieReason.ZOMBIE_INSTANCE,
        age_hours=round((now - since).total_seconds() / SECONDS_PER_HOUR, 1),
        terminate_after=since + wait,
    )


def _terminated(
    request: ReportTermination, instance: Row, tx: Tx, *, was_primary: bool
) -> InstanceTerminated:
    told = ("instance_type", "region", "az", "mode", "pool_id")
    return InstanceTerminated(
        agent_id=request.agent_id,
        client_id=request.client_id,
        instance_id=request.instance_id,
        was_primary=was_primary,
        reason=request.reason,
        termination_type=request.termination_type,
        at=tx.now,
        **{name: instance[name] for name in told},
    )
