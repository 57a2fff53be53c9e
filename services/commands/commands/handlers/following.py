"""What follows for replicas and emergencies: see `settling`, which calls each step in its turn."""

from collections.abc import Container, Sequence
from datetime import datetime, timedelta
from uuid import UUID

from chassis.transaction import Tx
from commands.handlers.found import Held
from commands.handlers.orders import queue_emergency_switch
from commands.handlers.standbys import (
    change_replica,
    create_replica,
    safest,
    stand_down,
)
from commands.handlers.threats import change_emergency, close_emergency, rescue
from commands.rules import emergencies as rules
from commands.rules import lifecycle, standby
from commands.rules.emergencies import Action, Outcome
from commands.store import emergencies, replicas
from commands.store.rows import Row
from spotkeeper_contracts.commands import CommandStatus
from spotkeeper_contracts.replicas import ReplicaKind, ReplicaStatus


async def end_replicas(agent: Held, tx: Tx) -> list[Row]:
    """End replicas that became the primary, or whose agent or launch is lost; those that live."""
    left = []
    for row in await replicas.live(tx.db, agent.id, agent.client_id):
        if agent.state.deleted:
            await stand_down(row, tx, error="The agent was deleted")
        elif row["instance_id"] is not None and row["instance_id"] == agent.state.instance_id:
            await change_replica(row, tx, status=ReplicaStatus.PROMOTED.value, error=None)
        elif (error := _lost_launch(row, tx.now)) is not None:
            await stand_down(row, tx, status=ReplicaStatus.FAILED, error=error)
        else:
            left.append(row)
    return left


def named_until(live: Sequence[Row]) -> list[datetime]:
    """By when an instance has to be named of each replica that was said to be launched."""
    return [
        row["command_expires_at"]
        for row in live
        if row["instance_id"] is None and row["command_status"] == CommandStatus.SUCCEEDED
    ]


async def follow_emergencies(agent: Held, live: Sequence[Row], tx: Tx) -> list[Row]:
    """Close emergencies that are over, with the replicas they made; those that stay open."""
    known = await emergencies.open_emergencies(tx.db, agent.id, agent.client_id)
    followed = [await _followed(row, agent, live, tx) for row in known]
    still_open = [row for row in followed if row is not None]
    needed = needed_by(still_open)
    for replica in live:
        is_emergency = replica["kind"] == ReplicaKind.EMERGENCY
        if is_emergency and replica["id"] not in needed:
            await stand_down(replica, tx)
    return still_open


def needed_by(still_open: Sequence[Row]) -> set[UUID | None]:
    """The replicas that open emergencies rely on."""
    return {row["replica_id"] for row in still_open}


def followed_at(still_open: Sequence[Row], now: datetime) -> list[datetime]:
    """When open emergencies expire, or wait for the launch of their replica no more."""
    waits = [rules.waits_until(emergencies.threat_of(row)) for row in still_open]
    due = [until for until in waits if until is not None and until > now]
    return [row["expires_at"] for row in still_open] + due


async def keep_manual_replicas(
    agent: Held, live: Sequence[Row], needed: Container[UUID | None], tx: Tx
) -> list[datetime]:
    """Let as many manual replicas stand as the config asks for; when a failed one is replaced.

    One that is `needed` stands until what needs it is over, whatever the config asks for.
    """
    config = agent.state.config
    rows = {row["id"]: row for row in live}
    standing = [replicas.standby_of(row) for row in live]
    for one in standby.superfluous(config, standing):
        if one.id not in needed:
            await stand_down(rows[one.id], tx)
    missing = 0 if agent.state.deleted else standby.missing(config, standing)
    if not missing:
        return []
    failed_at = await replicas.last_failure(tx.db, agent.id, agent.client_id)
    if failed_at is not None:
        retry_at = failed_at + timedelta(seconds=tx.settings.replica_retry_seconds)
        if retry_at > tx.now:
            return [retry_at]
    for _ in range(missing):
        pool = await safest(agent, tx)
        await create_replica(agent, tx, kind=ReplicaKind.MANUAL, pool=pool, is_kept=True)
    return []


async def _followed(row: Row, agent: Held, live: Sequence[Row], tx: Tx) -> Row | None:
    """Do what is due about an open emergency; as it stands then, or None if it is over."""
    threat = emergencies.threat_of(row)
    outcome = rules.outcome_of(threat, agent.state, tx.now)
    rows = {replica["id"]: replica for replica in live}
    if rules.needs_another(threat, outcome, agent.state):
        standing = [replicas.standby_of(replica) for replica in live]
        places = (threat.instance_id, agent.state.instance_id)
        another = standby.best(standby.elsewhere(standing, *places))
        if another is not None:
            return await _promote(row, rows[another.id], tx)
    if rules.should_go_on_demand(threat, outcome, agent.state, tx.now):
        command_id = await queue_emergency_switch(agent, tx)
        return await change_emergency(row, Action.SWITCH_TO_ONDEMAND, tx, command_id=command_id)
    if outcome is not Outcome.PENDING:
        await close_emergency(row, outcome, tx)
        return None
    if rules.can_promote_now(threat):
        return await _promote(row, rows[row["replica_id"]], tx)
    return row


async def _promote(row: Row, replica: Row, tx: Tx) -> Row:
    """Let a replica take over, which the emergency may not have waited for."""
    changed = await change_emergency(row, Action.REPLICA_PROMOTED, tx, replica_id=replica["id"])
    tx.emit(rescue(replica, changed))
    return changed


def _lost_launch(row: Row, now: datetime) -> str | None:
    """Why no instance of the replica is to be expected any more, if so."""
    if row["instance_id"] is not None or row["command_status"] is None:
        return None
    status = CommandStatus(row["command_status"])
    if status is not CommandStatus.SUCCEEDED:
        ended = lifecycle.has_ended(status)
        return f"The command to launch it ended as {status.value}" if ended else None
    is_late = row["command_expires_at"] <= now
    return "It was said to be launched, but no instance of it was named" if is_late else None
