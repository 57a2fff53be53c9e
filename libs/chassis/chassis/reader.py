"""Reading partitions without a group: what views, tails and askers have in common."""

import asyncio
from collections.abc import Callable, Sequence
from typing import Any

from aiokafka import AIOKafkaConsumer, TopicPartition
from aiokafka.errors import KafkaError

from chassis.closing import close
from chassis.log import get_logger
from chassis.settings import RECONNECT_SECONDS
from spotkeeper_contracts import PARTITIONS, Topic

log = get_logger()

STALLED_SECONDS = 5.0


def partitions_of(topics: Sequence[Topic]) -> list[TopicPartition]:
    """All partitions of some topics."""
    return [TopicPartition(topic.name, n) for topic in topics for n in range(PARTITIONS)]


class Reader:
    """Reads given partitions, each from its beginning, its end or an offset, in order, for ever.

    After any failure it connects again and goes on behind the last record it gave out.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        partitions: Sequence[TopicPartition],
        on_record: Callable[[Any], None],
        *,
        client_id: str,
        from_beginning: bool,
        positions: dict[TopicPartition, int] | None = None,
    ) -> None:
        self._bootstrap_servers = bootstrap_servers
        self._partitions = list(partitions)
        self._on_record = on_record
        self._client_id = client_id
        self._from_beginning = from_beginning
        self._positions: dict[TopicPartition, int] = dict(positions or {})
        self._ends: dict[TopicPartition, int] = {}
        self._task: asyncio.Task[None] | None = None
        self._connected = False
        self.caught_up = asyncio.Event()
        """Set once everything that was there at the start has been read."""

    @property
    def ready(self) -> bool:
        """Whether all was read to the end once and the broker still answers."""
        return self.caught_up.is_set() and self._connected

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """The offset behind the last record given out, by partition."""
        return dict(self._positions)

    def start(self) -> None:
        """Begin reading in the background."""
        self._task = asyncio.get_running_loop().create_task(self._run())

    async def stop(self) -> None:
        """Stop reading."""
        if self._task is not None:
            self._task.cancel()
            await asyncio.gather(self._task, return_exceptions=True)

    async def _run(self) -> None:
        while True:
            kafka = AIOKafkaConsumer(
                bootstrap_servers=self._bootstrap_servers,
                client_id=self._client_id,
                enable_auto_commit=False,
                auto_offset_reset="earliest" if self._from_beginning else "latest",
                fetch_min_bytes=1,
                fetch_max_wait_ms=500,
                request_timeout_ms=10_000,
            )
            try:
                await kafka.start()
                await self._seek(kafka)
                self._connected = True
                await self._read(kafka)
            except (KafkaError, OSError, TimeoutError) as error:
                log.warning("reader waits for the broker", error=repr(error))
            except Exception:  # A bug in a callback must not make the service blind for good.
                log.exception("reader starts again behind the record that it failed on")
            finally:
                self._connected = False
                await close(kafka)
            await asyncio.sleep(RECONNECT_SECONDS)

    async def _seek(self, kafka: AIOKafkaConsumer) -> None:
        """Settle where each partition is read from; an answer may come as soon as this is done."""
        kafka.assign(self._partitions)
        async with asyncio.timeout(STALLED_SECONDS * 2):
            begins = await kafka.beginning_offsets(self._partitions)
            ends = await kafka.end_offsets(self._partitions)
        for partition in self._partitions:
            first = begins[partition] if self._from_beginning else ends[partition]
            position = self._positions.get(partition, first)
            if position > ends[partition]:  # The topic was made anew.
                position = first
            self._positions[partition] = max(position, begins[partition])
            kafka.seek(partition, self._positions[partition])
        self._ends = dict(ends)
        self._settle()

    async def _read(self, kafka: AIOKafkaConsumer) -> None:
        while True:
            arrived = await kafka.getmany(timeout_ms=1_000)
            for partition, records in arrived.items():
                for record in records:
                    self._positions[partition] = record.offset + 1
                    self._on_record(record)
            if not self.caught_up.is_set():
                for partition in self._partitions:
                    self._positions[partition] = await kafka.position(partition)
                self._settle()
            elif not arrived:
                await self._assure(kafka)

    async def _assure(self, kafka: AIOKafkaConsumer) -> None:
        """After a silent second, see that the broker still answers; raises if it does not."""
        async with asyncio.timeout(STALLED_SECONDS):
            try:
                await kafka.end_offsets(self._partitions[:1])
            except (KafkaError, OSError, TimeoutError):
                self._connected = False
                raise
        self._connected = True

    def _settle(self) -> None:
        if all(self._positions[p] >= self._ends.get(p, 0) for p in self._partitions):
            self.caught_up.set()
