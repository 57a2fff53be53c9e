"""Emergencies: what is done about a threat, and what becomes of it."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta
from enum import StrEnum
from uuid import UUID

from commands.rules import lifecycle, standby
from commands.rules.standby import Standby
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.commands import CommandStatus
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.emergencies import RebalanceAction, TerminationAction
from spotkeeper_contracts.replicas import ReplicaStatus

NOTICE = timedelta(minutes=2)
TIME_TO_MOVE = timedelta(seconds=60)
"""So long before AWS ends its instance an agent must have an order that it can carry out."""


class Action(StrEnum):
    """What is done about an emergency, as its agent's emergency status tells."""

    EMERGENCY_REPLICA_CREATED = "emergency_replica_created"
    REPLICA_READY = "replica_ready"
    REPLICA_PROMOTED = "replica_promoted"
    PROMOTION_PENDING = "promotion_pending"
    SWITCH_TO_ONDEMAND = "switch_to_ondemand"
    NO_ACTION = "no_action"


class Outcome(StrEnum):
    """What became of an emergency; one that is open is pending."""

    SUCCESS = "success"
    PENDING = "pending"
    FAILED = "failed"
    EXPIRED = "expired"
    NONE = "none"


@dataclass(frozen=True, slots=True, kw_only=True)
class Threat:
    """An open emergency, with how the measures against it stand."""

    action: Action
    instance_id: str | None
    expires_at: datetime
    ends_at: datetime | None
    """When AWS ends the instance, if it said so."""
    replica_status: ReplicaStatus | None
    replica_instance_id: str | None
    command_status: CommandStatus | None


ACTION_OF: Mapping[RebalanceAction, Action] = {
    RebalanceAction.REPLICA_CREATED: Action.EMERGENCY_REPLICA_CREATED,
    RebalanceAction.REPLICA_READY: Action.REPLICA_READY,
    RebalanceAction.NO_ACTION: Action.NO_ACTION,
}
"""What the emergency status calls the answer to a rebalance recommendation."""


def answer_to_rebalance(
    config: AgentConfig,
    live: Sequence[Standby],
    *,
    awaited: Sequence[UUID | None],
    leaves: bool = False,
) -> tuple[RebalanceAction, UUID | None]:
    """What is done when AWS recommends to leave, and the replica that it is done with.

    `awaited` are the replicas that open emergencies rely on; `leaves` tells that one sends the
    agent on demand. A replica that is to be created has no id yet.
    """
    launched = standby.best(live)
    if launched is not None:
        return RebalanceAction.REPLICA_READY, launched.id
    launching = next((one.id for one in live if one.id in awaited), None)
    if launching is not None:
        return RebalanceAction.REPLICA_CREATED, launching
    if leaves or not (config.enabled and config.auto_create_replica):
        return RebalanceAction.NO_ACTION, None
    return RebalanceAction.REPLICA_CREATED, None


def begins_anew(action: Action, outcome: Outcome | None, *, is_another: bool) -> bool:
    """Whether a notice given again is met as a new one: what was done before came to nothing.

    So did what succeeded, if another notice is given to the same instance: the agent is back.
    """
    if outcome == Outcome.SUCCESS:
        return is_another
    return action is Action.NO_ACTION or outcome in (Outcome.FAILED, Outcome.EXPIRED)


def answer_to_termination(
    agent: AgentState, instance_id: str, live: Sequence[Standby]
) -> tuple[TerminationAction, Standby | None]:
    """What is done when an instance is about to end, and the replica that it is done with.

    A launched replica takes over at once; else one that launches will; else the agent goes on
    demand. A replica on the instance itself is lost with it. An instance that is not the primary
    concerns nobody.
    """
    if not agent.config.enabled or agent.instance_id not in (None, instance_id):
        return TerminationAction.NO_ACTION, None
    live = standby.elsewhere(live, instance_id, agent.instance_id)
    launched = standby.best(live)
    if launched is not None:
        return TerminationAction.REPLICA_PROMOTED, launched
    if live:
        oldest = min(live, key=lambda one: one.created_at)
        return TerminationAction.PROMOTION_PENDING, oldest
    return TerminationAction.SWITCH_TO_ONDEMAND, None


def outcome_of(threat: Threat, agent: AgentState, now: datetime) -> Outcome:
    """What has become of an emergency.

    It is met once the agent lives on another instance than the threatened one.
    """
    if agent.deleted:
        return Outcome.EXPIRED
    if agent.instance_id not in (None, threat.instance_id):
        return Outcome.SUCCESS
    if threat.action is Action.SWITCH_TO_ONDEMAND:
        measure = _of_command(threat.command_status)
    else:
        measure = _of_replica(threat.replica_status)
    if measure is Outcome.PENDING and threat.expires_at <= now:
        return Outcome.EXPIRED
    return measure


def can_promote_now(threat: Threat) -> bool:
    """Whether the instance that a pending promotion waits for is known by now."""
    return threat.action is Action.PROMOTION_PENDING and threat.replica_instance_id is not None


def end_of(told: datetime | None, noticed_at: datetime) -> datetime | None:
    """When AWS ends an instance; one that was told too late counts as AWS's usual two minutes."""
    if told is None or told > noticed_at:
        return told
    return noticed_at + NOTICE


def waits_until(threat: Threat) -> datetime | None:
    """Until when a promotion may wait for its replica to be launched, if it does."""
    if threat.action is not Action.PROMOTION_PENDING or threat.replica_instance_id is not None:
        return None
    return None if threat.ends_at is None else threat.ends_at - TIME_TO_MOVE


def needs_another(threat: Threat, outcome: Outcome, agent: AgentState) -> bool:
    """Whether another replica may take over: the one that was to is lost, or not launched yet."""
    if not agent.config.enabled:
        return False
    if outcome is Outcome.FAILED:
        return threat.action in (Action.PROMOTION_PENDING, Action.REPLICA_PROMOTED)
    is_pending = outcome is Outcome.PENDING and threat.action is Action.PROMOTION_PENDING
    return is_pending and threat.replica_instance_id is None


def should_go_on_demand(threat: Threat, outcome: Outcome, agent: AgentState, now: datetime) -> bool:
    """Whether a termination whose replica was lost, or comes too late, needs another answer."""
    if not needs_another(threat, outcome, agent):
        return False
    until = waits_until(threat)
    return outcome is Outcome.FAILED or (until is not None and until <= now)


def _of_command(status: CommandStatus | None) -> Outcome:
    if status is CommandStatus.SUCCEEDED:
        return Outcome.SUCCESS
    ended = status is None or lifecycle.has_ended(status)
    return Outcome.FAILED if ended else Outcome.PENDING


def _of_replica(status: ReplicaStatus | None) -> Outcome:
    if status is ReplicaStatus.PROMOTED:
        return Outcome.SUCCESS
    ended = status is None or status in standby.ENDED
    return Outcome.FAILED if ended else Outcome.PENDING
