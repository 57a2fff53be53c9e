"""Who is alive: a pure function of the log of beats, partition by partition.

There is no clock here but the log's own. A partition's *heard time* runs with the times of its
records, except where two neighbours lie further apart than the deaf gap: nobody could be heard
then, so the excess does not count, and a clock of the broker that is set back takes nothing away.
An agent is offline once it was silent for too much heard time.
"""

import re
from collections import OrderedDict
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import NamedTuple
from uuid import UUID

from spotkeeper_contracts.ids import derived_id
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentReportedPrice,
    AgentWentOffline,
    Beat,
)
from spotkeeper_contracts.values import AgentStatus, PurchaseMode

PRICE_MOVES = 0.05
"""A price that moved by more than this share of the one that was told last is told anew."""

OFFLINE, STOPPING = AgentStatus.OFFLINE.value, AgentStatus.STOPPING.value

_EPOCH = datetime(1970, 1, 1, tzinfo=UTC)
_MILLISECOND = timedelta(milliseconds=1)
_STATUSES = frozenset(AgentStatus) - {AgentStatus.OFFLINE}
_MODES = frozenset(PurchaseMode) | {None}
_ID = re.compile(r"[0-9a-f]{8}(-[0-9a-f]{4}){3}-[0-9a-f]{12}\Z")
_POOL = re.compile(r"[\x20-\x7E]{1,128}\Z")
_TEXT = re.compile(r"[^\x00]{0,255}\Z")


class Record(NamedTuple):
    """A record of `agent-heartbeats`; without beats it is a tick: time went on."""

    offset: int
    at_ms: int
    beats: Sequence[Beat] = ()


class Seen(NamedTuple):
    """An agent as its last beat, or the silence after it, left it; prices as they were told."""

    client_id: str
    status: str
    current_mode: str | None
    current_pool_id: str | None
    agent_version: str | None
    spot_price: float | None
    ondemand_price: float | None
    last_seen_ms: int
    heard_ms: int
    """The partition's heard time at the last beat."""


class Limits(NamedTuple):
    """How long an agent may be silent, and how far apart two records may lie without deafness."""

    offline_after_ms: int
    deaf_gap_ms: int


class Transition(NamedTuple):
    """What a record brought to light. The id follows from the log, so a repeat has it too."""

    id: UUID
    at_ms: int
    message: AgentCameOnline | AgentWentOffline | AgentReportedChange | AgentReportedPrice


@dataclass(slots=True)
class Partition:
    """What is known from a partition's records up to `offset`.

    `online` is ordered by the last beat, the longest silence first. `changed` names the agents
    about whom anything is new since the caller last emptied it.
    """

    offset: int = -1
    at_ms: int | None = None
    deaf_ms: int = 0
    online: OrderedDict[str, Seen] = field(default_factory=OrderedDict)
    absent: dict[str, Seen] = field(default_factory=dict)
    changed: set[str] = field(default_factory=set)

    def agent(self, agent_id: str) -> Seen | None:
        """What is known of an agent."""
        return self.online.get(agent_id) or self.absent.get(agent_id)


def fold(partition: Partition, record: Record, limits: Limits) -> list[Transition]:
    """Take in the next record and tell what it brought to light; one taken in before is nothing."""
    if record.offset <= partition.offset:
        return []
    heard_ms = _advance(partition, record, limits.deaf_gap_ms)
    latest = {beat.agent_id: beat for beat in record.beats}
    heard = [_hear(partition, beat, record, heard_ms) for beat in latest.values()]
    transitions = [transition for transition in heard if transition is not None]
    return transitions + _expire(partition, record, heard_ms, limits.offline_after_ms)


def restored(
    offset: int, at_ms: int | None, deaf_ms: int, agents: Iterable[tuple[str, bool, Seen]]
) -> Partition:
    """The partition as it was kept; `agents` are their ids, whether they are online, and theirs."""
    partition = Partition(offset, at_ms, deaf_ms)
    for agent_id, online, seen in sorted(agents, key=lambda agent: (agent[2].heard_ms, agent[0])):
        (partition.online if online else partition.absent)[agent_id] = seen
    return partition


def flaw(beat: Beat) -> str | None:
    """What is wrong with a beat that no gateway of ours would send, or None."""
    if not (_ID.match(beat.agent_id) and _ID.match(beat.client_id)):
        return "agent_id or client_id is no UUID"
    if beat.status not in _STATUSES:
        return f"no agent says that it is {beat.status!r}"
    if beat.current_mode not in _MODES:
        return f"there is no mode {beat.current_mode!r}"
    if beat.current_pool_id is not None and not _POOL.match(beat.current_pool_id):
        return f"{beat.current_pool_id!r} is no pool"
    if beat.agent_version is not None and not _TEXT.match(beat.agent_version):
        return f"{beat.agent_version!r} is no version"
    return None


