"""Bootstrap: what `python -m <service>` does, and the order in which parts start and stop."""

import asyncio
import signal
import sys
from collections.abc import Awaitable, Callable, Coroutine, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path

import asyncpg
from sqlalchemy import MetaData

from chassis import clock
from chassis.closing import end_within
from chassis.consumer import PART as CONSUMER
from chassis.consumer import Consumer
from chassis.garbage import spare_what_is_loaded
from chassis.health import Health, OperationsServer
from chassis.inbox import Inbox
from chassis.log import get_logger, set_up_logging
from chassis.outages import is_outage
from chassis.outbox import Outbox
from chassis.producer import Producer
from chassis.query import Connection, open_pool
from chassis.settings import ServiceSettings
from chassis.starting import end, read_settings, run_to_its_end
from chassis.tables import bus_tables
from chassis.topics import create_topics
from chassis.transaction import Handler, Sweep, Work
from spotkeeper_contracts import TOPICS, Message, Topic

log = get_logger()

DATABASE, BROKER = "database", "broker"
CHECK_SECONDS = 1.0
SILENCE_SECONDS = 3.0
PRUNE_SECONDS = 60.0
PRUNE_AT_ONCE = 10_000


@dataclass
class Running:
    """A running service, as its background work sees it."""

    service: str
    settings: ServiceSettings
    pool: "asyncpg.Pool[asyncpg.Record]"
    producer: Producer
    health: Health
    stopping: asyncio.Event = field(default_factory=asyncio.Event)


Background = Callable[[Running], Awaitable[None]]
Command = Callable[[ServiceSettings], Coroutine[None, None, None]]


@dataclass(frozen=True)
class Service:
    """All that makes a service: its messages' handlers, its settings, its schema.

    `background` is work that runs beside the lanes until `Running.stopping` is set; if it raises,
    the process ends. `sweep` does what is due by the clock, in each lane once a second and in a
    transaction of its own. `commands` are further words of `python -m <service> <word>`.
    `remembers` is False for a service that only answers questions: it has neither inbox nor outbox.
    """

    name: str
    handlers: Mapping[type[Message], Handler]
    settings: type[ServiceSettings] = ServiceSettings
    metadata: MetaData | None = None
    migrations: Path | None = None
    background: Sequence[Background] = ()
    sweep: Sweep | None = None
    commands: Mapping[str, Command] = field(default_factory=dict)
    remembers: bool = True

    @property
    def topics(self) -> list[Topic]:
        """The topics that the handlers' messages come from."""
        topics = {message.topic.name: message.topic for message in self.handlers}
        for topic in topics.values():
            assert self.name in topic.read_by, f"{self.name} may not read {topic.name}"
        return list(topics.values())

    def work(self, settings: ServiceSettings) -> tuple[Work, Inbox | None, Outbox | None]:
        """The transaction of this service, with the inbox and outbox it keeps."""
        inbox = outbox = None
        if self.remembers:
            assert self.metadata is not None, f"{self.name} has nowhere to remember"
            tables = bus_tables(self.metadata)
            inbox, outbox = Inbox(tables), Outbox(tables)
        work = Work(
            self.name, self.handlers, settings, inbox=inbox, outbox=outbox, sweep=self.sweep
        )
        return work, inbox, outbox


def main(service: Service, arguments: Sequence[str] | None = None) -> None:
    """`python -m <service> [run|migrate|…]`; exits 2 if started wrongly, 1 on an error."""
    words = list(sys.argv[1:] if arguments is None else arguments) or ["run"]
    commands: dict[str, Command] = {
        "run": lambda settings: run(service, settings),
        "migrate": lambda settings: migrate_service(service, settings),
        **service.commands,
    }
    if len(words) != 1 or words[0] not in commands:
        known = words == ["--help"] or words == ["-h"]
        usage = f"usage: python -m {service.name} [{'|'.join(commands)}]\n"
        (sys.stdout if known else sys.stderr).write(usage)
        sys.exit(0 if known else 2)
    settings = read_settings(service.settings)
    if settings.dsn is None:
        end("SPOTKEEPER_DSN is missing: it should be the address of PostgreSQL.")
    set_up_logging(service.name, settings.log_level)
    spare_what_is_loaded()
    run_to_its_end(commands[words[0]](settings))


async def migrate_service(service: Service, settings: ServiceSettings) -> None:
    """Bring the service's schema up to date and create the topics that are missing."""
    # Alembic takes 13 MB and a quarter of a start, which who only runs should not pay.
    from chassis.migrations import migrate

    if service.migrations is not None:
        assert settings.dsn is not None, "set SPOTKEEPER_DSN"
        await migrate(settings.dsn.get_secret_value(), service.migrations)
    await create_topics(
        settings.kafka_bootstrap_servers,
        TOPICS.values(),
        replication_factor=settings.replication_factor,
    )
    log.info("migrated")


