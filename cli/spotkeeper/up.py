"""`spotkeeper up`: Kafka, PostgreSQL, the services and a simulated fleet, until told to stop."""

import asyncio
import json
import logging
import os
import signal
from collections.abc import Callable, Coroutine, Sequence
from contextlib import AsyncExitStack
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import asyncpg

from chassis import clock
from spotkeeper.client import is_token
from spotkeeper.embedded.child import claim, free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.forks import ForkServer
from spotkeeper.embedded.kafka import Kafka
from spotkeeper.embedded.postgres import Postgres
from spotkeeper.embedded.roles import SERVICES, create_database
from spotkeeper.folder import DataFolder
from spotkeeper.preparing import Preparation
from spotkeeper.screen import Screen
from spotkeeper.services import (
    GATEWAY,
    Service,
    Surroundings,
    all_done,
    all_services,
    installed,
    simulator,
)
from spotkeeper.summary import watch_fleet
from spotkeeper.supervisor import Part, keep_running

KAFKA_PORT = 29_092
POSTGRES_PORT = 25_432
OWN_BACKENDS = 2
STOP_WORDS = (signal.SIGINT, signal.SIGTERM)
STANDARD_OUTPUTS = (1, 2)


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    agents: int
    port: int
    data_dir: Path
    fresh: bool
    json: bool


@dataclass
class Backends:
    """The broker and the database, ours or given."""

    kafka: str
    postgres: str | None
    dsns: dict[str, str]
    ours: list[Part]
    starting: list[Callable[[], Coroutine[Any, Any, None]]]
    """What starts ours."""

    async def start(self) -> None:
        """Start ours; returns when both answer."""
        await all_done([start() for start in self.starting])


async def up(options: Options, screen: Screen) -> None:
    """Run until SIGINT, SIGTERM or SIGHUP; raises `StackError` if the start fails."""
    # What the Kafka client retries is not the user's concern, and what fails for good is raised.
    logging.getLogger("aiokafka").addHandler(logging.NullHandler())
    stopping = asyncio.Event()
    loop = asyncio.get_running_loop()
    for word in STOP_WORDS:
        loop.add_signal_handler(word, stopping.set)
    terminals = list(filter(os.isatty, STANDARD_OUTPUTS))  # Once closed they are none any more.
    loop.add_signal_handler(signal.SIGHUP, _hang_up, terminals, stopping)
    running = asyncio.create_task(_run(options, screen))
    asked = asyncio.create_task(stopping.wait())
    await asyncio.wait({running, asked}, return_when=asyncio.FIRST_COMPLETED)
    asked.cancel()
    if running.done():
        return await running
    screen.tell("stopping")
    running.cancel()
    await asyncio.gather(running, return_exceptions=True)


def _hang_up(terminals: Sequence[int], stopping: asyncio.Event) -> None:
    """Stop; the terminal has been closed, and what is written to it would fail."""
    with open(os.devnull, "wb") as nothing:
        for terminal in terminals:
            os.dup2(nothing.fileno(), terminal)
    stopping.set()


async def _run(options: Options, screen: Screen) -> None:
    """Start everything in its order, and keep it running."""
    began = clock.monotonic()
    folder = DataFolder(options.data_dir)
    async with AsyncExitStack() as exits:
        exits.enter_context(folder.locked())
        claim(options.port, "The gateway")
        _refuse_wrong_tokens()
        if options.fresh:
            folder.empty()
        backends = await _backends(folder, screen.tell)
        around = Surroundings(
            folder=folder,
            forks=ForkServer(log=folder.log("forkserver")),
            kafka=backends.kafka,
            dsns=backends.dsns,
            gateway_port=options.port,
            admin_token=os.environ.get("SPOTKEEPER_ADMIN_TOKEN") or folder.secrets["admin-token"],
            client_token=os.environ.get("SPOTKEEPER_DEMO_TOKEN") or "client-token",
        )
        services = all_services(around)
        exits.push_async_callback(_stop, backends.ours)
        exits.push_async_callback(around.forks.stop)
        exits.push_async_callback(_stop, services)
        await _start(backends, services, Preparation(around), screen.tell)
        parts: list[Part] = [*backends.ours, *services]
        if options.agents:
            fleet = simulator(around, options.agents)
            exits.push_async_callback(fleet.stop)
            await fleet.start()
            parts.append(fleet)
        if options.json:
            screen.result(_ready_line(around, backends, services, parts))
        else:
            _tell_ready(around, screen, clock.monotonic() - began)
        keeping = [keep_running(part, screen.tell) for part in parts]
        if not options.json:
            keeping.append(watch_fleet(around, services[-1].operations, screen))
        await all_done(keeping)


