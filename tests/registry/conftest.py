"""The registry on a migrated database of its own."""

from collections.abc import AsyncIterator

import pytest

from chassis.migrations import migrate
from chassis.testing import Scene, scene
from registry.app import service
from tests.stack import Stack


@pytest.fixture(scope="session")
async def addresses(stack: Stack) -> dict[str, str]:
    """The address of each role in a database where the registry is migrated."""
    found = await stack.new_database("registry_tests")
    assert service.migrations is not None
    await migrate(found["registry"], service.migrations)
    return found


@pytest.fixture
async def registry(addresses: dict[str, str]) -> AsyncIterator[Scene]:
    """The registry's handlers; nothing they do is kept."""
    async with scene(service, addresses["registry"]) as acted:
        yield acted
