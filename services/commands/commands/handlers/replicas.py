"""Replicas, as operators order them and agents report of them."""

from typing import Any
from uuid import UUID

from chassis.transaction import Tx
from commands.handlers.found import Held, agent_as_told, agent_to_change
from commands.handlers.orders import cancel_overtaken
from commands.handlers.settling import settle
from commands.handlers.standbys import (
    change_replica,
    create_replica,
    retirement,
    safest,
    stand_down,
    told_pool,
)
from commands.handlers.threats import NOTHING_TO_DO, answer_to_notice, promotion, rescue
from commands.rules import standby
from commands.rules.emergencies import Action
from commands.store import emergencies, queue, zombies
from commands.store import replicas as store
from commands.store.rows import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.emergencies import TerminationAction, TerminationAnswer
from spotkeeper_contracts.instances import RetireInstance
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import (
    ChangeReplica,
    CreateReplica,
    DeleteReplica,
    ListReplicas,
    PromoteInstance,
    PromoteReplica,
    RecordPromotion,
    ReplicaAnswer,
    ReplicaKind,
    ReplicaList,
    ReplicaStatus,
    ReportReplicaStatus,
    ReportReplicaSync,
)


async def list_replicas(request: ListReplicas, tx: Tx) -> ReplicaList:
    """The agent's replicas, newest first, or the one that is asked for."""
    about = (request.agent_id, request.client_id)
    if request.replica_id is None:
        rows, total = await store.listed(tx.db, *about)
    else:
        row = await store.replica(tx.db, *about, request.replica_id)
        rows = [] if row is None else [row]
        total = len(rows)
    return ReplicaList(replicas=[store.replica_of(row) for row in rows], total=total)


async def create_manual_replica(request: CreateReplica, tx: Tx) -> ReplicaAnswer:
    """Prepare a replica in the named pool, or in the safest."""
    agent = await agent_to_change(request, tx)
    await _assert_instance_is_free(agent, request.instance_id, tx)
    if request.pool_id is None:
        pool = await safest(agent, tx)
    else:
        pool = await told_pool(agent, request.pool_id, tx)
    row = await create_replica(
        agent,
        tx,
        kind=ReplicaKind.MANUAL,
        pool=pool,
        instance_id=request.instance_id,
    )
    await settle(agent, tx)
    return _answer(row)


async def change_pool_or_instance(request: ChangeReplica, tx: Tx) -> ReplicaAnswer:
    """Take over what is told of a replica; an instance that it leaves becomes a zombie."""
    agent, row = await _live_replica(request, tx)
    changes: dict[str, Any] = {}
    if request.pool_id not in (None, row["pool_id"]):
        pool = await told_pool(agent, request.pool_id, tx)
        price = pool.price_usd_per_hour
        changes = {"pool_id": pool.pool_id, "az": pool.az, "price_usd_per_hour": price}
    if request.instance_id not in (None, row["instance_id"]):
        await _assert_instance_is_free(agent, request.instance_id, tx)
        if row["instance_id"] is not None:
            tx.emit(await retirement(row, tx))
        changes |= _launched_as(row, request.instance_id)
    if not changes:
        return _answer(row)
    changed = await change_replica(row, tx, **changes)
    if "pool_id" in changes and row["command_id"] is not None:
        await queue.retarget(tx.db, agent.id, row["command_id"], changes["pool_id"])
    await settle(agent, tx)
    return _answer(changed)


async def delete_replica(request: DeleteReplica, tx: Tx) -> RetireInstance | Done:
    """End a replica; if it has an instance, the registry leaves that behind and answers."""
    agent = await agent_to_change(request, tx)
    row = await _replica(agent, request.replica_id, tx)
    if row["status"] == ReplicaStatus.PROMOTED:
        raise Refused("REPLICA_ENDED", "The replica is the primary now", 409)
    if row["status"] in standby.ENDED:
        return Done()
    await _assert_stands_by(agent, row, tx)
    ended = await change_replica(row, tx, status=ReplicaStatus.TERMINATED.value)
    await settle(agent, tx)
    return Done() if ended["instance_id"] is None else await retirement(ended, tx)


