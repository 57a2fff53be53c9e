"""What the registry tells of instances: which are left behind, and which are gone."""

from chassis.transaction import Tx
from commands.handlers.found import known_agent
from commands.handlers.settling import settle
from commands.handlers.standbys import change_replica
from commands.rules.savings import SETTLE_AFTER
from commands.store import replicas, switches, zombies
from spotkeeper_contracts.agents import AgentPromoted
from spotkeeper_contracts.instances import InstanceBecameZombie, InstanceTerminated
from spotkeeper_contracts.replicas import ReplicaStatus
from spotkeeper_contracts.values import InstanceStatus


async def instance_became_zombie(event: InstanceBecameZombie, tx: Tx) -> None:
    """An instance costs money for nothing until it is gone."""
    await zombies.leave(tx.db, event.agent_id, event.client_id, event.instance_id, at=event.at)


async def agent_promoted(event: AgentPromoted, tx: Tx) -> None:
    """A superseded instance never stands by: the registry retires none, so nothing would end it."""
    if event.previous_instance_status is InstanceStatus.SUPERSEDED:
        left = event.previous_instance_id
        assert left is not None, "only an instance has a status"
        await zombies.leave(tx.db, event.agent_id, event.client_id, left, at=event.at)


async def instance_terminated(event: InstanceTerminated, tx: Tx) -> None:
    """An instance costs no money any more; a replica that lived on it has failed."""
    agent = await known_agent(event.agent_id, event.client_id, tx)
    await zombies.terminate(tx.db, event.agent_id, event.client_id, event.instance_id, at=event.at)
    await switches.meter_all(tx.db, event.agent_id, at=tx.now + SETTLE_AFTER)
    if agent is None:
        return
    lost = [
        row
        for row in await replicas.live(tx.db, agent.id, agent.client_id)
        if row["instance_id"] == event.instance_id
    ]
    for row in lost:
        error = "Its instance was terminated"
        await change_replica(row, tx, status=ReplicaStatus.FAILED.value, error=error)
    if lost:
        await settle(agent, tx)
