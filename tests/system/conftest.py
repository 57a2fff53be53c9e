"""One whole Spotkeeper for all system tests that do not break it."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass

import pytest

from spotkeeper.embedded.child import free_port
from tests.system.driver import Agent, System, running_system


@dataclass
class Watched:
    """Two agents from the first test on: one beats once and falls silent, one goes on."""

    silent: Agent
    beating: Agent

    async def beat_for_ever(self) -> None:
        """Beat as an agent does, more often than it must."""
        while True:
            await self.beating.heartbeat()
            await asyncio.sleep(20)


@pytest.fixture(scope="session")
async def system_and_watched(
    tmp_path_factory: pytest.TempPathFactory,
) -> AsyncIterator[tuple[System, Watched]]:
    """The system, and in it two agents whose silence takes as long as the other tests."""
    folder = tmp_path_factory.mktemp("system")
    async with running_system(folder, free_port()) as running:
        watched = Watched(await running.register(), await running.register())
        await watched.silent.heartbeat()
        beating = asyncio.create_task(watched.beat_for_ever())
        yield running, watched
        beating.cancel()


@pytest.fixture(scope="session")
def system(system_and_watched: tuple[System, Watched]) -> System:
    """The whole system with its real settings."""
    return system_and_watched[0]


@pytest.fixture(scope="session")
def watched(system_and_watched: tuple[System, Watched]) -> Watched:
    """The two agents that are watched while other tests run."""
    return system_and_watched[1]
