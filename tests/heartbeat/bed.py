"""A bed to test the heartbeat service in: real servers, real workers, a fleet that beats."""

import asyncio
import os
import signal
import sys
from collections import defaultdict
from collections.abc import AsyncIterator, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from uuid import UUID

import asyncpg
from aiokafka import AIOKafkaConsumer

from chassis import clock
from chassis.asking import Asker
from chassis.envelope import Envelope, partition_for
from chassis.migrations import migrate
from chassis.producer import BusUnavailable, Producer
from chassis.topics import create_topics
from heartbeat.app import service
from spotkeeper.embedded.child import Command, free_port
from spotkeeper_contracts import PARTITIONS, TOPICS, Message
from spotkeeper_contracts.presence import (
    HEARTBEATS_TYPE,
    AgentCameOnline,
    AgentWentOffline,
    Beat,
    encode_beats,
)
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, AGENT_PRESENCE
from tests.stack import EmbeddedStack, eventually, is_ready

OFFLINE_AFTER_SECONDS, DEAF_GAP_SECONDS, BEAT_SECONDS = 2.0, 1.5, 0.5
"""Short; as in a real stack, nobody could be heard when three records in a row are missing."""
FOUND_WITHIN_SECONDS = OFFLINE_AFTER_SECONDS + 4.0
CLIENT = UUID(int=7)


@dataclass
class Seen:
    """A presence event, and when it could be read."""

    id: UUID
    message: Message
    read_at: float


class Presence:
    """All presence events so far, by agent."""

    def __init__(self, kafka: str) -> None:
        self._consumer = AIOKafkaConsumer(
            AGENT_PRESENCE.name, bootstrap_servers=kafka, auto_offset_reset="earliest"
        )
        self._events: dict[UUID, list[Seen]] = defaultdict(list)

    async def read(self) -> None:
        """Read for ever."""
        await self._consumer.start()
        try:
            async for record in self._consumer:
                envelope = Envelope.from_record(record.value, record.headers)
                key = UUID(record.key.decode())
                self._events[key].append(Seen(envelope.id, envelope.message, clock.monotonic()))
        finally:
            await self._consumer.stop()

    def of(self, agent_id: UUID) -> list[Seen]:
        """The events of an agent as its readers take them: a repeated id counts once."""
        return list({seen.id: seen for seen in reversed(self._events[agent_id])}.values())[::-1]

    def kinds(self, agent_id: UUID) -> list[str]:
        """The types of an agent's events."""
        return [type(seen.message).__name__ for seen in self.of(agent_id)]

    def repeats(self, agent_ids: Iterable[UUID]) -> int:
        """How many events were published more than once."""
        return sum(len(self._events[id]) - len(self.of(id)) for id in agent_ids)

    def all_are(self, agent_ids: Iterable[UUID], *kinds: type[Message]) -> bool:
        """Whether each agent's events are of just these types, in this order."""
        names = [kind.__name__ for kind in kinds]
        return all(self.kinds(id) == names for id in agent_ids)


@dataclass
class Fleet:
    """Agents that beat through a gateway, which appends a record a beat to each partition."""

    producer: Producer
    agent_ids: list[UUID]
    silent: set[UUID] = field(default_factory=set)
    last_beat_at: dict[UUID, float] = field(default_factory=dict)

    async def beat(self) -> None:
        """Beat and tick for ever, with one record of a partition on its way at most."""
        by_partition: dict[int, list[UUID]] = defaultdict(list)
        for agent_id in self.agent_ids:
            by_partition[partition_for(str(agent_id))].append(agent_id)
        await asyncio.gather(*(self._beat(n, by_partition[n]) for n in range(PARTITIONS)))

    async def _beat(self, partition: int, agent_ids: Sequence[UUID]) -> None:
        while True:
            start = clock.monotonic()
            beating = [id for id in agent_ids if id not in self.silent]
            try:
                await append(self.producer, partition, [a_beat(id) for id in beating])
            except BusUnavailable:
                continue
            self.last_beat_at.update(dict.fromkeys(beating, clock.monotonic()))
            await asyncio.sleep(max(0.0, start + BEAT_SECONDS - clock.monotonic()))


