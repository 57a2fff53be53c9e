"""The real Kafka and PostgreSQL that tests run on, and waiting without sleeping.

`SPOTKEEPER_TEST_STACK` chooses: `embedded` (the default) starts them here; `containers` starts the
official images where Docker runs; `external` uses KAFKA_BOOTSTRAP_SERVERS and
SPOTKEEPER_POSTGRES_DSN (a superuser's).
"""

import asyncio
import inspect
import os
import signal
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from pathlib import Path
from typing import Any, Protocol, TypeVar, overload

import httpx
from aiokafka import AIOKafkaConsumer
from prometheus_client.parser import text_string_to_metric_families
from prometheus_client.samples import Sample

from chassis.reader import partitions_of
from spotkeeper.embedded.artifacts import LOCK
from spotkeeper.embedded.child import HOST, accepts, free_port
from spotkeeper.embedded.kafka import Kafka
from spotkeeper.embedded.postgres import Postgres
from spotkeeper.embedded.roles import Passwords, create_database
from spotkeeper_contracts import Topic

KIND = os.environ.get("SPOTKEEPER_TEST_STACK", "embedded")
T = TypeVar("T")


class Stack(Protocol):
    """A broker and a database server, with a role and a schema per service."""

    kafka: str
    """The broker's bootstrap address."""

    postgres_dsn: str
    """A superuser's address."""

    def dsn(self, service: str) -> str:
        """The database address of a service's own role."""

    async def new_database(self, name: str) -> dict[str, str]:
        """Make a further, empty database; the address of each service's role in it."""


class EmbeddedStack:
    """Both started here, so that tests may kill and restart them."""

    def __init__(self, folder: Path) -> None:
        self.broker = Kafka(folder / "kafka", log=folder / "logs" / "kafka.log")
        self.database = Postgres(folder / "postgres", log=folder / "logs" / "postgres.log")
        self.kafka = self.broker.bootstrap_servers
        self.postgres_dsn = self.database.dsn()

    async def __aenter__(self) -> "EmbeddedStack":
        await asyncio.gather(self.broker.start(), self.database.start())
        return self

    async def __aexit__(self, *_: object) -> None:
        await asyncio.gather(self.broker.stop(), self.database.stop())

    def dsn(self, service: str) -> str:
        return self.database.dsn(service)

    async def new_database(self, name: str) -> dict[str, str]:
        return await self.database.create_database(name)


class ExternalStack:
    """Both run elsewhere; tests that kill them are skipped."""

    def __init__(self, folder: Path, *, kafka: str, postgres_dsn: str) -> None:
        self.kafka = kafka
        self.postgres_dsn = postgres_dsn
        self._passwords = Passwords(folder / "passwords")
        self._addresses: dict[str, str] = {}

    async def __aenter__(self) -> "ExternalStack":
        self._addresses = await create_database(self.postgres_dsn, self._passwords)
        return self

    async def __aexit__(self, *_: object) -> None:
        pass

    def dsn(self, service: str) -> str:
        return self._addresses[service]

    async def new_database(self, name: str) -> dict[str, str]:
        return await create_database(self.postgres_dsn, self._passwords, database=name)


@asynccontextmanager
async def open_stack(folder: Path) -> AsyncIterator[Stack]:
    """The stack of the kind that `SPOTKEEPER_TEST_STACK` names."""
    async with AsyncExitStack() as exits:
        if KIND == "embedded":
            yield await exits.enter_async_context(EmbeddedStack(folder))
            return
        if KIND == "containers":
            kafka, postgres_dsn = await asyncio.to_thread(_start_containers, exits)
            await eventually(lambda: accepts(int(kafka.split(":")[1])), within_seconds=60)
        else:
            assert KIND == "external", f"SPOTKEEPER_TEST_STACK={KIND} is unknown"
            kafka = os.environ["KAFKA_BOOTSTRAP_SERVERS"]
            postgres_dsn = os.environ["SPOTKEEPER_POSTGRES_DSN"]
        stack = ExternalStack(folder, kafka=kafka, postgres_dsn=postgres_dsn)
        yield await exits.enter_async_context(stack)


def _start_containers(exits: AsyncExitStack) -> tuple[str, str]:
    from testcontainers.core.container import DockerContainer
    from testcontainers.postgres import PostgresContainer

    port = free_port()
    settings = {
        "process.roles": "broker,controller",
        "node.id": "1",
        "controller.quorum.voters": "1@localhost:9093",
        "controller.listener.names": "CONTROLLER",
        "listeners": f"PLAINTEXT://:{port},CONTROLLER://:9093",
        "advertised.listeners": f"PLAINTEXT://{HOST}:{port}",
        "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
    }
    for line in LOCK.with_name("kafka.properties").read_text().splitlines():
        if line and not line.startswith("#"):
            name, _, value = line.partition("=")
            settings[name] = value
    kafka = DockerContainer("apache/kafka:4.3.1").with_bind_ports(port, port)
    for name, value in settings.items():
        kafka = kafka.with_env(f"KAFKA_{name.replace('.', '_').upper()}", value)
    postgres = PostgresContainer("postgres:18", driver=None)
    exits.enter_context(kafka)
    exits.enter_context(postgres)
    return f"{HOST}:{port}", postgres.get_connection_url()


@overload
async def eventually(
    condition: Callable[[], bool | Awaitable[bool]], *, within_seconds: float, every: float = ...
) -> bool: ...
@overload
async def eventually(
    condition: Callable[[], Awaitable[T]], *, within_seconds: float, every: float = ...
) -> T: ...
@overload
async def eventually(
    condition: Callable[[], T], *, within_seconds: float, every: float = ...
) -> T: ...
async def eventually(
    condition: Callable[[], object], *, within_seconds: float, every: float = 0.05
) -> object:
    """The condition's first true value; fails if there is none in time."""
    loop = asyncio.get_running_loop()
    deadline = loop.time() + within_seconds
    while True:
        found = condition()
        value = await found if inspect.isawaitable(found) else found
        if value:
            return value
        assert loop.time() < deadline, f"not within {within_seconds} s: {condition}"
        await asyncio.sleep(every)


async def read_topic(kafka: str, topic: Topic) -> list[Any]:
    """All records of a topic so far, in the order of each partition."""
    consumer = AIOKafkaConsumer(bootstrap_servers=kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = partitions_of([topic])
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: list[Any] = []
        while any([await consumer.position(one) < ends[one] for one in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += records
        return found
    finally:
        await consumer.stop()


async def metric(operations_port: int, name: str) -> list[Sample]:
    """The samples of a metric as a process tells them; its name is without `_total`."""
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"http://{HOST}:{operations_port}/metrics")).text
    families = {family.name: family for family in text_string_to_metric_families(told)}
    return families[name].samples


async def is_ready(operations_port: int) -> bool:
    """Whether the service behind the port says that it is ready."""
    try:
        async with httpx.AsyncClient() as http:
            answer = await http.get(f"http://{HOST}:{operations_port}/readyz")
    except httpx.HTTPError:
        return False
    return answer.status_code == httpx.codes.OK


@contextmanager
def frozen(pid: int) -> Iterator[None]:
    """Stop a process and its children for a while, without their ending a connection."""
    children = Path(f"/proc/{pid}/task/{pid}/children")
    stopped = [pid]
    os.kill(pid, signal.SIGSTOP)
    try:
        for child in map(int, children.read_text().split()):
            os.kill(child, signal.SIGSTOP)
            stopped.append(child)
        yield
    finally:
        for each in stopped:
            os.kill(each, signal.SIGCONT)