def moment(ms: int) -> datetime:
    """The moment of a record's time."""
    return _EPOCH + ms * _MILLISECOND


def milliseconds(moment: datetime) -> int:
    """The record's time of a moment."""
    return (moment - _EPOCH) // _MILLISECOND


def _advance(partition: Partition, record: Record, deaf_gap_ms: int) -> int:
    """Move on to the record and return the heard time at it."""
    if partition.at_ms is not None:
        gap_ms = record.at_ms - partition.at_ms
        partition.deaf_ms += gap_ms - min(max(gap_ms, 0), deaf_gap_ms)
    partition.offset, partition.at_ms = record.offset, record.at_ms
    return record.at_ms - partition.deaf_ms


def _hear(partition: Partition, beat: Beat, record: Record, heard_ms: int) -> Transition | None:
    agent_id = beat.agent_id
    was_online = agent_id in partition.online
    before = partition.online.pop(agent_id, None) or partition.absent.pop(agent_id, None)
    seen = _seen(before, beat, record.at_ms, heard_ms)
    (partition.absent if seen.status == STOPPING else partition.online)[agent_id] = seen
    partition.changed.add(agent_id)
    if not was_online and seen.status != STOPPING:
        return _reported(AgentCameOnline, beat, seen, record)
    if before is None or seen[:5] != before[:5]:
        return _reported(AgentReportedChange, beat, seen, record)
    if seen[5:7] != before[5:7]:
        return _reported(AgentReportedPrice, beat, seen, record)
    return None


def _seen(before: Seen | None, beat: Beat, at_ms: int, heard_ms: int) -> Seen:
    """The agent after the beat; what a beat leaves out stays as it was."""
    mode, pool, version = beat.current_mode, beat.current_pool_id, beat.agent_version
    prices = beat.spot_price, beat.ondemand_price
    if before is not None:
        mode = mode or before.current_mode
        pool = pool or (None if mode == PurchaseMode.ONDEMAND else before.current_pool_id)
        version = version or before.agent_version
        prices = (
            _price(before.spot_price, beat.spot_price),
            _price(before.ondemand_price, beat.ondemand_price),
        )
    return Seen(beat.client_id, beat.status, mode, pool, version, *prices, at_ms, heard_ms)


def _price(told: float | None, now: float | None) -> float | None:
    """The price to go by: the present one if it is worth telling, else the one told last."""
    if now is None or (told is not None and abs(now - told) <= PRICE_MOVES * told):
        return told
    return now


def _reported(
    kind: type[AgentCameOnline] | type[AgentReportedChange] | type[AgentReportedPrice],
    beat: Beat,
    seen: Seen,
    record: Record,
) -> Transition:
    """What the beat said; what it left out may have changed since it was said last."""
    told = {
        "agent_id": UUID(beat.agent_id),
        "client_id": UUID(seen.client_id),
        "status": AgentStatus(seen.status),
        "current_mode": beat.current_mode and PurchaseMode(beat.current_mode),
        "current_pool_id": beat.current_pool_id,
        "agent_version": beat.agent_version,
        "spot_price": beat.spot_price,
        "ondemand_price": beat.ondemand_price,
        "last_heartbeat_at": moment(seen.last_seen_ms),
    }
    # Two records may bear the same time, so the offset tells their transitions apart.
    id = derived_id(beat.agent_id, seen.last_seen_ms, kind.type, record.offset)
    return Transition(id, record.at_ms, kind.model_validate(told))


def _expire(
    partition: Partition, record: Record, heard_ms: int, offline_after_ms: int
) -> list[Transition]:
    transitions: list[Transition] = []
    while partition.online:
        agent_id, seen = next(iter(partition.online.items()))
        silent_ms = heard_ms - seen.heard_ms
        if silent_ms <= offline_after_ms:
            break
        del partition.online[agent_id]
        partition.absent[agent_id] = seen._replace(status=OFFLINE)
        partition.changed.add(agent_id)
        transitions.append(_went_offline(agent_id, seen, record, silent_ms))
    return transitions


def _went_offline(agent_id: str, seen: Seen, record: Record, silent_ms: int) -> Transition:
    message = AgentWentOffline(
        agent_id=UUID(agent_id),
        client_id=UUID(seen.client_id),
        last_heartbeat_at=moment(seen.last_seen_ms),
        silent_seconds=silent_ms / 1000,
        at=moment(record.at_ms),
    )
    id = derived_id(agent_id, seen.last_seen_ms, AgentWentOffline.type)
    return Transition(id, record.at_ms, message)
