"""What /readyz tells while the database or the broker is frozen or away."""

import httpx
import pytest

from spotkeeper.embedded.child import HOST, free_port
from tests.chassis.conftest import Bus
from tests.stack import EmbeddedStack, eventually, frozen, is_ready

AWAY = "the broker is away"
pytestmark = pytest.mark.timeout(240)


async def parts(operations_port: int) -> dict[str, str]:
    """What the service says of its parts."""
    async with httpx.AsyncClient() as http:
        told = (await http.get(f"http://{HOST}:{operations_port}/readyz")).json()
    return dict(told["parts"])


async def is_told(operations_port: int, part: str, text: str) -> bool:
    """Whether this is what the service says of the part."""
    return (await parts(operations_port))[part] == text


async def test_a_frozen_database_is_told_of_until_it_answers_again(bus: Bus) -> None:
    assert isinstance(bus.stack, EmbeddedStack)
    port = free_port()
    async with bus.service(operations_port=str(port)):
        with frozen(bus.stack.database.pid):
            await eventually(
                lambda: is_told(port, "database", "the database is silent"), within_seconds=15
            )
            assert await is_told(port, "broker", "ok")
        await eventually(lambda: is_ready(port), within_seconds=15)


async def test_a_frozen_broker_is_told_of_until_it_answers_again(bus: Bus) -> None:
    assert isinstance(bus.stack, EmbeddedStack)
    port = free_port()
    async with bus.service(operations_port=str(port)):
        with frozen(bus.stack.broker.pid):
            await eventually(lambda: is_told(port, "broker", AWAY), within_seconds=20)
            assert await is_told(port, "database", "ok")
        await eventually(lambda: is_ready(port), within_seconds=30)


async def test_a_killed_broker_is_told_of_until_it_is_back(bus: Bus) -> None:
    assert isinstance(bus.stack, EmbeddedStack)
    port = free_port()
    async with bus.service(operations_port=str(port)):
        await bus.stack.broker.kill()
        await eventually(lambda: is_told(port, "broker", AWAY), within_seconds=20)
        await bus.stack.broker.start()
        await eventually(lambda: is_ready(port), within_seconds=30)
