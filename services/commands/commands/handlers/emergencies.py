"""Emergencies: what AWS announces, and the agent's answer to it."""

from collections.abc import Sequence
from datetime import timedelta
from uuid import UUID

from chassis.transaction import Tx
from commands.handlers.found import Held, agent_to_change
from commands.handlers.orders import queue_emergency_switch
from commands.handlers.settling import catch_up, settle
from commands.handlers.standbys import create_replica, safest, stand_down
from commands.handlers.threats import NOTHING_TO_DO, answer_to_notice, open_emergency, rescue
from commands.rules import emergencies as rules
from commands.rules.emergencies import Action, Outcome
from commands.rules.standby import elsewhere
from commands.store import contexts, replicas
from commands.store import emergencies as store
from commands.store.rows import Row
from spotkeeper_contracts.emergencies import (
    AnnounceTermination,
    EmergencyEvent,
    EmergencyStatus,
    EmergencyType,
    GetEmergencyStatus,
    RebalanceAction,
    RebalanceAnswer,
    RecommendRebalance,
    TerminationAction,
    TerminationAnswer,
)
from spotkeeper_contracts.replicas import PromoteInstance, ReplicaKind, ReplicaStatus

NOTICES_COUNT_FOR = timedelta(hours=24)


async def recommend_rebalance(request: RecommendRebalance, tx: Tx) -> RebalanceAnswer:
    """Have a replica ready before the instance may be interrupted."""
    agent = await agent_to_change(request, tx)
    await contexts.note_rebalance(tx.db, agent.id, at=tx.now)
    await catch_up(agent, tx)
    known = await store.open_emergencies(tx.db, agent.id, agent.client_id)
    live = await replicas.live(tx.db, agent.id, agent.client_id)
    leaves = any(row["action"] == Action.SWITCH_TO_ONDEMAND for row in known)
    action, replica_id = rules.answer_to_rebalance(
        agent.state.config,
        elsewhere([replicas.standby_of(row) for row in live], agent.state.instance_id),
        awaited=[row["replica_id"] for row in known],
        leaves=leaves,
    )
    if action is RebalanceAction.REPLICA_CREATED and replica_id is None:
        pool = await safest(agent, tx)
        row = await create_replica(agent, tx, kind=ReplicaKind.EMERGENCY, pool=pool)
        replica_id = row["id"]
    if not leaves and all(row["kind"] != EmergencyType.REBALANCE_RECOMMENDATION for row in known):
        await _open_rebalance(request, agent, action, replica_id, tx)
    await settle(agent, tx)
    return RebalanceAnswer(action_taken=action, replica_id=replica_id)


async def announce_termination(
    request: AnnounceTermination, tx: Tx
) -> TerminationAnswer | PromoteInstance:
    """Let a replica take over, or send the agent on demand, before its instance ends."""
    agent = await agent_to_change(request, tx)
    known = await store.notice(tx.db, agent.id, agent.client_id, request.instance_id)
    if known is not None and not _begins_anew(known, request, agent):
        if known["closed_at"] is None and request.termination_time < known["termination_time"]:
            known = await _keep(request, known["emergency_id"], agent, tx)
        return await _answer(known, agent, tx)

    live = await replicas.live(tx.db, agent.id, agent.client_id)
    standby = [replicas.standby_of(row) for row in live]
    action, replica = rules.answer_to_termination(agent.state, request.instance_id, standby)
    await _give_up(request.instance_id, live, tx)
    is_idle = action is TerminationAction.NO_ACTION
    if is_idle and known is not None and known["action"] == Action.NO_ACTION:
        await settle(agent, tx)
        return answer_to_notice(known)
    command_id = None
    if action is TerminationAction.SWITCH_TO_ONDEMAND:
        command_id = await queue_emergency_switch(agent, tx)
    emergency_id = await open_emergency(
        agent,
        tx,
        kind=EmergencyType.TERMINATION_NOTICE,
        action=Action(action),
        instance_id=request.instance_id,
        replica_id=None if replica is None else replica.id,
        command_id=command_id,
    )
    return await _answer(await _keep(request, emergency_id, agent, tx), agent, tx)


