"""The steps of a replica's life, each kept and told."""

from datetime import timedelta
from typing import Any

from chassis.transaction import Tx
from commands.handlers.found import Held
from commands.handlers.orders import queue_command
from commands.rules import standby
from commands.rules.pools import Pool, pool_named, safest_pool
from commands.store import pools, zombies
from commands.store import replicas as store
from commands.store.rows import Row
from spotkeeper_contracts.commands import CommandType, Priority, Trigger
from spotkeeper_contracts.instances import Instance, RetireInstance
from spotkeeper_contracts.replicas import ReplicaChanged, ReplicaKind, ReplicaStatus
from spotkeeper_contracts.values import PurchaseMode


async def safest(agent: Held, tx: Tx) -> Pool:
    """The pool for a further replica of the agent, by what is known lately."""
    since = tx.now - timedelta(hours=tx.settings.pool_stale_hours)
    state = agent.state
    rows = await pools.alike(
        tx.db,
        agent.client_id,
        region=state.region,
        instance_type=state.instance_type,
        since=since,
    )
    live = await store.live(tx.db, agent.id, agent.client_id)
    taken = {row["pool_id"] for row in live}
    return safest_pool(state, map(_pool_in, rows), taken=taken)


async def told_pool(agent: Held, pool_id: str, tx: Tx) -> Pool:
    """A pool that somebody named, with what is known of it in the agent's region.

    Where another type of instance is known of it alone, that tells its zone, but not the price.
    """
    own = {"instance_type": agent.state.instance_type, "region": agent.state.region}
    row = await pools.pool(tx.db, agent.client_id, pool_id, **own)
    if row is None:
        return pool_named(pool_id, agent.state)
    is_alike = row["instance_type"] == agent.state.instance_type
    return _pool_in(row) if is_alike else Pool(pool_id=pool_id, az=row["az"])


async def create_replica(
    agent: Held,
    tx: Tx,
    *,
    kind: ReplicaKind,
    pool: Pool,
    is_kept: bool = False,
    instance_id: str | None = None,
) -> Row:
    """Keep a new replica; unless its instance is there, the agent is told to launch one."""
    replica_id = tx.new_id()
    command_id = None
    if instance_id is None:
        command_id = tx.new_id()
        is_emergency = kind is ReplicaKind.EMERGENCY
        await queue_command(
            agent,
            tx,
            command_id=command_id,
            command_type=CommandType.CREATE_REPLICA,
            trigger=Trigger.EMERGENCY if is_emergency else Trigger.MANUAL,
            priority=Priority.EMERGENCY if is_emergency else Priority.MANUAL,
            target_pool=pool.pool_id,
            target_mode=PurchaseMode.SPOT,
            replica_id=replica_id,
        )
    status = ReplicaStatus.LAUNCHING if instance_id is None else ReplicaStatus.SYNCING
    row = {
        "id": replica_id,
        "agent_id": agent.id,
        "client_id": agent.client_id,
        "kind": kind.value,
        "status": status.value,
        "is_kept": is_kept,
        "pool_id": pool.pool_id,
        "mode": PurchaseMode.SPOT.value,
        "instance_id": instance_id,
        "instance_type": agent.state.instance_type,
        "region": agent.state.region,
        "az": pool.az,
        "sync_percentage": 0.0,
        "price_usd_per_hour": pool.price_usd_per_hour,
        "command_id": command_id,
        "error": None,
        "created_at": tx.now,
        "updated_at": tx.now,
        "launched_at": tx.now if instance_id is not None else None,
        "ended_at": None,
    }
    await store.add(tx.db, row)
    _tell(row, tx)
    return row


async def change_replica(row: Row, tx: Tx, **changes: Any) -> Row:
    """Let a replica stand where the changes say; returns it as it stands then."""
    changed = {**row, **changes, "updated_at": tx.now}
    if changed["instance_id"] is not None and changed["launched_at"] is None:
        changed["launched_at"] = tx.now
    if changed["status"] in standby.ENDED:
        changed["ended_at"] = changed["ended_at"] or tx.now
    await store.save(tx.db, changed)
    _tell(changed, tx)
    return changed


async def stand_down(
    row: Row,
    tx: Tx,
    *,
    status: ReplicaStatus = ReplicaStatus.TERMINATED,
    error: str | None = None,
) -> None:
    """End a replica; a real instance of it becomes a zombie."""
    ended = await change_replica(row, tx, status=status.value, error=error)
    if ended["instance_id"] is not None:
        tx.emit(await retirement(ended, tx))


async def retirement(row: Row, tx: Tx) -> RetireInstance:
    """The order to leave a replica's instance behind; from now on it cannot be one again."""
    await zombies.leave(tx.db, row["agent_id"], row["client_id"], row["instance_id"], at=tx.now)
    return RetireInstance(
        agent_id=row["agent_id"],
        client_id=row["client_id"],
        replica_id=row["id"],
        instance=instance_of(row),
    )


def instance_of(row: Row) -> Instance:
    """The instance of a launched replica."""
    told = ("instance_id", "instance_type", "mode", "pool_id", "az", "region")
    return Instance.model_validate({name: row[name] for name in told})


def _tell(row: Row, tx: Tx) -> None:
    tx.emit(
        ReplicaChanged(
            agent_id=row["agent_id"],
            client_id=row["client_id"],
            replica=store.replica_of(row),
            at=tx.now,
        )
    )


def _pool_in(row: Row) -> Pool:
    return Pool(
        pool_id=row["pool_id"],
        az=row["az"],
        risk_1h=row["risk_1h"],
        price_usd_per_hour=row["price_usd_per_hour"],
    )
