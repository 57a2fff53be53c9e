"""Replicas: what they may become, how many should stand, which of them would take over."""

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from uuid import UUID

from spotkeeper_contracts import Refused
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.replicas import ReplicaKind, ReplicaStatus

ENDED = frozenset({ReplicaStatus.PROMOTED, ReplicaStatus.TERMINATED, ReplicaStatus.FAILED})
LAUNCHED = frozenset({ReplicaStatus.SYNCING, ReplicaStatus.READY})

FOLLOWING: Mapping[ReplicaStatus, frozenset[ReplicaStatus]] = {
    ReplicaStatus.LAUNCHING: LAUNCHED | ENDED,
    ReplicaStatus.SYNCING: ENDED | {ReplicaStatus.READY},
    ReplicaStatus.READY: ENDED | {ReplicaStatus.SYNCING},
}
"""What each status may become; one that is ready may lag behind and sync again."""

MANUAL_AT_MOST = 100
"""So many manual replicas of one agent are kept, whatever its config asks for."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Standby:
    """What is to be known of a live replica to judge it."""

    id: UUID
    kind: ReplicaKind
    status: ReplicaStatus
    is_kept: bool
    instance_id: str | None
    created_at: datetime


def may_report(status: ReplicaStatus, told: ReplicaStatus) -> bool:
    """Whether the report tells something new; raises `Refused` with 409 if it cannot be.

    Only a promotion makes a replica promoted, and nothing launches twice.
    """
    if told is status:
        return False
    if status in ENDED:
        raise Refused("REPLICA_ENDED", f"The replica is {status.value} already", 409)
    if told not in FOLLOWING[status] or told is ReplicaStatus.PROMOTED:
        text = f"A replica that is {status.value} does not become {told.value} by a report"
        raise Refused("INVALID_TRANSITION", text, 409)
    return True


def after_sync(status: ReplicaStatus, percentage: float, config: AgentConfig) -> ReplicaStatus:
    """What a live replica with an instance is when it holds so much of the data."""
    is_synced = percentage >= config.min_sync_percentage
    if is_synced or status is ReplicaStatus.READY:
        return ReplicaStatus.READY
    return ReplicaStatus.SYNCING


def wanted(config: AgentConfig) -> int:
    """How many manual replicas should stand."""
    if not config.manual_replica_enabled:
        return 0
    return min(max(1, config.replica_count), MANUAL_AT_MOST)


def missing(config: AgentConfig, live: Sequence[Standby]) -> int:
    """How many manual replicas are to be created; a disabled agent creates none."""
    if not config.enabled:
        return 0
    return max(0, wanted(config) - sum(one.kind is ReplicaKind.MANUAL for one in live))


def superfluous(config: AgentConfig, live: Sequence[Standby]) -> list[Standby]:
    """The kept replicas that the config asks for no more, the least useful first.

    A replica that somebody ordered stands until somebody gives it up.
    """
    kept = sorted((one for one in live if one.is_kept), key=_worth)
    return kept[::-1][: max(0, len(kept) - wanted(config))]


def elsewhere(live: Iterable[Standby], *instances: str | None) -> list[Standby]:
    """The replicas that are on none of these instances; one that launches has none yet."""
    return [one for one in live if one.instance_id is None or one.instance_id not in instances]


def best(live: Iterable[Standby]) -> Standby | None:
    """The replica that would take over: a ready one, else one that syncs."""
    launched = [one for one in live if one.status in LAUNCHED and one.instance_id is not None]
    return min(launched, key=_worth, default=None)


def _worth(one: Standby) -> tuple[bool, bool, datetime]:
    """The less, the sooner it takes over: ready, then launched, then old."""
    return one.status is not ReplicaStatus.READY, one.status not in LAUNCHED, one.created_at