async def report_replica_status(request: ReportReplicaStatus, tx: Tx) -> ReplicaAnswer:
    """Take over what the agent says of a replica."""
    agent = await agent_to_change(request, tx)
    row = await _replica(agent, request.replica_id, tx)
    is_news = standby.may_report(ReplicaStatus(row["status"]), request.status)
    instance_id = request.instance_id or row["instance_id"]
    if request.status in standby.LAUNCHED and instance_id is None:
        raise Refused("NOT_LAUNCHED", "The replica's instance is not known", 409)
    if instance_id != row["instance_id"]:
        if row["instance_id"] is not None:
            _assert_lives(row)
        await _assert_instance_is_free(agent, instance_id, tx)
        if row["instance_id"] is not None:
            tx.emit(await retirement(row, tx))
        row = {**row, "instance_id": instance_id}
    elif not is_news:
        return _answer(row)

    if request.status in standby.ENDED:
        await _assert_stands_by(agent, row, tx)
        await stand_down(row, tx, status=request.status, error=request.error)
    else:
        changes = _launched_as(row, instance_id) | {"status": request.status.value}
        await change_replica(row, tx, **changes, error=request.error)
    await settle(agent, tx)
    return _answer(await _replica(agent, request.replica_id, tx))


async def report_replica_sync(request: ReportReplicaSync, tx: Tx) -> ReplicaAnswer:
    """Take over how much of the data a replica holds; enough of it makes it ready."""
    agent, row = await _live_replica(request, tx)
    if row["instance_id"] is None:
        raise Refused("NOT_LAUNCHED", "The replica's instance is not known", 409)
    percentage = request.sync_percentage
    status = standby.after_sync(ReplicaStatus(row["status"]), percentage, agent.state.config)
    changed = await change_replica(row, tx, sync_percentage=percentage, status=status.value)
    await settle(agent, tx)
    return _answer(changed)


async def promote_replica(request: PromoteReplica, tx: Tx) -> PromoteInstance | ReplicaAnswer:
    """Let the registry make a replica the primary, if the replica can be that."""
    agent = await agent_to_change(request, tx)
    row = await _replica(agent, request.replica_id, tx)
    if row["status"] == ReplicaStatus.PROMOTED:
        return _answer(row)
    _assert_lives(row)
    if row["instance_id"] is None:
        raise Refused("NOT_LAUNCHED", "The replica has no instance yet", 409)
    if request.wait_for_sync and row["status"] != ReplicaStatus.READY:
        raise Refused("NOT_SYNCED", "The replica is not ready yet", 409)
    told = {"epoch": request.epoch, "demote_old_primary": request.demote_old_primary}
    return promotion(row).model_copy(update=told)


async def record_promotion(
    request: RecordPromotion, tx: Tx
) -> ReplicaAnswer | TerminationAnswer | PromoteInstance:
    """Keep a promotion that the registry made true, whatever has become of the replica here."""
    agent = await agent_as_told(request.agent, tx)
    row = await _replica(agent, request.replica_id, tx)
    if request.refused is not None:
        return await _record_refusal(request, agent, row, tx)
    if row["status"] != ReplicaStatus.PROMOTED:
        row = await _promoted(row, request.agent.instance_id, tx)
    await cancel_overtaken(agent, tx)
    await settle(agent, tx)
    if request.termination:
        return TerminationAnswer(
            action_taken=TerminationAction.REPLICA_PROMOTED,
            replica_id=request.replica_id,
            command_id=None,
            revision=request.agent.revision,
        )
    return ReplicaAnswer(replica=store.replica_of(row), revision=request.agent.revision)


