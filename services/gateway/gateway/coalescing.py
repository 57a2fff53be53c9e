"""Appending beats by group commit: what arrives while a record is on its way goes in the next.

Two records of a partition are some milliseconds apart, so there is no added wait at low load, and
records grow with the load: each costs broker and stream as much as the beats in it. Each second an
idle partition gets an empty record, a tick, by which its reader learns that time went on and beats
could be heard.
"""

import asyncio
import math
from collections import deque
from collections.abc import Callable
from dataclasses import dataclass, field
from functools import partial

from chassis import clock
from chassis.envelope import partition_for
from chassis.producer import BusUnavailable, Producer
from gateway import metrics
from spotkeeper_contracts import PARTITIONS
from spotkeeper_contracts.presence import HEARTBEATS_TYPE, Beat, encode_beats
from spotkeeper_contracts.topics import AGENT_HEARTBEATS
from spotkeeper_contracts.values import rfc3339


@dataclass
class _Batch:
    """The beats of one record, and who waits to hear whether the broker has it."""

    beats: list[Beat] = field(default_factory=list)
    waiting: list[Callable[[bool], None]] = field(default_factory=list)
    giving_up: asyncio.TimerHandle | None = None

    def settle(self, acknowledged: bool) -> None:
        """Tell everyone who waits, each by itself: what one makes of it is no matter of others."""
        if self.giving_up is not None:
            self.giving_up.cancel()
            self.giving_up = None
        call_soon = asyncio.get_running_loop().call_soon
        for tell in self.waiting:
            call_soon(tell, acknowledged)
        self.waiting.clear()


@dataclass
class _Partition:
    number: int
    batches: deque[_Batch] = field(default_factory=deque)
    flushing: asyncio.Task[None] | None = None
    sent_at: float = 0.0
    next_at: float = 0.0


class Coalescer:
    """Appends beats to `agent-heartbeats`, with at most one record of a partition on its way."""

    def __init__(
        self,
        producer: Producer,
        *,
        waiting_limit: int,
        beats_per_record: int,
        record_gap_seconds: float,
        acknowledge_seconds: float,
    ) -> None:
        self._producer = producer
        self._waiting_limit = waiting_limit
        self._beats_per_record = beats_per_record
        self._record_gap_seconds = record_gap_seconds
        self._acknowledge_seconds = acknowledge_seconds
        self._waiting = 0
        self._partitions = [_Partition(number) for number in range(PARTITIONS)]
        self._loop = asyncio.get_running_loop()
        metrics.BEATS_WAITING.set_function(lambda: self._waiting)

    async def append(self, beat: Beat, *, partition: int | None = None) -> None:
        """Return once the broker has the beat; raises `BusUnavailable` if that fails or drags on.

        `partition` is that of the agent's id, for whom knows it. A beat that was given up may
        still be appended later, which does no harm.
        """
        waiter: asyncio.Future[bool] = self._loop.create_future()
        number = partition_for(beat.agent_id) if partition is None else partition
        self.put(beat, partial(_settle, waiter), number)
        if not await waiter:
            raise BusUnavailable("heartbeats are not acknowledged in time")

    def put(self, beat: Beat, tell: Callable[[bool], None], partition: int) -> None:
        """Append the beat, and tell later whether the broker has it, as `append` does.

        Raises `BusUnavailable` if it is known now that it has not.
        """
        where = self._partitions[partition]
        if self._waiting >= self._waiting_limit or not self._takes(where):
            raise BusUnavailable("heartbeats find no broker, or too many wait for it")
        batch = self._open_batch(where)
        batch.beats.append(beat)
        batch.waiting.append(tell)
        self._waiting += 1
        self._flush(where)

    async def tick_for_ever(self, *, tick_seconds: float) -> None:
        """Append a record to every partition each second, an empty one where no beats wait."""
        while True:
            start = clock.monotonic()
            for partition in self._partitions:
                if self._producer.ready and partition.flushing is None:
                    partition.batches.append(_Batch())
                    self._flush(partition)
            await asyncio.sleep(max(0.0, start + tick_seconds - clock.monotonic()))

    async def drain(self) -> None:
        """Wait for the records that are on their way, for as long as a beat would."""
        flushing = [p.flushing for p in self._partitions if p.flushing is not None]
        if flushing:
            await asyncio.wait(flushing, timeout=self._acknowledge_seconds)

    def _open_batch(self, partition: _Partition) -> _Batch:
        """The batch that the next beat joins; the first who waits settles when it is given up."""
        batches = partition.batches
        if not batches or len(batches[-1].beats) >= self._beats_per_record:
            batches.append(_Batch())
        batch = batches[-1]
        if batch.giving_up is None:  # It is new, a tick, or was given up and not sent yet.
            batch.giving_up = self._loop.call_later(self._acknowledge_seconds, batch.settle, False)
        return batch

    def _takes(self, partition: _Partition) -> bool:
        """Whether the broker is there and does not keep a record of this partition waiting."""
        stalled = (
            partition.flushing is not None
            and clock.monotonic() - partition.sent_at > self._acknowledge_seconds
        )
        return self._producer.ready and not stalled

    def _flush(self, partition: _Partition) -> None:
        if partition.flushing is None:
            partition.sent_at = clock.monotonic()
            partition.flushing = asyncio.create_task(self._send_batches(partition))

    async def _send_batches(self, partition: _Partition) -> None:
        try:
            while partition.batches:
                await self._until_due(partition)
                batch = partition.batches.popleft()
                partition.sent_at = clock.monotonic()
                partition.next_at = partition.sent_at + self._record_gap_seconds
                acknowledged = await self._send(partition.number, batch.beats)
                self._waiting -= len(batch.beats)
                batch.settle(acknowledged)
        finally:
            partition.flushing = None

    async def _until_due(self, partition: _Partition) -> None:
        """Keep the gap; partitions that have to wait go on together, in one request."""
        now, gap = clock.monotonic(), self._record_gap_seconds
        if now < partition.next_at:
            await asyncio.sleep(math.ceil(partition.next_at / gap) * gap - now)

    async def _send(self, partition: int, beats: list[Beat]) -> bool:
        metrics.BEATS_PER_RECORD.observe(len(beats))
        try:
            await self._producer.send_raw(
                AGENT_HEARTBEATS.name, partition, encode_beats(beats), _headers()
            )
        except BusUnavailable:
            return False
        return True


def _settle(waiter: "asyncio.Future[bool]", acknowledged: bool) -> None:
    if not waiter.done():
        waiter.set_result(acknowledged)


def _headers() -> list[tuple[str, bytes]]:
    return [
        ("ce_specversion", b"1.0"),
        ("ce_id", str(clock.new_id()).encode()),
        ("ce_source", b"/spotkeeper/gateway"),
        ("ce_type", HEARTBEATS_TYPE.encode()),
        ("ce_time", rfc3339(clock.now()).encode()),
        ("content-type", b"application/json"),
    ]
