"""The partitions that this process watches: taken over, folded, published, kept, let go.

State in the database is always the fold of the log up to the offset that stands beside it. So
transitions are published and acknowledged first, then rows and offsets are written in one
transaction, and only then are the records acknowledged. A crash in between repeats the fold, and so
the same events with the same ids. Whoever takes a partition over raises its epoch: what an earlier
owner still wants to write is refused, and that owner ends.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from dataclasses import dataclass, field
from typing import NamedTuple, TypeVar

from msgspec import DecodeError

from chassis import clock
from chassis.deadletter import DeadLetterGuard, dead_letter
from chassis.envelope import Envelope
from chassis.envelope import Record as BusRecord
from chassis.log import get_logger
from chassis.outages import is_outage
from chassis.query import Connection
from chassis.service import Running
from heartbeat import metrics, store
from heartbeat.rules import Partition, Record, Transition, flaw, fold, moment
from heartbeat.settings import HeartbeatSettings
from heartbeat.store import Position, Row
from spotkeeper_contracts.presence import Beat, decode_beats
from spotkeeper_contracts.topics import AGENT_HEARTBEATS

log = get_logger()
T = TypeVar("T")

PUBLISH_AT_ONCE = 1_000


class Superseded(Exception):
    """Another process owns a partition that this one still took for its own."""


class _LetGo(Exception):
    """The partitions were taken away while the database or the broker was awaited."""


class Arrived(NamedTuple):
    """A record as it came, and what tells the broker that it is done with."""

    partition: int
    offset: int
    at_ms: int
    value: bytes | None
    headers: list[tuple[str, bytes]]
    acknowledge: Callable[[], object]


@dataclass(slots=True)
class _Owned:
    state: Partition
    epoch: int
    kept_offset: int


@dataclass(slots=True)
class _Batch:
    """What was folded since the last flush, as it stood at one moment."""

    events: list[BusRecord] = field(default_factory=list)
    positions: list[Position] = field(default_factory=list)
    rows: list[Row] = field(default_factory=list)
    acknowledge: list[Callable[[], object]] = field(default_factory=list)


class Watch:
    """The fold of all partitions that this process owns, and its keeping."""

    def __init__(self, running: Running, settings: HeartbeatSettings) -> None:
        self._running = running
        self._settings = settings
        self._owned: dict[int, _Owned] = {}
        self._batch = _Batch()
        self._claims = 0
        self._guard = DeadLetterGuard()
        self._flushing = asyncio.Lock()
        self._urgent = asyncio.Event()
        self._room = asyncio.Event()
        self._room.set()

    @property
    def offsets(self) -> dict[int, int]:
        """Up to where each owned partition is folded."""
        return {number: owned.state.offset for number, owned in self._owned.items()}

    @property
    def waiting(self) -> bool:
        """Whether the database or the broker must take something before reading may go on."""
        return not self._room.is_set()

    async def room(self) -> None:
        """Return when another record may be folded."""
        await self._room.wait()

    def take_in(self, arrived: Arrived) -> None:
        """Fold a record into its partition, which must be owned."""
        owned = self._owned[arrived.partition]
        state, folded = owned.state, owned.state.offset
        self._batch.acknowledge.append(arrived.acknowledge)
        if len(self._batch.acknowledge) >= self._settings.unkept_records:
            self._room.clear()
            self._urgent.set()
        if arrived.offset <= folded:
            metrics.RECORDS.labels("skipped").inc()
            return
        if 0 <= folded < arrived.offset - 1:
            metrics.RECORDS_MISSED.inc(arrived.offset - 1 - folded)
        deaf_ms = state.deaf_ms
        beats, error = _sound(arrived.value)
        if error is None:
            self._guard.handled(1)
        else:
            self._bury(arrived, error)
        record = Record(arrived.offset, arrived.at_ms, beats)
        self._publish_later(fold(state, record, self._settings.limits))
        metrics.RECORDS.labels("folded" if error is None else "flawed").inc()
        metrics.BEATS.inc(len(beats))
        metrics.DEAF_SECONDS.inc(max(0, state.deaf_ms - deaf_ms) / 1000)

    async def take_over(self, log_ends: Callable[[], Awaitable[Mapping[int, int]]]) -> None:
        """Claim and load the partitions that `log_ends` names, each with the offset of its end."""
        async with self._flushing:
            ends = await self._lasting(log_ends)
            self._owned = await self._lasting(lambda: self._claim(sorted(ends)))
        for number, owned in self._owned.items():
            if owned.state.offset >= ends[number]:
                log.warning("the log was made anew", partition=number, folded=owned.state.offset)
                owned.state.offset = owned.kept_offset = -1
        metrics.PARTITIONS_OWNED.set(len(self._owned))
        log.info("partitions taken over", partitions=sorted(self._owned))

    async def let_go(self) -> None:
        """Keep what is folded, if that is possible soon, and forget all partitions."""
        try:
            async with asyncio.timeout(self._settings.revoke_seconds):
                await self.flush()
        except TimeoutError:
            log.warning("partitions let go before all was kept; the next owner repeats the rest")
        self._forget()

    async def flush_regularly(self) -> None:
        """Flush once a second, and soon after a transition. Raises `Superseded`."""
        while True:
            try:
                async with asyncio.timeout(self._settings.flush_interval_seconds):
                    await self._urgent.wait()
                await asyncio.sleep(self._settings.gather_seconds)
            except TimeoutError:
                pass
            await self.flush()
            self._measure()

    async def flush(self) -> None:
        """Publish, then keep, then acknowledge what was folded; waits out an outage."""
        async with self._flushing:
            batch = self._cut()
            start = clock.monotonic()
            try:
                if batch.events:
                    await self._lasting(lambda: self._publish(batch))
                if batch.positions:
                    await self._lasting(lambda: self._keep(batch))
            except _LetGo:
                return
            except BaseException:  # What was cut is lost, so the state that counts it as kept goes.
                self._forget()
                raise
            for acknowledge in batch.acknowledge:
                acknowledge()
            if batch.positions:
                metrics.FLUSH_SECONDS.observe(clock.monotonic() - start)
                metrics.ROWS_KEPT.inc(len(batch.rows))
            self._room.set()

    def _bury(self, arrived: Arrived, error: str) -> None:
        log.error("a record is flawed", partition=arrived.partition, offset=arrived.offset)
        self._batch.events.append(
            dead_letter(
                (AGENT_HEARTBEATS.name, arrived.partition, arrived.offset),
                arrived.value,
                arrived.headers,
                service=self._running.service,
                reason="unreadable",
                error=error,
            )
        )
        self._guard.given_up()

    def _publish_later(self, transitions: list[Transition]) -> None:
        for transition in transitions:
            message = transition.message
            envelope = Envelope(
                message,
                transition.id,
                self._running.service,
                moment(transition.at_ms),
                f"system:{self._running.service}",
                client_id=str(message.client_id),
            )
            self._batch.events.append(envelope.to_record())
            metrics.TRANSITIONS.labels(message.type).inc()
        if transitions:
            self._urgent.set()

    def _cut(self) -> _Batch:
        """Take what is to be published and kept, as it stands now."""
        batch, self._batch = self._batch, _Batch()
        self._urgent.clear()
        for number, owned in self._owned.items():
            state = owned.state
            if state.at_ms is None or state.offset == owned.kept_offset:
                continue
            position = Position(number, owned.epoch, state.offset, state.at_ms, state.deaf_ms)
            batch.positions.append(position)
            for agent_id in state.changed:
                seen = state.agent(agent_id)
                assert seen is not None
                batch.rows.append(Row(agent_id, number, agent_id in state.online, seen))
            state.changed.clear()
            owned.kept_offset = state.offset
        return batch

    async def _publish(self, batch: _Batch) -> None:
        async with self._running.pool.acquire() as raw:
            if not await store.still_owned(Connection(raw), batch.positions):
                raise Superseded
        for start in range(0, len(batch.events), PUBLISH_AT_ONCE):
            await self._running.producer.send_all(batch.events[start : start + PUBLISH_AT_ONCE])

    async def _keep(self, batch: _Batch) -> None:
        async with self._running.pool.acquire() as raw, raw.transaction():
            db = Connection(raw)
            if not await store.save_positions(db, batch.positions):
                raise Superseded
            if batch.rows:
                await store.save_rows(db, batch.rows)

    async def _claim(self, numbers: list[int]) -> dict[int, _Owned]:
        owned: dict[int, _Owned] = {}
        async with self._running.pool.acquire() as raw:
            for number in numbers:  # One transaction each, so that claims never lock each other up.
                epoch, state = await store.claim_partition(Connection(raw), number)
                owned[number] = _Owned(state, epoch, state.offset)
        return owned

    async def _lasting(self, work: Callable[[], Awaitable[T]]) -> T:
        """Do the work, again after each outage; raises `_LetGo` once it is not ours any more."""
        claims, pause = self._claims, self._settings.retry_seconds
        while True:
            try:
                return await work()
            except Exception as error:  # Only an outage is waited for; all else is a bug.
                if self._claims != claims:
                    raise _LetGo from error
                if not is_outage(error):
                    raise
                log.warning("waiting for the database or the broker", error=repr(error))
            await asyncio.sleep(pause)
            pause = min(pause * 2, self._settings.retry_limit_seconds)
            if self._claims != claims:
                raise _LetGo

    def _forget(self) -> None:
        self._claims += 1
        self._owned, self._batch = {}, _Batch()
        self._room.set()
        metrics.PARTITIONS_OWNED.set(0)
        metrics.AGENTS_ONLINE.set(0)

    def _measure(self) -> None:
        states = [owned.state for owned in self._owned.values()]
        metrics.AGENTS_ONLINE.set(sum(len(state.online) for state in states))
        oldest = min((state.at_ms for state in states if state.at_ms is not None), default=None)
        if oldest is not None:
            age = clock.now() - moment(oldest)
            metrics.LAG_SECONDS.set(max(0.0, age.total_seconds()))


def _sound(value: bytes | None) -> tuple[list[Beat], str | None]:
    """The sound beats of a record; and if there are others, what is wrong with the first."""
    try:
        beats = decode_beats(value or b"")
    except DecodeError as error:
        return [], str(error)
    flaws = [found for beat in beats if (found := flaw(beat)) is not None]
    if not flaws:
        return beats, None
    return [beat for beat in beats if flaw(beat) is None], flaws[0]
