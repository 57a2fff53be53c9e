"""Views: current, in order of revision, and honest about whether they are."""

import asyncio
from collections.abc import AsyncIterator, Callable
from uuid import UUID

import pytest

from chassis.envelope import Envelope, Record, partition_for
from chassis.view import View, Views
from spotkeeper_contracts.clients import ClientState
from tests.chassis.conftest import Bus
from tests.stack import eventually

NewKey = Callable[[], UUID]


def state(key: UUID, revision: int, name: str = "acme") -> ClientState:
    return ClientState(client_id=key, revision=revision, name=name, email="a@b.c", tokens=[])


async def publish(bus: Bus, message: ClientState) -> None:
    await bus.producer.send(Envelope.of(message, source="registry").to_record())


@pytest.fixture
async def view(bus: Bus) -> AsyncIterator[View[ClientState]]:
    view = View(ClientState)
    views = Views(bus.stack.kafka, {ClientState: view}, client_id="test")
    views.start()
    await eventually(lambda: views.ready, within_seconds=15)
    yield view
    await views.stop()


async def test_a_view_that_is_ready_knows_what_was_there(bus: Bus, new_key: NewKey) -> None:
    keys = [new_key() for _ in range(50)]
    await asyncio.gather(*(publish(bus, state(key, 1)) for key in keys))
    view = View(ClientState)
    views = Views(bus.stack.kafka, {ClientState: view}, client_id="test")
    views.start()
    try:
        await eventually(lambda: views.ready, within_seconds=15)
        assert all(view.get(str(key)) for key in keys)
    finally:
        await views.stop()


async def test_a_lower_revision_replaces_nothing(
    bus: Bus, view: View[ClientState], new_key: NewKey
) -> None:
    key, other = new_key(), new_key()
    for revision in (1, 3, 2):
        await publish(bus, state(key, revision, f"name {revision}"))
    assert await view.reached(str(key), 3, timeout_seconds=5)
    await publish(bus, state(other, 1))
    assert await view.reached(str(other), 1, timeout_seconds=5)
    seen = view.get(str(key))
    assert seen is not None
    assert seen.name == "name 3"


async def test_waiting_for_a_revision_ends_when_it_comes_or_time_is_up(
    bus: Bus, view: View[ClientState], new_key: NewKey
) -> None:
    key = new_key()
    waiting = asyncio.create_task(view.reached(str(key), 2, timeout_seconds=10))
    await publish(bus, state(key, 1))
    assert not await view.reached(str(key), 2, timeout_seconds=0.2)
    await publish(bus, state(key, 2))
    assert await waiting


async def test_a_tombstone_removes(bus: Bus, view: View[ClientState], new_key: NewKey) -> None:
    key = new_key()
    await publish(bus, state(key, 1))
    assert await view.reached(str(key), 1, timeout_seconds=5)
    gone: list[str] = []
    view.on_change.append(lambda key, _, new: gone.append(key) if new is None else None)
    await bus.producer.send(
        Record("client-state", str(key).encode(), b"", [], partition_for(str(key)))
    )
    await eventually(lambda: gone == [str(key)], within_seconds=5)
    assert view.get(str(key)) is None


async def test_an_unreadable_state_is_passed_over(
    bus: Bus, view: View[ClientState], new_key: NewKey
) -> None:
    key = new_key()
    await bus.producer.send(
        Record("client-state", str(key).encode(), b"{", [], partition_for(str(key)))
    )
    await publish(bus, state(key, 1))
    assert await view.reached(str(key), 1, timeout_seconds=5)
