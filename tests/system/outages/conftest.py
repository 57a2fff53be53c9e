"""One whole Spotkeeper for all system tests that break it."""

from collections.abc import AsyncIterator

import pytest

from spotkeeper.embedded.child import free_port
from tests.system.driver import System, running_system

OFFLINE_AFTER_SECONDS = 12


@pytest.fixture(scope="package")
async def fragile(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A system to be broken, with a short silence limit."""
    folder = tmp_path_factory.mktemp("fragile")
    limit = {"SPOTKEEPER_OFFLINE_AFTER_SECONDS": str(OFFLINE_AFTER_SECONDS)}
    async with running_system(folder, free_port(), **limit) as running:
        yield running
