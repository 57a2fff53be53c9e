"""Reading from the bus: one dispatcher feeds the lanes and commits what they have handled."""

import asyncio
from collections.abc import Mapping, Sequence
from typing import Any

import asyncpg
from aiokafka import AIOKafkaConsumer, ConsumerRebalanceListener, TopicPartition
from aiokafka.coordinator.assignors.range import RangePartitionAssignor
from aiokafka.errors import KafkaError

from chassis import faults, metrics
from chassis.closing import close
from chassis.deadletter import DeadLetterGuard
from chassis.delivery import Delivery, Unopened
from chassis.envelope import Envelope, Unreadable, header
from chassis.health import Health
from chassis.lag import MEASURE_SECONDS, Lag
from chassis.lanes import Lane
from chassis.log import get_logger
from chassis.outages import is_outage
from chassis.outbox import Outbox
from chassis.producer import Producer
from chassis.query import Connection
from chassis.settings import RECONNECT_SECONDS, ServiceSettings
from chassis.transaction import Work
from spotkeeper_contracts import MESSAGES, Kind, Message, Topic

log = get_logger()

PART = "consumer"
TURNS = {Kind.STATE: 0, Kind.REQUESTS: 2}


# aiokafka has no types.
class Consumer(ConsumerRebalanceListener):  # type: ignore[misc]
    """The service's member of its consumer group, with its lanes."""

    def __init__(
        self,
        service: str,
        topics: Sequence[Topic],
        messages: Mapping[type[Message], Any],
        settings: ServiceSettings,
        work: Work,
        outbox: Outbox | None,
        *,
        pool: "asyncpg.Pool[asyncpg.Record]",
        producer: Producer,
        health: Health,
    ) -> None:
        self._service = service
        self._topics = {topic.name: topic for topic in topics}
        self._types = {message.type for message in messages}
        self._settings = settings
        self._work = work
        self._outbox = outbox
        self._pool = pool
        self._producer = producer
        self._health = health
        self._guard = DeadLetterGuard()
        self._lanes: list[Lane] = []
        self._tasks: list[asyncio.Task[None]] = []
        self._handled: dict[TopicPartition, int | None] = {}
        self._committed: dict[TopicPartition, int] = {}
        self._lag = Lag()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._kafka = self._member()

    def _member(self) -> AIOKafkaConsumer:
        return AIOKafkaConsumer(
            bootstrap_servers=self._settings.kafka_bootstrap_servers,
            client_id=self._service,
            group_id=self._service,
            group_instance_id=self._settings.member,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
            partition_assignment_strategy=[RangePartitionAssignor],
            fetch_min_bytes=1,
            fetch_max_wait_ms=500,  # A record ends the wait; only an idle consumer keeps it.
            session_timeout_ms=int(self._settings.session_timeout_seconds * 1000),
            heartbeat_interval_ms=500,
            max_poll_interval_ms=300_000,
        )

    async def run(self, stopping: asyncio.Event) -> None:
        """Read until told to stop, then finish the batches in hand and commit."""
        reading = asyncio.create_task(self._read())
        committing = asyncio.create_task(self._commit_regularly())
        measuring = asyncio.create_task(self._measure_regularly())
        stopped = asyncio.create_task(stopping.wait())
        own = (reading, committing, measuring)
        try:
            parts: list[asyncio.Future[Any]] = [*own, stopped, self._failure]
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            for task in (*own, self._failure):
                if task.done() and not task.cancelled():
                    task.result()
        finally:
            for each in (*own, stopped):
                each.cancel()
            await asyncio.gather(*own, stopped, return_exceptions=True)
            self._health.set(PART, ok=False, text="stopping")
            await self._stop_lanes()
            await close(self._kafka)

    async def _start(self) -> None:
        while True:
            self._kafka.subscribe(topics=list(self._topics), listener=self)
            try:
                await self._kafka.start()
            except (KafkaError, OSError) as error:
                log.warning("no broker yet", error=str(error))
                await close(self._kafka)
                self._kafka = self._member()  # One that failed to start cannot start again.
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                return

    async def _read(self) -> None:
        await self._start()
        while True:
            try:
                arrived = await self._kafka.getmany(timeout_ms=200)
            except KafkaError as error:
                log.warning("fetch failed", error=repr(error))
                await asyncio.sleep(self._settings.retry_seconds)
                continue
            for partition, records in sorted(arrived.items(), key=self._turn):
                for record in records:
                    self._dispatch(partition, record)
            self._hold_back()

    def _turn(self, arrived: tuple[TopicPartition, Any]) -> int:
        """Of what came together, states go before events, which speak of them, and facts before
        requests: whoever asked may have known the facts.
        """
        return TURNS.get(self._topics[arrived[0].topic].kind, 1)

    def _dispatch(self, partition: TopicPartition, record: Any) -> None:
        if partition not in self._handled:
            return  # It was given to another member while this record was on its way.
        if self._handled[partition] is None:  # All before it was handled by earlier owners.
            self._handled[partition] = self._committed[partition] = record.offset
        where = (record.topic, record.partition, record.offset)
        lane = self._lanes[record.partition % len(self._lanes)]
        kind = header(record.headers, "ce_type")
        if kind not in self._types and self._may_skip(record.topic, kind):
            lane.put(Unopened(where, record.value, record.headers, error=None))
            return
        try:
            envelope = Envelope.from_record(record.value, record.headers)
            if envelope.message.topic.name != record.topic or kind not in self._types:
                raise Unreadable(f"{kind} does not belong on {record.topic}")
        except Unreadable as error:
            lane.put(Unopened(where, record.value, record.headers, error=str(error)))
        else:
            lane.put(Delivery(envelope, record.value, record.headers, *where))

    def _may_skip(self, topic: str, kind: str | None) -> bool:
        """Whether a message concerns others: a fact this service, or this release, ignores."""
        if kind is None or self._topics[topic].kind is Kind.REQUESTS:
            return False
        return MESSAGES[kind].topic.name == topic if kind in MESSAGES else _is_type(kind)

    def _hold_back(self) -> None:
        """Pause partitions whose lane is far behind, and resume those whose lane has caught up."""
        limit = self._settings.lane_queue_messages
        paused = self._kafka.paused()
        for partition in self._handled:
            waiting = self._lanes[partition.partition % len(self._lanes)].waiting
            if waiting > limit and partition not in paused:
                self._kafka.pause(partition)
            elif waiting < limit // 2 and partition in paused:
                self._kafka.resume(partition)

    def _on_handled(self, topic: str, partition: int, offset: int) -> None:
        self._handled[TopicPartition(topic, partition)] = offset + 1

    async def on_partitions_revoked(self, revoked: Any) -> None:
        """Finish what is in hand before others take over."""
        if self._lanes:
            log.info("partitions revoked", partitions=len(revoked))
        self._health.set(PART, ok=False, text="partitions are being shared out")
        await self._stop_lanes()

    async def on_partitions_assigned(self, assigned: Any) -> None:
        """Take over partitions: first what their last owner left, then what arrives."""
        metrics.REBALANCES.inc()
        log.info("partitions assigned", partitions=len(assigned))
        self._handled, self._committed = dict.fromkeys(assigned), {}
        self._lanes = [self._lane() for _ in range(self._settings.lanes)]
        numbers = {partition.partition for partition in assigned}
        self._tasks = [
            asyncio.create_task(lane.run(sorted(n for n in numbers if n % len(self._lanes) == i)))
            for i, lane in enumerate(self._lanes)
        ]
        for task in self._tasks:
            task.add_done_callback(self._lane_ended)
        self._health.set(PART, ok=True)

    def _lane(self) -> Lane:
        return Lane(
            self._service,
            self._settings,
            self._work,
            self._outbox,
            pool=self._pool,
            producer=self._producer,
            guard=self._guard,
            on_handled=self._on_handled,
        )

    def _lane_ended(self, task: "asyncio.Task[None]") -> None:
        error = None if task.cancelled() else task.exception()
        if error is not None and not self._failure.done():
            self._failure.set_exception(error)

    async def _stop_lanes(self) -> None:
        for lane in self._lanes:
            lane.stop()
        await asyncio.gather(*self._tasks, return_exceptions=True)
        await self._commit(final=True)
        self._lanes, self._tasks, self._handled = [], [], {}
        self._lag.show({})

    async def _commit_regularly(self) -> None:
        while True:
            await asyncio.sleep(self._settings.commit_interval_seconds)
            await self._commit(final=False)

    async def _commit(self, *, final: bool) -> None:
        """Delete published outbox rows, then commit offsets. Either may wait for the next time."""
        handled = {
            partition: offset
            for partition, offset in self._handled.items()
            if offset is not None and offset != self._committed.get(partition)
        }
        try:
            await self._delete_published()
            faults.after("deleted")
            if handled:
                await self._kafka.commit(handled)
                faults.after("offsets")
        except Exception as error:  # A repeat is harmless, so an outage only delays; a bug is told.
            if not is_outage(error):
                raise
            log.warning("commit postponed", error=repr(error), final=final)
        else:
            self._committed |= handled

    async def _delete_published(self) -> None:
        published = [(lane, list(lane.published)) for lane in self._lanes if lane.published]
        if self._outbox is None or not published:
            return
        async with self._pool.acquire() as raw:
            await self._outbox.delete(
                Connection(raw), [seq for _, seqs in published for seq in seqs]
            )
        for lane, seqs in published:
            del lane.published[: len(seqs)]

    async def _measure_regularly(self) -> None:
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            try:
                async with asyncio.timeout(MEASURE_SECONDS):
                    await self._measure()
            except Exception as error:  # A look at the log may fail; an error of ours may not.
                if not is_outage(error):
                    raise

    async def _measure(self) -> None:
        """Measure from the end of the log: a partition that is held back hears of nothing new."""
        if not self._handled:
            return
        ends = await self._kafka.end_offsets(list(self._handled))
        unread = [partition for partition, offset in self._handled.items() if offset is None]
        begins = {partition: await self._kafka.position(partition) for partition in unread}
        offsets = {p: begins[p] if o is None else o for p, o in self._handled.items()}
        if offsets.keys() == ends.keys():  # Else they were shared out anew meanwhile.
            self._lag.show({p: max(0, ends[p] - offset) for p, offset in offsets.items()})


def _is_type(kind: str) -> bool:
    """Whether the word has the form of a message's type, as a later release may send."""
    name, _, version = kind.rpartition(".v")
    return name.isidentifier() and version.isdecimal()
