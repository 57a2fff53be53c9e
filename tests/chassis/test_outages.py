"""The database or the broker away: nothing is skipped, nothing happens twice, it recovers."""

import asyncio
import signal
from collections.abc import Callable
from uuid import UUID

import httpx
import pytest
from aiokafka import AIOKafkaConsumer

from chassis.asking import NoAnswer
from chassis.closing import close
from chassis.producer import BusUnavailable
from chassis.topics import create_topics
from spotkeeper.embedded.child import HOST, free_port
from spotkeeper_contracts.topics import AGENT_EVENTS
from tests.chassis.conftest import Bus, start_counter
from tests.stack import EmbeddedStack, eventually

NewKey = Callable[[], UUID]


async def tell_until_answered(bus: Bus, key: UUID, id: UUID) -> int:
    """Tell as a patient caller does: again, under the same id, until there is an answer."""
    while True:
        try:
            return await bus.tell(key, "patience", id=id)
        except (NoAnswer, BusUnavailable):
            continue


async def test_a_database_killed_under_work_is_waited_for(bus: Bus, new_key: NewKey) -> None:
    assert isinstance(bus.stack, EmbeddedStack)
    keys = [new_key() for _ in range(60)]
    async with bus.service():
        told = [asyncio.create_task(bus.tell(key, "before or after")) for key in keys[:30]]
        await bus.stack.database.kill()
        told += [asyncio.create_task(bus.tell(key, "meanwhile")) for key in keys[30:]]
        await bus.stack.database.start()
        assert await asyncio.gather(*told) == [1] * 60
        assert [await bus.count(key) for key in keys] == [1] * 60


async def test_a_broker_killed_under_work_is_waited_for(bus: Bus, new_key: NewKey) -> None:
    assert isinstance(bus.stack, EmbeddedStack)
    keys = [new_key() for _ in range(60)]
    async with bus.service():
        told = [asyncio.create_task(tell_until_answered(bus, key, new_key())) for key in keys[:30]]
        await bus.stack.broker.kill()
        told += [asyncio.create_task(tell_until_answered(bus, key, new_key())) for key in keys[30:]]
        await bus.stack.broker.start()
        assert await asyncio.gather(*told) == [1] * 60
        assert [await bus.count(key) for key in keys] == [1] * 60


async def test_a_frozen_member_doubles_nothing_when_it_wakes(bus: Bus, new_key: NewKey) -> None:
    keys = [new_key() for _ in range(40)]
    async with bus.service() as frozen:
        await bus.tell(new_key(), "it runs")
        told = [asyncio.create_task(bus.tell(key, "handed over")) for key in keys]
        frozen.send_signal(signal.SIGSTOP)
        try:
            async with bus.service():
                assert await asyncio.gather(*told) == [1] * 40
                frozen.send_signal(signal.SIGCONT)
                again = [asyncio.create_task(bus.tell(key, "after it")) for key in keys]
                assert await asyncio.gather(*again) == [2] * 40
        finally:
            frozen.send_signal(signal.SIGCONT)
        assert [await bus.count(key) for key in keys] == [2] * 40


async def test_sigterm_ends_a_process_that_finds_no_broker(bus: Bus) -> None:
    port = free_port()
    nowhere = f"{HOST}:{free_port()}"
    process = await start_counter(nowhere, bus.dsn, operations_port=str(port))
    try:
        await eventually(lambda: is_alive(port), within_seconds=60)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
    finally:
        if process.returncode is None:
            process.kill()
            await process.wait()


async def test_a_stop_that_hangs_ends(bus: Bus, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("STAYS", "1")
    async with bus.service(drain_seconds="0.1") as process:
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 30) == 1


async def is_alive(operations_port: int) -> bool:
    try:
        async with httpx.AsyncClient() as http:
            return (await http.get(f"http://{HOST}:{operations_port}/livez")).is_success
    except httpx.HTTPError:
        return False


async def test_a_consumer_closes_while_a_fetch_waits_to_be_tried_again(
    own_stack: EmbeddedStack, caplog: pytest.LogCaptureFixture
) -> None:
    consumer = AIOKafkaConsumer(
        AGENT_EVENTS.name, bootstrap_servers=own_stack.kafka, retry_backoff_ms=600_000
    )
    await create_topics(own_stack.kafka, [AGENT_EVENTS], replication_factor=1)
    await consumer.start()
    await consumer.getmany(timeout_ms=100)
    await own_stack.broker.kill()
    await eventually(lambda: "Failed fetch messages" in caplog.text, within_seconds=30)
    await close(consumer)
    await own_stack.broker.start()


async def test_a_killed_member_that_comes_back_under_its_name_is_not_missed_first(
    bus: Bus, new_key: NewKey
) -> None:
    # The last test here: its member keeps its place in the group for as long as that.
    longer_than_anyone_waits = {"member": "one", "session_timeout_seconds": "120"}
    key = new_key()
    async with bus.service(**longer_than_anyone_waits) as killed:
        assert await bus.tell(key, "before") == 1
        killed.kill()
        await killed.wait()
    async with bus.service(**longer_than_anyone_waits):
        assert await bus.tell(key, "after") == 2
