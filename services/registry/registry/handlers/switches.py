"""Switches and promotions: what is decided under the agent's lock, before anyone records it."""

from datetime import timedelta

from chassis.transaction import Tx
from registry import rules
from registry.handlers.found import agent_to_change
from registry.handlers.telling import note, publish_state
from registry.store import instances, moves
from registry.store.states import Row, config_of, state_of
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentPromoted
from spotkeeper_contracts.commands import CommandQueuedAnswer, QueueSwitch
from spotkeeper_contracts.instances import (
    Instance,
    InstanceBecameZombie,
    InstanceTerminated,
    TerminationReason,
    TerminationType,
    ZombieReason,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import PromoteInstance, RecordPromotion
from spotkeeper_contracts.switches import IssueSwitch, RecordSwitch, ReportSwitch
from spotkeeper_contracts.values import InstanceStatus, PurchaseMode

SWITCH_AT_MOST = timedelta(hours=2)
"""For so long a switch may be open; its command ends before."""


async def issue_switch(request: IssueSwitch, tx: Tx) -> QueueSwitch | CommandQueuedAnswer:
    """The gate: let a switch through to the command queue, or say why not.

    The config is read under the lock under which it is changed: once an operator has read that
    switching is off, no switch passes.
    """
    agent = await agent_to_change(request, tx)
    rules.assert_may_switch(config_of(agent), request.trigger)
    if rules.is_there(
        request.target_mode,
        request.target_pool,
        current_mode=PurchaseMode(agent["current_mode"]),
        current_pool=agent["current_pool_id"],
    ):
        raise Refused("ALREADY_ON_TARGET", "The agent runs there already", 409)
    open_switches = await moves.open_switches(tx.db, request.agent_id, at=tx.now)
    target = (request.target_mode.value, request.target_pool)
    for one in open_switches:
        if (one["target_mode"], one["target_pool"]) == target:
            return CommandQueuedAnswer(command_id=one["id"])
    if open_switches:
        raise Refused("SWITCH_IN_PROGRESS", "Another switch is in progress", 409)

    command_id = tx.new_id()
    await moves.open_move(
        tx.db,
        id=command_id,
        agent_id=request.agent_id,
        kind=moves.SWITCH,
        target_mode=request.target_mode.value,
        target_pool=request.target_pool,
        instance_id=None,
        opened_at=tx.now,
        expires_at=tx.now + SWITCH_AT_MOST,
    )
    await _note_issue(request, agent, tx)
    return QueueSwitch(
        agent_id=request.agent_id,
        client_id=request.client_id,
        agent=state_of(agent),
        command_id=command_id,
        target_pool=request.target_pool,
        target_mode=request.target_mode,
        trigger=request.trigger,
        priority=rules.priority_of(request.trigger, urgent=request.urgent),
        reason=request.reason,
        confidence=request.confidence,
        max_price=request.max_price,
        expected_pool=request.expected_pool,
    )


async def report_switch(request: ReportSwitch, tx: Tx) -> RecordSwitch | Done:
    """Make a reported switch true: the new instance is the primary, the old one left behind."""
    agent = await agent_to_change(request, tx)
    report = request.report
    old, new = report.old_instance, report.new_instance
    if await moves.is_reported(
        tx.db, request.agent_id, report.command_id, old=old.instance_id, new=new.instance_id
    ):
        return Done(revision=agent["revision"])
    is_lost = await _is_lost(agent, old, tx)
    if old.instance_id != agent["instance_id"] and not is_lost:
        raise Refused("STALE_REPORT", "The old instance is not the agent's primary", 409)
    await _assert_can_be_primary(agent, new, tx)

    ended = report.timing.old_terminated_at is not None and not is_lost
    is_gone = ended and config_of(agent).auto_terminate_enabled
    status = InstanceStatus.TERMINATED if is_gone else InstanceStatus.ZOMBIE
    switch_id = tx.new_id()
    await moves.remember_report(
        tx.db,
        id=switch_id,
        agent_id=request.agent_id,
        command_id=report.command_id,
        old_instance_id=old.instance_id,
        new_instance_id=new.instance_id,
        reported_at=tx.now,
    )
    await moves.close_switches(tx.db, request.agent_id)
    text = f"The agent switched from {old.instance_id} to {new.instance_id}"
    moved = await _change_primary(agent, new, status, tx, event_type="switch_completed", text=text)
    if is_gone:
        tx.emit(_terminated(moved, old, tx))
    publish_state(moved, tx)
    return RecordSwitch(
        agent_id=request.agent_id,
        client_id=request.client_id,
        agent=state_of(moved),
        switch_id=switch_id,
        report=report,
        completed_at=tx.now,
    )


async def promote_instance(request: PromoteInstance, tx: Tx) -> RecordPromotion:
    """Make a replica's instance the primary; a repeat only lets it be recorded again.

    If it cannot be and an emergency waits for it, that is recorded: something else is to be done.
    """
    agent = await agent_to_change(request, tx)
    if request.epoch not in (None, agent["epoch"]):
        raise Refused("STALE_EPOCH", f"The agent is in epoch {agent['epoch']}", 409)
    former = agent["instance_id"]
    if request.instance.instance_id != former:
        try:
            _assert_is_threatened(request, former)
            await _assert_can_be_primary(agent, request.instance, tx)
        except Refused as refused:
            if request.emergency_id is None:
                raise
            return _promotion(request, agent, former, refused=refused.refusal.error)
        demoted = request.demote_old_primary
        status = InstanceStatus.ZOMBIE if demoted else InstanceStatus.SUPERSEDED
        await moves.close(tx.db, request.agent_id, request.replica_id)
        text = f"Replica {request.instance.instance_id} was promoted"
        agent = await _change_primary(
            agent, request.instance, status, tx, event_type="replica_promoted", text=text
        )
        publish_state(agent, tx)
    return _promotion(request, agent, former)


def _promotion(
    request: PromoteInstance, agent: Row, former: str | None, *, refused: str | None = None
) -> RecordPromotion:
    return RecordPromotion(
        agent_id=request.agent_id,
        client_id=request.client_id,
        agent=state_of(agent),
        replica_id=request.replica_id,
        former_instance_id=former,
        emergency_id=request.emergency_id,
        termination=request.termination,
        refused=refused,
    )


async def _change_primary(
    agent: Row, new: Instance, status: InstanceStatus, tx: Tx, *, event_type: str, text: str
) -> Row:
    """Give the former primary its new status, let the agent live on the new one, and tell."""
    former = agent["instance_id"]
    await instances.demote_primary(
        tx.db, agent["id"], status, for_instance_id=new.instance_id, at=tx.now
    )
    pool_id = rules.pool_of(new)
    await instances.save(tx.db, agent, new, InstanceStatus.PRIMARY, at=tx.now)
    moved = await instances.move_agent(tx.db, agent, new, pool_id=pool_id, at=tx.now)
    await note(moved, tx, event_type, text, notify=True, former=former, epoch=moved["epoch"])
    tx.emit(
        AgentPromoted(
            agent_id=agent["id"],
            client_id=agent["client_id"],
            instance_id=new.instance_id,
            previous_instance_id=former,
            previous_instance_status=former and status,
            epoch=moved["epoch"],
            at=tx.now,
        )
    )
    if former is not None and status is InstanceStatus.ZOMBIE:
        wait = timedelta(seconds=config_of(moved).terminate_wait_seconds)
        tx.emit(
            InstanceBecameZombie(
                agent_id=agent["id"],
                client_id=agent["client_id"],
                instance_id=former,
                reason=ZombieReason.ZOMBIE_INSTANCE,
                terminate_after=tx.now + wait,
                at=tx.now,
            )
        )
    return moved


async def _is_lost(agent: Row, old: Instance, tx: Tx) -> bool:
    """Whether AWS took the instance away in the middle of the switch that leaves it."""
    if agent["instance_id"] is not None:
        return False
    if not await moves.open_switches(tx.db, agent["id"], at=tx.now):
        return False
    known = await instances.instance(tx.db, agent["id"], old.instance_id)
    return known is not None and known["status"] == InstanceStatus.TERMINATED


def _assert_is_threatened(request: PromoteInstance, primary: str | None) -> None:
    """Raise `Refused` if the agent has left the instance that it was to be saved from."""
    threatened = request.threatened_instance_id
    if threatened is not None and primary not in (None, threatened):
        raise Refused("STALE_REPORT", f"The agent has moved to {primary} already", 409)


async def _assert_can_be_primary(agent: Row, new: Instance, tx: Tx) -> None:
    """Raise `Refused` if the instance is the primary already, or was left behind for good."""
    known = await instances.instance(tx.db, agent["id"], new.instance_id)
    if new.instance_id == agent["instance_id"]:
        raise Refused("STALE_REPORT", "The new instance is the agent's primary already", 409)
    if known is not None and known["status"] in rules.FENCED_FOR_GOOD:
        raise Refused("STALE_REPORT", f"The new instance is {known['status']}", 409)


async def _note_issue(request: IssueSwitch, agent: Row, tx: Tx) -> None:
    where = request.target_pool or "on demand"
    await note(
        agent,
        tx,
        "switch_issued",
        f"A switch to {where} was let through",
        trigger=request.trigger.value,
        reason=request.reason,
    )


def _terminated(agent: Row, old: Instance, tx: Tx) -> InstanceTerminated:
    return InstanceTerminated(
        agent_id=agent["id"],
        client_id=agent["client_id"],
        instance_id=old.instance_id,
        instance_type=old.instance_type,
        region=old.region,
        az=old.az,
        mode=old.mode,
        pool_id=rules.pool_of(old),
        was_primary=False,
        reason=TerminationReason.SYSTEM,
        termination_type=TerminationType.GRACEFUL,
        at=tx.now,
    )
