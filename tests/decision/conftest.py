"""The decision service on a migrated database of its own."""

from collections.abc import AsyncIterator
from datetime import timedelta

import pytest

from chassis import clock
from chassis.migrations import migrate
from chassis.testing import Scene, scene
from decision.app import service
from tests.stack import Stack


@pytest.fixture(scope="session")
async def addresses(stack: Stack) -> dict[str, str]:
    """The address of each role in a database where the decision service is migrated."""
    found = await stack.new_database("decision_tests")
    assert service.migrations is not None
    await migrate(found["decision"], service.migrations)
    return found


@pytest.fixture
async def decided(addresses: dict[str, str]) -> AsyncIterator[Scene]:
    """The service's handlers; nothing they do is kept, and the clock is right again after."""
    async with scene(service, addresses["decision"]) as acted:
        yield acted
    clock.move(timedelta())
