"""One whole Spotkeeper for all system tests that do not break it."""

from collections.abc import AsyncIterator

import pytest

from spotkeeper.embedded.child import free_port
from tests.system.driver import System, running_system


@pytest.fixture(scope="session")
async def system(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """The whole system with its real settings."""
    folder = tmp_path_factory.mktemp("system")
    async with running_system(folder, free_port()) as running:
        yield running
