"""The registry on a migrated database of its own."""

from collections.abc import AsyncIterator, Iterator
from datetime import timedelta

import pytest

from chassis import clock
from chassis.migrations import migrate
from chassis.testing import Scene, scene
from registry.app import service
from tests.stack import Stack


async def migrated(stack: Stack, name: str) -> dict[str, str]:
    """The address of each role in a new database where the registry is migrated."""
    found = await stack.new_database(name)
    assert service.migrations is not None
    await migrate(found["registry"], service.migrations)
    return found


@pytest.fixture(scope="session")
async def addresses(stack: Stack) -> dict[str, str]:
    """The addresses of the database that the scenes share."""
    return await migrated(stack, "registry_tests")


@pytest.fixture(scope="module")
async def own_address(stack: Stack, request: pytest.FixtureRequest) -> str:
    """The registry's address of a database for one module, whose tests commit."""
    name = request.module.__name__.replace(".", "_")
    return (await migrated(stack, name))["registry"]


@pytest.fixture
async def registry(addresses: dict[str, str]) -> AsyncIterator[Scene]:
    """The registry's handlers; nothing they do is kept."""
    async with scene(service, addresses["registry"]) as acted:
        yield acted


@pytest.fixture(autouse=True)
def true_time() -> Iterator[None]:
    """The clock goes right again after each test."""
    yield
    clock.move(timedelta())
