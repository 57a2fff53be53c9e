"""What commands tell of switches and replicas: which of an agent's moves are still under way."""

from datetime import timedelta

from chassis.transaction import Tx
from registry.store import agents, instances
from registry.store import moves as store
from registry.store.states import Row
from spotkeeper_contracts.commands import (
    CommandFinished,
    CommandQueued,
    CommandStatus,
    CommandType,
    Trigger,
)
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.replicas import Replica, ReplicaChanged, ReplicaStatus
from spotkeeper_contracts.values import InstanceStatus

REPORT_WITHIN = timedelta(minutes=10)
"""For so long after a switch's command the report of the switch may still come."""

LAUNCH_WITHIN = timedelta(minutes=30)
"""For so long after it was told of, a replica may be the newcomer that registers."""

COMING = frozenset({ReplicaStatus.LAUNCHING, ReplicaStatus.SYNCING})
DONE = frozenset({CommandStatus.SUCCEEDED, CommandStatus.PARTIAL})


async def command_queued(event: CommandQueued, tx: Tx) -> None:
    """An emergency switch passed no gate, so it is known only now."""
    command = event.command
    is_emergency = command.parameters.trigger is Trigger.EMERGENCY
    if not is_emergency or command.command_type is not CommandType.SWITCH:
        return
    if await agents.agent_for_update(tx.db, event.agent_id, event.client_id) is None:
        return
    await store.open_move(
        tx.db,
        id=command.command_id,
        agent_id=event.agent_id,
        kind=store.SWITCH,
        target_mode=command.target_mode and command.target_mode.value,
        target_pool=command.target_pool,
        instance_id=None,
        opened_at=event.at,
        expires_at=command.expires_at + REPORT_WITHIN,
    )


async def command_finished(event: CommandFinished, tx: Tx) -> None:
    """A switch's command has ended: the gate is open again."""
    if event.command.command_type is not CommandType.SWITCH:
        return
    move_id = event.command.command_id
    if event.status in DONE:
        until = tx.now + REPORT_WITHIN
        await store.finish(tx.db, event.agent_id, move_id, at=tx.now, until=until)
    else:
        await store.close(tx.db, event.agent_id, move_id)


async def replica_changed(event: ReplicaChanged, tx: Tx) -> None:
    """A replica that lives may be, or become, an instance of the agent."""
    replica = event.replica
    agent = await agents.agent_for_update(tx.db, event.agent_id, event.client_id)
    if agent is None:
        return
    if replica.status not in COMING and replica.status is not ReplicaStatus.READY:
        await store.close(tx.db, event.agent_id, replica.replica_id)
        return
    if replica.instance_id is not None:
        await _keep_instance(replica, replica.instance_id, agent, tx)
    coming = replica.status in COMING
    await store.open_move(
        tx.db,
        id=replica.replica_id,
        agent_id=event.agent_id,
        kind=store.REPLICA,
        target_mode=replica.mode.value,
        target_pool=replica.pool_id,
        instance_id=replica.instance_id,
        opened_at=event.at,
        expires_at=tx.now + LAUNCH_WITHIN if coming else tx.now,
    )


async def _keep_instance(replica: Replica, instance_id: str, agent: Row, tx: Tx) -> None:
    """Keep a replica's instance, which need not register before it is promoted or is gone."""
    if await instances.instance(tx.db, agent["id"], instance_id) is not None:
        return
    told = replica.model_dump(include={"instance_type", "mode", "pool_id", "az", "region"})
    instance = Instance(instance_id=instance_id, **told)
    await instances.save(tx.db, agent, instance, InstanceStatus.STANDBY, at=tx.now)
