"""Sending to the broker: idempotent, acknowledged by all replicas, and never without a limit."""

import asyncio
from collections.abc import Awaitable, Sequence
from itertools import count

from aiokafka import AIOKafkaProducer
from aiokafka.errors import KafkaError
from aiokafka.protocol.metadata import MetadataRequest

from chassis import clock, metrics
from chassis.envelope import Record
from chassis.log import get_logger
from chassis.settings import RECONNECT_SECONDS
from spotkeeper_contracts.topics import RECORD_BYTES

log = get_logger()

CLOSE_SECONDS = 3.0
ASK_SECONDS = 1.0
ANSWER_SECONDS = 3.0
SILENCE_SECONDS = 6.0
"""So long a silence is an outage; to lose one node of many makes one of 5 seconds, and is none."""


class BusUnavailable(Exception):
    """The broker did not take a record, or not in time."""


class Producer:
    """One idempotent producer; after an error that ends it, it is replaced by a fresh one."""

    def __init__(
        self, bootstrap_servers: str, *, client_id: str, send_timeout_seconds: float = 10.0
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._client_id = client_id
        self._timeout = send_timeout_seconds
        self._kafka: AIOKafkaProducer | None = None
        self._starting: asyncio.Task[None] | None = None
        self._listening: asyncio.Task[None] | None = None
        self._answered_at = 0.0

    @property
    def ready(self) -> bool:
        """Whether the producer has found its broker, which may have gone since."""
        return self._kafka is not None

    @property
    def answered(self) -> bool:
        """Whether the broker has answered in the last few seconds."""
        silent_seconds = clock.monotonic() - self._answered_at
        return self._kafka is not None and silent_seconds < SILENCE_SECONDS

    async def start(self) -> None:
        """Connect, trying until the broker answers."""
        while self._kafka is None:
            kafka = AIOKafkaProducer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=self._client_id,
                acks="all",
                enable_idempotence=True,
                linger_ms=0,
                max_batch_size=65_536,
                max_request_size=2 * RECORD_BYTES,
                request_timeout_ms=int(self._timeout * 1000),
                retry_backoff_ms=100,
            )
            try:
                await kafka.start()
            except (KafkaError, OSError) as error:
                log.warning("no broker yet", error=str(error))
                await kafka.stop()
                await asyncio.sleep(RECONNECT_SECONDS)
            else:
                self._kafka, self._answered_at = kafka, clock.monotonic()
        if self._listening is None:
            self._listening = asyncio.get_running_loop().create_task(self._listen())

    async def stop(self) -> None:
        """Send what waits, then close."""
        for task in (self._starting, self._listening):
            if task is not None:
                task.cancel()
        if self._kafka is not None:
            kafka, self._kafka = self._kafka, None
            await _close(kafka)

    async def send(self, record: Record) -> None:
        """Send one record and await its acknowledgement; raises `BusUnavailable`."""
        await self._acknowledged(record.topic, [await self._enqueue(record)])

    async def send_all(self, records: Sequence[Record]) -> None:
        """Send records in order and await all acknowledgements; raises `BusUnavailable`."""
        if records:
            waiting = [await self._enqueue(record) for record in records]
            await self._acknowledged(records[0].topic, waiting)

    async def send_raw(
        self, topic: str, partition: int, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        """Send a record without a key to a given partition; raises `BusUnavailable`."""
        await self.send(Record(topic, b"", value, headers, partition))

    async def _enqueue(self, record: Record) -> Awaitable[object]:
        kafka = self._kafka
        if kafka is None:
            raise BusUnavailable("the broker is away")
        try:
            async with asyncio.timeout(self._timeout):
                # aiokafka has no types.
                return await kafka.send(  # type: ignore[no-any-return]
                    record.topic,
                    record.value,
                    key=record.key or None,
                    partition=record.partition,
                    headers=record.headers,
                )
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._failed(record.topic, error) from error

    async def _acknowledged(self, topic: str, waiting: Sequence[Awaitable[object]]) -> None:
        try:
            async with asyncio.timeout(self._timeout):
                await asyncio.gather(*(asyncio.shield(sent) for sent in waiting))
        except (KafkaError, OSError, TimeoutError) as error:
            raise self._failed(topic, error) from error
        metrics.RECORDS_SENT.labels(topic).inc(len(waiting))

    async def _listen(self) -> None:
        """Ask once a second, each node of the broker in its turn, for `answered`."""
        for turn in count():
            await asyncio.sleep(ASK_SECONDS)
            if self._kafka is None:
                continue
            client = self._kafka.client
            nodes = sorted(node.nodeId for node in client.cluster.brokers())
            try:
                async with asyncio.timeout(ANSWER_SECONDS):
                    await client.send(nodes[turn % len(nodes)], MetadataRequest([]))
            except Exception:  # Any failure of the question is silence, which is told of in time.
                continue
            self._answered_at = clock.monotonic()

    def _failed(self, topic: str, error: BaseException) -> BusUnavailable:
        metrics.SEND_FAILURES.labels(topic).inc()
        retriable = isinstance(error, TimeoutError | OSError) or getattr(error, "retriable", False)
        if not retriable and self._kafka is not None:
            self._replace(self._kafka, error)
        return BusUnavailable(f"{topic}: {type(error).__name__} {error}")

    def _replace(self, broken: AIOKafkaProducer, error: BaseException) -> None:
        """An idempotent producer that lost its place in the log cannot go on."""
        log.warning("replacing the producer", error=f"{type(error).__name__} {error}")
        self._kafka = None

        async def renew() -> None:
            await _close(broken)
            await self.start()

        self._starting = asyncio.get_running_loop().create_task(renew())


async def _close(kafka: AIOKafkaProducer) -> None:
    """Stop a producer, which sends what waits, and knows no limit if the broker is away."""
    try:
        async with asyncio.timeout(CLOSE_SECONDS):
            await kafka.stop()
    except (KafkaError, OSError, TimeoutError) as error:
        log.warning("a producer did not stop well", error=repr(error))
