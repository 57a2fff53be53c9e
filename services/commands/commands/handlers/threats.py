"""The steps of an emergency, each kept and told."""

from typing import Any
from uuid import UUID

from chassis.transaction import Tx
from commands import metrics
from commands.handlers.found import Held
from commands.handlers.standbys import instance_of
from commands.rules.emergencies import Action, Outcome
from commands.store import emergencies as store
from commands.store.rows import Row
from spotkeeper_contracts.emergencies import (
    EmergencyChanged,
    EmergencyClosed,
    EmergencyOpened,
    EmergencyType,
    TerminationAction,
    TerminationAnswer,
)
from spotkeeper_contracts.replicas import PromoteInstance

NOTHING_TO_DO = TerminationAnswer(
    action_taken=TerminationAction.NO_ACTION, replica_id=None, command_id=None
)


async def open_emergency(
    agent: Held,
    tx: Tx,
    *,
    kind: EmergencyType,
    action: Action,
    instance_id: str | None,
    replica_id: UUID | None = None,
    command_id: UUID | None = None,
) -> UUID:
    """Keep a threat and what is done about it; where nothing is, it is over at once."""
    emergency_id = tx.new_id()
    is_over = action is Action.NO_ACTION
    told: dict[str, Any] = {
        "agent_id": agent.id,
        "client_id": agent.client_id,
        "kind": kind.value,
        "instance_id": instance_id,
        "replica_id": replica_id,
        "command_id": command_id,
        "expires_at": tx.now + tx.settings.emergency_life,
    }
    await store.add(
        tx.db,
        id=emergency_id,
        action=action.value,
        opened_at=tx.now,
        closed_at=tx.now if is_over else None,
        outcome=Outcome.NONE.value if is_over else None,
        **told,
    )
    tx.count(metrics.EMERGENCIES.labels(kind.value, action.value).inc)
    tx.emit(
        EmergencyOpened(emergency_id=emergency_id, action_taken=action.value, at=tx.now, **told)
    )
    if is_over:
        _tell_end(agent.id, agent.client_id, emergency_id, Outcome.NONE, tx)
    return emergency_id


async def change_emergency(row: Row, action: Action, tx: Tx, **measure: UUID) -> Row:
    """Something else is done about an open threat; returns it as it stands then.

    The `measure` is the `command_id` or the `replica_id` that it is done with, if another.
    """
    changed = {**row, "action": action.value, **measure}
    await store.act(tx.db, changed)
    tx.emit(
        EmergencyChanged(
            agent_id=row["agent_id"],
            client_id=row["client_id"],
            emergency_id=row["id"],
            action_taken=action.value,
            replica_id=changed["replica_id"],
            command_id=changed["command_id"],
            at=tx.now,
        )
    )
    return changed


async def close_emergency(row: Row, outcome: Outcome, tx: Tx) -> None:
    """The threat is over."""
    await store.close(tx.db, row["agent_id"], row["id"], outcome, at=tx.now)
    _tell_end(row["agent_id"], row["client_id"], row["id"], outcome, tx)


def answer_to_notice(notice: Row, *, revision: int | None = None) -> TerminationAnswer:
    """What is done by now about a notice of termination, or about its emergency."""
    action = TerminationAction(notice["action"])
    goes_on_demand = action is TerminationAction.SWITCH_TO_ONDEMAND
    return TerminationAnswer(
        action_taken=action,
        replica_id=None if goes_on_demand else notice["replica_id"],
        command_id=notice["command_id"],
        revision=revision,
    )


def rescue(replica: Row, emergency: Row, *, termination: bool = False) -> PromoteInstance:
    """The order to promote a replica unless the agent has left the threatened instance."""
    told = {
        "emergency_id": emergency["id"],
        "threatened_instance_id": emergency["instance_id"],
        "termination": termination,
    }
    return promotion(replica).model_copy(update=told)


def promotion(replica: Row) -> PromoteInstance:
    """The order to make a replica's instance the primary."""
    return PromoteInstance(
        agent_id=replica["agent_id"],
        client_id=replica["client_id"],
        replica_id=replica["id"],
        instance=instance_of(replica),
    )


def _tell_end(
    agent_id: UUID, client_id: UUID, emergency_id: UUID, outcome: Outcome, tx: Tx
) -> None:
    tx.emit(
        EmergencyClosed(
            agent_id=agent_id,
            client_id=client_id,
            emergency_id=emergency_id,
            outcome=outcome.value,
            at=tx.now,
        )
    )