async def _promoted(row: Row, instance_id: str | None, tx: Tx) -> Row:
    """The replica as the primary that the registry made of it.

    One that was given another instance meanwhile leaves that behind.
    """
    is_other = row["instance_id"] not in (None, instance_id)
    if is_other and row["status"] not in standby.ENDED:
        tx.emit(await retirement(row, tx))
    status = ReplicaStatus.PROMOTED.value
    return await change_replica(row, tx, status=status, instance_id=instance_id, error=None)


async def _record_refusal(
    request: RecordPromotion, agent: Held, row: Row, tx: Tx
) -> ReplicaAnswer | TerminationAnswer | PromoteInstance:
    """Give up a replica that cannot take over; its emergency goes on without it.

    A notice is answered once another replica has taken over, or the agent is sent on demand. Where
    the agent has left the threatened instance by itself, there is nothing to be done.
    """
    assert request.emergency_id is not None, "an emergency asked for the promotion"
    threat = await emergencies.emergency(tx.db, agent.id, agent.client_id, request.emergency_id)
    has_left = agent.state.instance_id not in (None, threat["instance_id"])
    if not has_left and row["status"] not in standby.ENDED:
        failed = ReplicaStatus.FAILED
        await stand_down(row, tx, status=failed, error=request.refused)
    await settle(agent, tx)
    if not request.termination:
        return _answer(await _replica(agent, request.replica_id, tx))
    if has_left:
        return NOTHING_TO_DO.model_copy(update={"revision": request.agent.revision})
    told = await emergencies.emergency(tx.db, agent.id, agent.client_id, request.emergency_id)
    if told["action"] == Action.REPLICA_PROMOTED and told["closed_at"] is None:
        return rescue(await _replica(agent, told["replica_id"], tx), told, termination=True)
    return answer_to_notice(told, revision=request.agent.revision)


async def _live_replica(request: ChangeReplica | ReportReplicaSync, tx: Tx) -> tuple[Held, Row]:
    agent = await agent_to_change(request, tx)
    row = await _replica(agent, request.replica_id, tx)
    _assert_lives(row)
    return agent, row


async def _replica(agent: Held, replica_id: UUID, tx: Tx) -> Row:
    row = await store.replica(tx.db, agent.id, agent.client_id, replica_id)
    if row is None:
        raise Refused("REPLICA_NOT_FOUND", "Replica not found", 404)
    return row


def _assert_lives(row: Row) -> None:
    if row["status"] in standby.ENDED:
        raise Refused("REPLICA_ENDED", f"The replica is {row['status']} already", 409)


async def _assert_stands_by(agent: Held, row: Row, tx: Tx) -> None:
    """Raise `Refused` if an emergency lets the replica take over at this moment."""
    for emergency in await emergencies.open_emergencies(tx.db, agent.id, agent.client_id):
        promotes = emergency["action"] == Action.REPLICA_PROMOTED
        if promotes and emergency["replica_id"] == row["id"]:
            raise Refused("REPLICA_ENDED", "The replica is taking over", 409)


async def _assert_instance_is_free(agent: Held, instance_id: str | None, tx: Tx) -> None:
    """Raise `Refused` if the instance is the primary, a live replica or left behind already."""
    if instance_id is None:
        return
    live = await store.live(tx.db, agent.id, agent.client_id)
    taken = {agent.state.instance_id, *(row["instance_id"] for row in live)}
    if instance_id in taken or await zombies.is_left(tx.db, agent.id, agent.client_id, instance_id):
        raise Refused("INSTANCE_IN_USE", "The instance has a part in this agent already", 409)


def _launched_as(row: Row, instance_id: str | None) -> dict[str, Any]:
    """What an instance means for a replica: one that was launching holds data from now on."""
    is_new = row["status"] == ReplicaStatus.LAUNCHING and instance_id is not None
    status = ReplicaStatus.SYNCING.value if is_new else row["status"]
    return {"instance_id": instance_id, "status": status}


def _answer(row: Row) -> ReplicaAnswer:
    return ReplicaAnswer(replica=store.replica_of(row))
