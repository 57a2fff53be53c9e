"""Emergencies: what AWS announces, and the agent's answer to it."""

from datetime import timedelta

from chassis.transaction import Tx
from commands.handlers.found import agent_to_change
from commands.handlers.settling import settle
from commands.handlers.standbys import create_replica, safest
from commands.rules import emergencies as rules
from commands.rules import standby
from commands.rules.emergencies import Action
from commands.store import replicas
from spotkeeper_contracts.emergencies import (
    EmergencyType,
    RebalanceAction,
    RebalanceAnswer,
    RecommendRebalance,
)
from spotkeeper_contracts.replicas import ReplicaKind

NOTICES_COUNT_FOR = timedelta(hours=24)


async def recommend_rebalance(request: RecommendRebalance, tx: Tx) -> RebalanceAnswer:
    """Have a replica ready before the instance may be interrupted."""
    agent = await agent_to_change(request, tx)
    instance_id = request.instance_id or agent.state.instance_id
    live = await replicas.live(tx.db, agent.id, agent.client_id)
    known = await _open_emergency(agent, EmergencyType.REBALANCE_RECOMMENDATION, tx)
    best = standby.best(map(replicas.standby_of, live))
    if best is not None:
        if known is None:
            await _open(agent, tx, Action.REPLICA_READY, instance_id, best)
        answer = RebalanceAction.REPLICA_READY, best.id
    elif known is not None:
        answer = RebalanceAction.REPLICA_CREATED, known["replica_id"]
    elif not rules.may_create_replica(agent.state.config):
        await _note_no_action(agent, EmergencyType.REBALANCE_RECOMMENDATION, instance_id, tx)
        return RebalanceAnswer(action_taken=RebalanceAction.NO_ACTION, replica_id=None)
    else:
        pool = await safest(agent, tx)
        row = await create_replica(agent, tx, kind=ReplicaKind.EMERGENCY, pool=pool)
        made = replicas.standby_of(row)
        await _open(agent, tx, Action.EMERGENCY_REPLICA_CREATED, instance_id, made)
        answer = RebalanceAction.REPLICA_CREATED, made.id
    await settle(agent, tx)
    action, replica_id = answer
    return RebalanceAnswer(action_taken=action, replica_id=replica_id)