def _begins_anew(known: Row, request: AnnounceTermination, agent: Held) -> bool:
    """Whether the notice is not the one that was met before."""
    is_home = agent.state.instance_id == request.instance_id
    is_another = is_home and request.termination_time != known["termination_time"]
    return rules.begins_anew(Action(known["action"]), known["outcome"], is_another=is_another)


async def get_emergency_status(request: GetEmergencyStatus, tx: Tx) -> EmergencyStatus:
    """How the agent stands with emergencies, all of it counted now."""
    agent_id, client_id = request.agent_id, request.client_id
    still_open = await store.open_emergencies(tx.db, agent_id, client_id)
    last = await store.last(tx.db, agent_id, client_id)
    live = await replicas.live(tx.db, agent_id, client_id)
    since = tx.now - NOTICES_COUNT_FOR
    return EmergencyStatus(
        emergency_mode_active=any(row["expires_at"] > tx.now for row in still_open),
        last_emergency_event=None if last is None else _event(last),
        emergency_replicas_count=sum(row["kind"] == ReplicaKind.EMERGENCY for row in live),
        termination_notices_24h=await store.notices(tx.db, agent_id, client_id, since=since),
    )


async def _open_rebalance(
    request: RecommendRebalance,
    agent: Held,
    action: RebalanceAction,
    replica_id: UUID | None,
    tx: Tx,
) -> None:
    """Keep what is done about the recommendation; that nothing is, once for each instance."""
    kind = EmergencyType.REBALANCE_RECOMMENDATION
    instance_id = request.instance_id or agent.state.instance_id
    kept = rules.ACTION_OF[action]
    if kept is Action.NO_ACTION:
        last = await store.last(tx.db, agent.id, agent.client_id)
        same = (kind, Action.NO_ACTION, instance_id)
        if last is not None and (last["kind"], last["action"], last["instance_id"]) == same:
            return
    await open_emergency(
        agent, tx, kind=kind, action=kept, instance_id=instance_id, replica_id=replica_id
    )


async def _keep(request: AnnounceTermination, emergency_id: UUID, agent: Held, tx: Tx) -> Row:
    """Keep a notice and bring about what follows; the notice, with what is done about it then."""
    await store.keep_notice(
        tx.db,
        agent_id=agent.id,
        instance_id=request.instance_id,
        client_id=agent.client_id,
        termination_time=request.termination_time,
        noticed_at=tx.now,
        emergency_id=emergency_id,
    )
    await settle(agent, tx)
    noticed = await store.notice(tx.db, agent.id, agent.client_id, request.instance_id)
    assert noticed is not None
    return noticed


async def _answer(known: Row, agent: Held, tx: Tx) -> TerminationAnswer | PromoteInstance:
    """The answer to a notice: what is done about it by now."""
    if known["action"] == Action.REPLICA_PROMOTED and known["closed_at"] is None:
        replica = await replicas.replica(tx.db, agent.id, agent.client_id, known["replica_id"])
        assert replica is not None
        emergency = {"id": known["emergency_id"], "instance_id": known["instance_id"]}
        return rescue(replica, emergency, termination=True)
    has_left = agent.state.instance_id not in (None, known["instance_id"])
    if known["action"] == Action.PROMOTION_PENDING and has_left:
        return NOTHING_TO_DO
    return answer_to_notice(known)


async def _give_up(instance_id: str, live: Sequence[Row], tx: Tx) -> None:
    """End a replica whose own instance AWS terminates: it cannot take over."""
    for row in live:
        if row["instance_id"] == instance_id:
            await stand_down(row, tx, status=ReplicaStatus.FAILED, error="AWS terminates it")


def _event(row: Row) -> EmergencyEvent:
    return EmergencyEvent(
        timestamp=row["opened_at"],
        type=EmergencyType(row["kind"]),
        action_taken=row["action"],
        outcome=row["outcome"] or Outcome.PENDING,
    )