class Worker:
    """One process of the heartbeat service."""

    def __init__(self, stack: EmbeddedStack, log: Path, **settings: object) -> None:
        self.port = free_port()
        self.log = log
        environment = {
            "kafka_bootstrap_servers": stack.kafka,
            "dsn": stack.dsn("heartbeat"),
            "operations_port": self.port,
            "offline_after_seconds": OFFLINE_AFTER_SECONDS,
            "deaf_gap_seconds": DEAF_GAP_SECONDS,
            "revoke_seconds": 2,
            **settings,
        }
        self._child = Command(
            "heartbeat",
            [sys.executable, "-m", "heartbeat"],
            log=log,
            environment={
                **os.environ,
                **{f"SPOTKEEPER_{name.upper()}": str(v) for name, v in environment.items()},
            },
        )

    async def start(self) -> None:
        """Start it, and return once it has its partitions."""
        await self._child.start()
        await eventually(lambda: is_ready(self.port), within_seconds=30)

    async def stop(self) -> int:
        """Ask it to end, and return its exit status."""
        await self._child.stop()
        return await self._child.ended()

    async def kill(self) -> None:
        """`kill -9`."""
        await self._child.kill()

    def pause(self) -> None:
        """Freeze it."""
        os.kill(self._child.pid, signal.SIGSTOP)

    def resume(self) -> None:
        """Let it go on."""
        os.kill(self._child.pid, signal.SIGCONT)

    async def ended(self) -> int:
        """Wait for its end, and return its exit status."""
        async with asyncio.timeout(20):
            return await self._child.ended()


@dataclass
class Bed:
    """Servers, a bus to speak on, and all that was said about presence."""

    stack: EmbeddedStack
    producer: Producer
    presence: Presence
    asker: Asker
    folder: Path
    db: "asyncpg.Pool[asyncpg.Record]"

    @asynccontextmanager
    async def worker(self, **settings: object) -> AsyncIterator[Worker]:
        """A worker that has its partitions; it is stopped at the end."""
        log = self.folder / f"worker-{clock.new_id()}.log"
        worker = Worker(self.stack, log, **settings)
        await worker.start()
        try:
            yield worker
        finally:
            await worker.stop()

    @asynccontextmanager
    async def fleet(self, agents: int) -> AsyncIterator[Fleet]:
        """Agents that beat until the end, and are all online."""
        fleet = Fleet(self.producer, [clock.new_id() for _ in range(agents)])
        beating = asyncio.create_task(fleet.beat())
        try:
            await eventually(
                lambda: self.presence.all_are(fleet.agent_ids, AgentCameOnline), within_seconds=20
            )
            yield fleet
        finally:
            beating.cancel()
            await asyncio.gather(beating, return_exceptions=True)

    async def assert_found(self, fleet: Fleet, *, late_by: float = 0.0) -> None:
        """The fleet's silent agents are found offline in time, and nobody else ever is."""
        silent = sorted(fleet.silent)
        await eventually(
            lambda: self.presence.all_are(silent, AgentCameOnline, AgentWentOffline),
            within_seconds=FOUND_WITHIN_SECONDS + late_by,
        )
        loud = [id for id in fleet.agent_ids if id not in fleet.silent]
        wrong = {id: kinds for id in loud if (kinds := self.presence.kinds(id)) != ONLINE_ONCE}
        assert wrong == {}
        gone = [self.presence.of(id)[1] for id in silent]
        for seen in gone:  # By the log's own clock, on which a busy machine leaves no mark.
            assert isinstance(seen.message, AgentWentOffline)
            over = seen.message.silent_seconds - OFFLINE_AFTER_SECONDS
            assert 0 < over <= DEAF_GAP_SECONDS
        late = [
            seen.read_at - fleet.last_beat_at[id] for id, seen in zip(silent, gone, strict=True)
        ]
        assert max(late) <= FOUND_WITHIN_SECONDS + late_by


ONLINE_ONCE = [AgentCameOnline.__name__]


def a_beat(agent_id: UUID, status: str = "online", **said: object) -> Beat:
    """A beat of an agent of the test's client."""
    told = {"current_mode": "spot", "current_pool_id": "m5.large.eu-west-1a", **said}
    return Beat(str(agent_id), str(CLIENT), status, **told)  # type: ignore[arg-type]  # fields by name


async def append(producer: Producer, partition: int, beats: Sequence[Beat]) -> None:
    """Append one record, as a gateway does."""
    headers = [("ce_type", HEARTBEATS_TYPE.encode())]
    await producer.send_raw(AGENT_HEARTBEATS.name, partition, encode_beats(beats), headers)


@asynccontextmanager
async def make_bed(stack: EmbeddedStack, folder: Path) -> AsyncIterator[Bed]:
    """A bed on running servers: topics made, schema migrated, bus connected."""
    await create_topics(stack.kafka, TOPICS.values(), replication_factor=1)
    assert service.migrations is not None
    await migrate(stack.dsn("heartbeat"), service.migrations)
    producer = Producer(stack.kafka, client_id="test")
    presence = Presence(stack.kafka)
    asker = Asker(producer, stack.kafka, reply_partition=0, source="gateway")
    async with AsyncExitStack() as exits:
        await producer.start()
        exits.push_async_callback(producer.stop)
        asker.start()
        exits.push_async_callback(asker.stop)
        db = await asyncpg.create_pool(stack.dsn("heartbeat"), min_size=0, max_size=2)
        exits.push_async_callback(db.close)
        reading = asyncio.create_task(presence.read())
        exits.callback(reading.cancel)
        yield Bed(stack, producer, presence, asker, folder, db)
