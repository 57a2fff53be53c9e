"""A lane: takes what has arrived, handles it in one transaction, publishes, and moves on.

The partitions of a service are shared out among its lanes (partition modulo lanes), so that the
order per key holds. A message ends in one of three ways: done; waited for, while the database or
the broker is away; or a dead letter, after it raised as often as the settings allow.
"""

import asyncio
from collections import deque
from collections.abc import Awaitable, Callable, Sequence
from typing import TypeVar

import asyncpg

from chassis import clock, faults, metrics
from chassis.deadletter import INTERNAL, DeadLetterGuard, answer_to_unreadable, dead_letter
from chassis.delivery import Delivery, Unopened
from chassis.envelope import known_type
from chassis.log import get_logger
from chassis.outages import is_outage
from chassis.outbox import Outbox
from chassis.outcome import Outcome
from chassis.producer import Producer
from chassis.query import Connection
from chassis.settings import ServiceSettings
from chassis.transaction import RefusedAfterWriting, Work
from spotkeeper_contracts import Refusal

log = get_logger()
T = TypeVar("T")

LEFTOVERS_AT_ONCE = 500


class Lane:
    """One sequence of transactions. Fed by `put`, it runs until it is stopped."""

    def __init__(
        self,
        service: str,
        settings: ServiceSettings,
        work: Work,
        outbox: Outbox | None,
        *,
        pool: "asyncpg.Pool[asyncpg.Record]",
        producer: Producer,
        guard: DeadLetterGuard,
        on_handled: Callable[[str, int, int], None],
    ) -> None:
        self._service = service
        self._settings = settings
        self._work = work
        self._outbox = outbox
        self._pool = pool
        self._producer = producer
        self._guard = guard
        self._on_handled = on_handled
        self._queue: deque[Delivery | Unopened] = deque()
        self._arrived = asyncio.Event()
        self._stopping = False
        self._partitions: Sequence[int] = ()
        self._sweep_at = 0.0
        self.published: list[int] = []
        """Numbers of outbox rows that the broker has and the next commit deletes."""

    @property
    def waiting(self) -> int:
        """How many records wait."""
        return len(self._queue)

    def put(self, arrived: Delivery | Unopened) -> None:
        """Take one more record."""
        self._queue.append(arrived)
        self._arrived.set()

    def stop(self) -> None:
        """Finish the batch in hand, drop what waits (the next owner reads it again), and end."""
        self._stopping = True
        self._queue.clear()
        self._arrived.set()

    async def run(self, source_partitions: Sequence[int]) -> None:
        """Publish what the partitions' last owner left, then handle what arrives."""
        try:
            await self._lasting(lambda: self._publish_left_over(source_partitions))
            self._partitions = source_partitions
            while not self._stopping:
                await self._wait()
                while self._queue and not self._stopping:
                    await self._next()
                    await self._sweep_if_due()
                await self._sweep_if_due()
        except _Stopped:
            log.info("stopped while waiting; the next owner goes on")

    async def _wait(self) -> None:
        """Until something arrives, or a sweep is due."""
        try:
            async with asyncio.timeout(self._settings.sweep_seconds if self._sweeps else None):
                await self._arrived.wait()
        except TimeoutError:
            pass  # Nothing arrived, which is no reason not to look at the clock.
        self._arrived.clear()

    @property
    def _sweeps(self) -> bool:
        return self._work.sweep is not None and bool(self._partitions)

    async def _sweep_if_due(self) -> None:
        """Do what is due by the clock; a bug in it is logged, and tried again with the next."""
        if not self._sweeps or self._stopping or clock.monotonic() < self._sweep_at:
            return
        self._sweep_at = clock.monotonic() + self._settings.sweep_seconds
        try:
            outcome, more = await self._lasting(self._transact_sweep)
        except _Stopped:
            raise
        except Exception as error:  # What it concerns waits; messages go on.
            log.error("sweep raised", exc_info=error)
            metrics.SWEEPS_FAILED.inc()
            return
        await self._lasting(lambda: self._producer.send_all(outcome.emitted))
        self.published += outcome.seqs
        if more:
            self._sweep_at = 0.0
            self._arrived.set()

    async def _next(self) -> None:
        batch: list[Delivery] = []
        while self._queue and len(batch) < self._settings.batch_messages:
            head = self._queue[0]
            if isinstance(head, Unopened):
                break
            self._queue.popleft()
            batch.append(head)
        if batch:
            await self._handle(batch)
            return
        unopened = self._queue.popleft()
        assert isinstance(unopened, Unopened)
        if unopened.error is None:
            metrics.MESSAGES_HANDLED.labels(known_type(unopened.headers), "skipped").inc()
            self._on_handled(unopened.topic, unopened.partition, unopened.offset)
        else:
            await self._give_up(unopened, "unreadable", unopened.error)

    async def _handle(self, batch: list[Delivery]) -> None:
        start = clock.monotonic()
        try:
            outcome = await self._lasting(lambda: self._transact(batch))
        except _Stopped:
            raise
        except Exception as error:  # A handler's bug, or a refusal too late: find the guilty one.
            if len(batch) > 1:
                log.warning("batch split", messages=len(batch), error=repr(error))
                metrics.BATCHES_SPLIT.inc()
                for delivery in batch:
                    await self._handle([delivery])
                return
            await self._handle_alone(batch[0], error)
            return
        await self._finish(batch, outcome)
        metrics.BATCH_SECONDS.observe(clock.monotonic() - start)
        metrics.BATCH_MESSAGES.observe(len(batch))

    async def _handle_alone(self, delivery: Delivery, error: Exception) -> None:
        """A message that raised: a late refusal is recorded; a bug is tried again, then kept."""
        for attempt in range(1, self._settings.message_tries):
            if isinstance(error, RefusedAfterWriting):
                break
            log.error("handler raised", attempt=attempt, **_about(delivery), exc_info=error)
            await asyncio.sleep(min(0.1 * 2**attempt, 1.0))
            try:
                outcome = await self._lasting(lambda: self._transact([delivery]))
            except _Stopped:
                raise
            except Exception as again:  # Still a bug; it counts as one more try.
                error = again
            else:
                await self._finish([delivery], outcome)
                return
        if isinstance(error, RefusedAfterWriting):
            refusal = error.refusal
            outcome = await self._lasting(lambda: self._refuse(delivery, refusal))
            await self._finish([delivery], outcome)
        else:
            await self._give_up(delivery, "handler", repr(error), exc_info=error)

    async def _give_up(
        self, record: Delivery | Unopened, reason: str, error: str, exc_info: object = None
    ) -> None:
        """Keep the record in the dead letters, and only then settle it: a caller is told 500."""
        where = (record.topic, record.partition, record.offset)
        log.error("dead letter", where=where, reason=reason, error=error, exc_info=exc_info)
        letter = dead_letter(
            where, record.value, record.headers, service=self._service, reason=reason, error=error
        )
        await self._lasting(lambda: self._producer.send_all([letter]))
        if isinstance(record, Delivery):
            answers = (await self._lasting(lambda: self._refuse(record, INTERNAL))).answers
            faults.after(faults.GIVEN_UP)
        else:
            answers = answer_to_unreadable(record.headers, service=self._service)
        await self._lasting(lambda: self._producer.send_all(answers))
        self._on_handled(*where)
        self._guard.given_up()

    async def _transact(self, batch: list[Delivery]) -> Outcome:
        async with self._pool.acquire() as raw:
            return await self._work.run(raw, batch)

    async def _transact_sweep(self) -> tuple[Outcome, bool]:
        async with self._pool.acquire() as raw:
            return await self._work.run_sweep(raw, self._partitions)

    async def _refuse(self, delivery: Delivery, refusal: Refusal) -> Outcome:
        async with self._pool.acquire() as raw:
            return await self._work.refuse(raw, delivery, refusal)

    async def _finish(self, batch: Sequence[Delivery], outcome: Outcome) -> None:
        """Publish what the committed transaction left; only then is the batch handled.

        Answers stand first in the request to the broker: what is emitted wakes up everyone else.
        What was handled before may never have been published: an owner that was frozen may have
        committed since this one came, and died; or the answer to this lane's own commit was lost.
        """
        if outcome.has_repeats:
            own = [*self.published, *outcome.seqs]
            await self._lasting(lambda: self._publish_left_over(self._partitions, but=own))
        records = [*outcome.answers, *outcome.emitted]
        await self._lasting(lambda: self._producer.send_all(records))
        faults.after("published")
        self.published += outcome.seqs
        self._guard.handled(len(batch))
        for delivery in batch:
            self._on_handled(delivery.topic, delivery.partition, delivery.offset)

    async def _publish_left_over(
        self, source_partitions: Sequence[int], *, but: Sequence[int] = ()
    ) -> None:
        if self._outbox is None:
            return
        while True:
            async with self._pool.acquire() as raw:
                found = await self._outbox.left_over(
                    Connection(raw), source_partitions, but=but, limit=LEFTOVERS_AT_ONCE
                )
                if not found:
                    return
                await self._producer.send_all([record for _, record in found])
                await self._outbox.delete(Connection(raw), [seq for seq, _ in found])
                metrics.LEFTOVERS_PUBLISHED.inc(len(found))
                log.info("published what the last owner left", messages=len(found))

    async def _lasting(self, attempt: Callable[[], Awaitable[T]]) -> T:
        """Try until no outage prevents it. A stop ends the waiting, never a batch under way."""
        pause = self._settings.retry_seconds
        metered = False
        try:
            while True:
                try:
                    return await attempt()
                except Exception as error:  # Told apart below; all but an outage goes on up.
                    if not is_outage(error):
                        raise
                    log.warning("waiting", error=repr(error), pause_seconds=pause)
                if not metered:
                    metrics.LANES_WAITING.inc()
                    metered = True
                if self._stopping:
                    raise _Stopped
                await asyncio.sleep(pause)
                pause = min(pause * 2, self._settings.retry_limit_seconds)
        finally:
            if metered:
                metrics.LANES_WAITING.dec()


class _Stopped(Exception):
    """The lane was stopped while it waited for the database or the broker."""


def _about(delivery: Delivery) -> dict[str, object]:
    return {
        "topic": delivery.topic,
        "partition": delivery.partition,
        "offset": delivery.offset,
        "type": delivery.envelope.message.type,
        "id": str(delivery.envelope.id),
    }
