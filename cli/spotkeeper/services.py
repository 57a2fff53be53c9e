"""The processes of Spotkeeper itself: which there are, and what each is told."""

import asyncio
import os
import sys
from collections.abc import Awaitable, Mapping, Sequence
from dataclasses import dataclass
from importlib.util import find_spec

import httpx

from spotkeeper.embedded.child import HOST, Child, Command, Process, free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.forks import ForkServer
from spotkeeper.embedded.roles import SERVICES
from spotkeeper.folder import DataFolder

GATEWAY = "gateway"
SIMULATOR = "agents"
FIRST_OPERATIONS_PORT = 29_100
READY_SECONDS = 60.0
STOP_SECONDS = 10.0


@dataclass(frozen=True)
class Surroundings:
    """What all processes share."""

    folder: DataFolder
    forks: ForkServer
    kafka: str
    dsns: Mapping[str, str]
    gateway_port: int
    admin_token: str
    client_token: str

    @property
    def gateway(self) -> str:
        """The gateway's public address."""
        return f"http://{HOST}:{self.gateway_port}"


class Run(Child):
    """`python -m <service> <words>` as a process, forked off what all services share."""

    def __init__(self, service: str, *words: str, around: Surroundings, **told: str) -> None:
        name, log = " ".join([service, *words]), "-".join([service, *words])
        super().__init__(name, log=around.folder.log(log))
        self._forks = around.forks
        self._program = (service, *words)
        self._told = _environment(service, around, **told)

    async def _launch(self) -> Process:
        return await self._forks.fork(*self._program, log=self.log, environment=self._told)


class Service(Run):
    """One service as a process, which says by itself when it is ready."""

    def __init__(self, name: str, around: Surroundings, *, operations_port: int) -> None:
        super().__init__(name, around=around, SPOTKEEPER_OPERATIONS_PORT=str(operations_port))
        self.operations = f"{HOST}:{operations_port}"

    async def until_ready(self) -> None:
        """Wait until /readyz says yes; raises `StackError` if the process ends before."""
        # Without TLS there is nothing to verify, and reading all certificates takes its time.
        async with httpx.AsyncClient(
            base_url=f"http://{self.operations}", verify=False, trust_env=False
        ) as http:

            async def ready() -> bool:
                try:
                    return (await http.get("/readyz")).is_success
                except httpx.HTTPError:
                    return False

            await self.until(ready, within_seconds=READY_SECONDS)


def installed() -> list[str]:
    """The names of all services that are there to run, the gateway last."""
    return [
        name
        for name in (*SERVICES, GATEWAY)
        if find_spec(name) is not None and find_spec(f"{name}.__main__") is not None
    ]


def all_services(around: Surroundings) -> list[Service]:
    """A process for each service, with an operations port of its own."""
    services = []
    port = FIRST_OPERATIONS_PORT
    for name in installed():
        port = free_port(port)
        services.append(Service(name, around, operations_port=port))
        port += 1
    return services


async def all_done(works: Sequence[Awaitable[None]]) -> None:
    """Wait for all; the first failure ends the others and is raised."""
    tasks = [asyncio.ensure_future(work) for work in works]
    try:
        await asyncio.gather(*tasks)
    finally:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)


async def run_once(name: str, word: str, around: Surroundings) -> None:
    """Run `python -m <service> <word>` to its end; raises `StackError` if that fails."""
    child = Run(name, word, around=around)
    try:
        await child.start()
        if await child.ended() != 0:
            raise StackError(f"{child.name} failed: {child.last_words()}")
    finally:
        await child.stop()


def simulator(around: Surroundings, agents: int) -> Child:
    """The simulated fleet."""
    return Command(
        SIMULATOR,
        [
            *(sys.executable, "-m", "spotkeeper_agent", "simulate", "--agents", str(agents)),
            *("--gateway", around.gateway, "--control-dir", around.folder.control),
        ],
        log=around.folder.log(SIMULATOR),
        environment={**os.environ, "SPOTKEEPER_TOKEN": around.client_token},
    )


def _environment(name: str, around: Surroundings, **more: str) -> dict[str, str]:
    """Our own environment, so that other settings pass through, and what this service is told."""
    told = {
        "SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS": around.kafka,
        "SPOTKEEPER_LOG_LEVEL": os.environ.get("SPOTKEEPER_LOG_LEVEL", "info"),
        "SPOTKEEPER_DEMO_TOKEN": around.client_token,
        **more,
    }
    if name == GATEWAY:
        told["SPOTKEEPER_PORT"] = str(around.gateway_port)
        told["SPOTKEEPER_ADMIN_TOKEN"] = around.admin_token
    else:
        # There is one process of each, and it is started again at once if it dies.
        told["SPOTKEEPER_MEMBER"] = name
        told["SPOTKEEPER_DSN"] = around.dsns[name]
    return {**os.environ, **told}
