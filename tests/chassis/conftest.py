"""A counter service as its own process, and a hand that asks it over the bus."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Awaitable, Callable
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from uuid import UUID

import asyncpg
import pytest
from aiokafka.structs import ConsumerRecord
from sqlalchemy.ext.asyncio import create_async_engine

from chassis import clock
from chassis.asking import Asker
from chassis.envelope import Record
from chassis.producer import Producer
from chassis.topics import create_topics
from spotkeeper.embedded.child import free_port
from spotkeeper_contracts import TOPICS, Refusal, Refused
from spotkeeper_contracts.agents import GetAgent, ShutDownAgent
from spotkeeper_contracts.topics import Topic
from tests.chassis import counter
from tests.stack import Stack, eventually, is_ready, read_topic

CLIENT = UUID(int=1)


@dataclass
class Bus:
    """The bus as a gateway sees it, with the counter's database beside it."""

    stack: Stack
    dsn: str
    producer: Producer
    asker: Asker
    told: "list[ConsumerRecord[bytes, bytes]]"
    """The states that came with answers, in their order."""
    db: "asyncpg.Pool[asyncpg.Record]"

    async def tell(
        self, key: UUID, reason: str, *, id: UUID | None = None, refusal: Refusal | None = None
    ) -> int:
        """Tell the counter a reason and return its count; raises `Refused`."""
        reply = await self.asker.ask(
            ShutDownAgent(agent_id=key, client_id=CLIENT, reason=reason),
            actor="agent:test",
            client_id=str(CLIENT),
            request_id=id,
            timeout_seconds=30,
            refusal=refusal,
        )
        return int(reply.revision)

    async def refusal(self, asked: Awaitable[object]) -> str:
        """The code of the refusal that the asking ends in."""
        with pytest.raises(Refused) as refused:
            await asked
        return refused.value.refusal.code

    async def look(self, key: UUID, *, id: UUID | None = None) -> int:
        """The counter's own word for its count, by a question that leaves no trace."""
        with pytest.raises(Refused) as refused:
            await self.asker.ask(
                GetAgent(agent_id=key, client_id=CLIENT),
                actor="agent:test",
                client_id=str(CLIENT),
                request_id=id,
                timeout_seconds=30,
            )
        return int(refused.value.refusal.error)

    async def count(self, key: UUID) -> int:
        """What stands in the database."""
        return await self.db.fetchval("select count from counts where id = $1", key) or 0

    @asynccontextmanager
    async def service(self, **settings: str) -> AsyncIterator[asyncio.subprocess.Process]:
        """The counter as a process that has its partitions; stopped at the end if it still runs."""
        port = int(settings.setdefault("operations_port", str(free_port())))
        process = await start_counter(self.stack.kafka, self.dsn, **settings)
        try:
            await eventually(
                lambda: process.returncode is not None or is_ready(port), within_seconds=120
            )
            yield process
        finally:
            if process.returncode is None:
                process.terminate()
                await process.wait()


async def start_counter(kafka: str, dsn: str, **settings: str) -> asyncio.subprocess.Process:
    """Start the counter; its log goes to the test's captured output."""
    return await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "tests.chassis.counter",
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "SPOTKEEPER_DSN": dsn,
            "SPOTKEEPER_SESSION_TIMEOUT_SECONDS": "2",
            **{f"SPOTKEEPER_{name.upper()}": value for name, value in settings.items()},
        },
        stdout=sys.stderr,
    )


@pytest.fixture(scope="module")
async def bus(own_stack: Stack) -> AsyncIterator[Bus]:
    await create_topics(own_stack.kafka, TOPICS.values(), replication_factor=1)
    dsn = own_stack.dsn("registry")
    engine = create_async_engine(dsn.replace("postgresql://", "postgresql+asyncpg://", 1))
    async with engine.begin() as connection:
        await connection.run_sync(counter.metadata.create_all)
    await engine.dispose()
    producer = Producer(own_stack.kafka, client_id="test")
    told: list[ConsumerRecord[bytes, bytes]] = []
    asker = Asker(
        producer, own_stack.kafka, reply_partition=3, source="gateway", on_state=told.append
    )
    async with AsyncExitStack() as exits:
        await producer.start()
        exits.push_async_callback(producer.stop)
        asker.start()
        exits.push_async_callback(asker.stop)
        db = await asyncpg.create_pool(dsn, min_size=1, max_size=4)
        exits.push_async_callback(db.close)
        await eventually(lambda: asker.ready, within_seconds=15)
        yield Bus(own_stack, dsn, producer, asker, told, db)


@pytest.fixture(scope="module")
async def served(bus: Bus) -> AsyncIterator[Bus]:
    """The bus, with one counter at work for all tests of a module that do not break it."""
    async with bus.service():
        yield bus


@pytest.fixture
def new_key() -> Callable[[], UUID]:
    return clock.new_id


async def read(bus: Bus, topic: Topic, key: bytes | None = None) -> list[Record]:
    """All records of a topic, or of one key in its order."""
    return [
        Record(r.topic, r.key or b"", r.value, list(r.headers), r.partition)
        for r in await read_topic(bus.stack.kafka, topic)
        if key is None or r.key == key
    ]