def _refuse_wrong_tokens() -> None:
    for variable in ("SPOTKEEPER_ADMIN_TOKEN", "SPOTKEEPER_DEMO_TOKEN"):
        token = os.environ.get(variable)
        if token and not is_token(token):
            raise StackError(f"{variable} should consist of visible ASCII characters.")


async def _backends(folder: DataFolder, tell: Callable[[str], None]) -> Backends:
    """The broker and the database as the environment gives them, or ours, yet to be started."""
    given_kafka = os.environ.get("KAFKA_BOOTSTRAP_SERVERS")
    given_postgres, given_dsns = os.environ.get("SPOTKEEPER_POSTGRES_DSN"), _given_dsns()
    backends = Backends(given_kafka or "", given_postgres, given_dsns, [], [])
    if not given_kafka:
        kafka = Kafka(folder.kafka, log=folder.log("kafka"), port=free_port(KAFKA_PORT))
        backends.kafka = kafka.bootstrap_servers
        backends.ours.append(kafka)
        backends.starting.append(lambda: kafka.start(tell))
    if not given_dsns and not given_postgres:
        postgres = Postgres(
            folder.postgres, log=folder.log("postgres"), port=free_port(POSTGRES_PORT)
        )
        backends.postgres, backends.dsns = postgres.dsn(), {s: postgres.dsn(s) for s in SERVICES}
        backends.ours.append(postgres)
        backends.starting.append(postgres.start)
    if given_postgres and not given_dsns:
        backends.dsns = await _given_database(given_postgres, folder)
    return backends


async def _given_database(dsn: str, folder: DataFolder) -> dict[str, str]:
    """The services' addresses on a server of the user's; raises `StackError`."""
    try:
        return await create_database(dsn, folder.secrets)
    except ValueError as error:  # Its text may hold a part of the password.
        text = "SPOTKEEPER_POSTGRES_DSN should be an address such as postgresql://me:mine@host:5432"
        raise StackError(f"{text}.") from error
    except (OSError, asyncpg.PostgresError, asyncpg.InterfaceError) as error:
        why = str(error).rstrip(".") or type(error).__name__
        raise StackError(f"SPOTKEEPER_POSTGRES_DSN leads to no database: {why}.") from error


def _given_dsns() -> dict[str, str]:
    """The services' database addresses as the environment gives them: all or none."""
    names = {name: f"SPOTKEEPER_{name.upper()}_DSN" for name in installed() if name != GATEWAY}
    given = {name: os.environ[dsn] for name, dsn in names.items() if dsn in os.environ}
    missing = [dsn for name, dsn in names.items() if name not in given]
    if given and missing:
        raise StackError(f"Some DSNs are given; set {', '.join(missing)} as well, or none.")
    return given


async def _start(
    backends: Backends,
    services: Sequence[Service],
    preparation: Preparation,
    tell: Callable[[str], None],
) -> None:
    """Start everything, each after what it needs; returns when all services are ready.

    What a broker and a database of ours hold is known from last time. Then all start at once: the
    services wait by themselves for what they need, and are long in coming up.
    """
    is_known = len(backends.ours) == OWN_BACKENDS and preparation.is_done
    tell(f"starting {' and '.join(part.name for part in backends.ours) or 'nothing of our own'}")
    if not is_known:
        await backends.start()
        tell("creating topics and tables")
        await preparation.run()
    tell(f"starting {', '.join(service.name for service in services)}")
    starting = [service.start() for service in services]
    await all_done([backends.start(), *starting] if is_known else starting)
    await all_done([service.until_ready() for service in services])


async def _stop(parts: Sequence[Part]) -> None:
    await asyncio.gather(*(part.stop() for part in parts))


def _ready_line(
    around: Surroundings, backends: Backends, services: Sequence[Service], parts: Sequence[Part]
) -> str:
    return json.dumps(
        {
            "gateway": around.gateway,
            "admin_token": around.admin_token,
            "client_token": around.client_token,
            "kafka": backends.kafka,
            "postgres": backends.postgres,
            "operations": {service.name: service.operations for service in services},
            "pids": {part.name: part.pid for part in parts},
        }
    )


def _tell_ready(around: Surroundings, screen: Screen, seconds: float) -> None:
    screen.show(
        f"""
Spotkeeper is ready after {seconds:.1f} s.

  gateway      {around.gateway}
  docs         {around.gateway}/docs
  demo token   {around.client_token}
  admin token  {around.admin_token}
  kafka        {around.kafka}
  logs         {around.folder.logs}

Ctrl-C stops everything.
"""
    )