async def run(service: Service, settings: ServiceSettings) -> None:
    """Run until SIGTERM or SIGINT: stop intake, finish what is in hand, commit, leave, close."""
    assert settings.dsn is not None, "set SPOTKEEPER_DSN"
    health = Health(DATABASE, BROKER, CONSUMER)
    operations = OperationsServer(
        health, host=settings.operations_host, port=settings.operations_port
    )
    pool = await open_pool(
        settings.dsn.get_secret_value(), connections=settings.database_connections
    )
    producer = Producer(
        settings.kafka_bootstrap_servers,
        client_id=service.name,
        send_timeout_seconds=settings.send_timeout_seconds,
    )
    running = Running(service.name, settings, pool, producer, health)
    for word in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(word, running.stopping.set)
    log.info("started", operations=await operations.start())
    try:
        await _run_parts(service, running)
    finally:
        await producer.stop()
        await _close(pool)
        await operations.stop()
        log.info("stopped")


async def _run_parts(service: Service, running: Running) -> None:
    """Run lanes and background work; the first part to end, or a signal, ends the others."""
    work, inbox, outbox = service.work(running.settings)
    consumer = Consumer(
        service.name,
        service.topics,
        service.handlers,
        running.settings,
        work,
        outbox,
        pool=running.pool,
        producer=running.producer,
        health=running.health,
    )
    connecting = asyncio.create_task(running.producer.start())
    watching = [
        asyncio.create_task(_watch_broker(running)),
        asyncio.create_task(_watch_database(running)),
    ]
    if inbox is not None:
        watching.append(asyncio.create_task(_prune(running, inbox)))
    parts = [asyncio.create_task(consumer.run(running.stopping))]
    parts += [asyncio.ensure_future(background(running)) for background in service.background]
    try:
        await asyncio.wait([*parts, *watching], return_when=asyncio.FIRST_COMPLETED)
        running.stopping.set()
        end_within(running.settings.drain_seconds)
        async with asyncio.timeout(running.settings.drain_seconds):
            await asyncio.gather(*parts, *(task for task in watching if task.done()))
    finally:
        for task in (connecting, *watching, *parts):
            task.cancel()
        await asyncio.gather(connecting, *watching, *parts, return_exceptions=True)


async def _watch_broker(running: Running) -> None:
    """Tell /readyz whether the broker answers."""
    while True:
        running.health.set(BROKER, ok=running.producer.answered, text="the broker is away")
        await asyncio.sleep(CHECK_SECONDS)


async def _watch_database(running: Running) -> None:
    """Ask the database once a second, for /readyz, one question at a time.

    One that is late is not cancelled: asyncpg would wait for the database to hear of that.
    """
    while True:
        asking = asyncio.create_task(_lack_of(running.pool))
        try:
            await asyncio.wait({asking}, timeout=SILENCE_SECONDS)
            if not asking.done():
                running.health.set(DATABASE, ok=False, text="the database is silent")
                await asyncio.wait({asking})
        finally:
            asking.cancel()
        lack = asking.result()
        running.health.set(DATABASE, ok=not lack, text=lack)
        await asyncio.sleep(CHECK_SECONDS)


async def _lack_of(pool: "asyncpg.Pool[asyncpg.Record]") -> str:
    """What the database lacks to answer; nothing if it does."""
    try:
        await pool.fetchval("select 1")
    except Exception as error:  # Any failure of the question is the answer to it.
        return type(error).__name__
    return ""


async def _prune(running: Running, inbox: Inbox) -> None:
    """Forget messages that no topic holds any more."""
    retention = timedelta(hours=running.settings.inbox_retention_hours)
    while True:
        await asyncio.sleep(PRUNE_SECONDS)
        try:
            async with running.pool.acquire() as raw:
                before, gone = clock.now() - retention, PRUNE_AT_ONCE
                while gone == PRUNE_AT_ONCE:
                    gone = await inbox.prune(Connection(raw), before=before, limit=PRUNE_AT_ONCE)
        except Exception as error:  # Pruning can wait for the next minute; a bug cannot.
            if not is_outage(error):
                raise


async def _close(pool: "asyncpg.Pool[asyncpg.Record]") -> None:
    try:
        async with asyncio.timeout(2.0):
            await pool.close()
    except TimeoutError:
        pool.terminate()
