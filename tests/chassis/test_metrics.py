"""What `/metrics` tells of a service's messages: how many wait, and how they end."""

import asyncio
from collections.abc import Callable
from uuid import UUID

import pytest

from chassis.consumer import PART as CONSUMER
from chassis.consumer import Consumer
from chassis.envelope import Envelope, partition_for
from chassis.health import Health
from chassis.settings import ServiceSettings
from spotkeeper.embedded.child import HOST, free_port
from spotkeeper_contracts import PARTITIONS
from spotkeeper_contracts.agents import ShutDownAgent
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.presence import AgentCameOnline, AgentWentOffline
from spotkeeper_contracts.topics import REGISTRY_REQUESTS
from tests.chassis.conftest import Bus
from tests.chassis.counter import service
from tests.stack import eventually, metric

NewKey = Callable[[], UUID]


async def lag(operations_port: int) -> dict[int, float]:
    """How many requests of each partition wait, for the partitions that the process tells of."""
    return {
        int(sample.labels["partition"]): sample.value
        for sample in await metric(operations_port, "spotkeeper_consumer_lag_records")
        if sample.labels["topic"] == REGISTRY_REQUESTS.name
    }


async def test_a_lane_that_is_stuck_from_its_start_is_behind(bus: Bus, new_key: NewKey) -> None:
    key, port = new_key(), free_port()
    wanted = dict.fromkeys(range(PARTITIONS), 0) | {partition_for(str(key)): 3}
    async with bus.db.acquire() as db:
        counted_elsewhere = db.transaction()
        await counted_elsewhere.start()
        await db.execute("insert into counts values ($1, 1)", key)
        async with bus.service(operations_port=str(port)):
            told = [asyncio.create_task(bus.tell(key, "waits")) for _ in range(3)]
            await eventually(lambda: lag_is(port, wanted), within_seconds=30)
            await counted_elsewhere.rollback()
            assert await asyncio.gather(*told) == [1, 2, 3]


async def test_who_has_found_no_broker_has_nothing_to_measure(
    bus: Bus, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("chassis.consumer.MEASURE_SECONDS", 0.01)
    settings = ServiceSettings(kafka_bootstrap_servers=f"{HOST}:{free_port()}")
    work, _, outbox = service.work(settings)
    health, stopping = Health(CONSUMER), asyncio.Event()
    consumer = Consumer(
        service.name,
        service.topics,
        service.handlers,
        settings,
        work,
        outbox,
        pool=bus.db,
        producer=bus.producer,
        health=health,
    )
    running = asyncio.create_task(consumer.run(stopping))
    await asyncio.wait([running], timeout=0.5)
    assert not running.done()
    stopping.set()
    await asyncio.wait_for(running, 15)


async def test_a_partition_is_told_of_by_the_process_that_has_it(bus: Bus) -> None:
    first, second = free_port(), free_port()
    all_of_them = set(range(PARTITIONS))
    async with bus.service(operations_port=str(first)):
        await eventually(lambda: tells_of(first, all_of_them), within_seconds=30)
        async with bus.service(operations_port=str(second)):
            await eventually(lambda: they_share(first, second), within_seconds=30)


async def test_a_fact_that_concerns_others_is_counted_as_skipped(bus: Bus, new_key: NewKey) -> None:
    key, port = new_key(), free_port()
    for fact in (example(AgentCameOnline, agent_id=key), example(AgentWentOffline, agent_id=key)):
        await bus.producer.send(Envelope.of(fact, source="test").to_record())
    async with bus.service(operations_port=str(port)):
        await eventually(lambda: is_counted(bus, key), within_seconds=30)
        handled = await metric(port, "spotkeeper_messages_handled")
        counted = {
            (sample.labels["type"], sample.labels["outcome"]): sample.value
            for sample in handled
            if sample.name.endswith("_total")
        }
        assert counted == {
            ("AgentCameOnline.v1", "skipped"): 1,
            ("AgentWentOffline.v1", "done"): 1,
        }


async def test_a_message_that_is_handled_again_for_anothers_bug_is_counted_once(
    bus: Bus, new_key: NewKey
) -> None:
    key, port = new_key(), free_port()
    for reason in ("good", "poison", "good"):
        request = example(ShutDownAgent, agent_id=key, reason=reason)
        await bus.producer.send(Envelope.of(request, source="gateway").to_record())
    async with bus.service(operations_port=str(port)):
        await eventually(lambda: is_counted(bus, key, 2), within_seconds=30)
        assert await total(port, "spotkeeper_batches_split") >= 1
        assert await total(port, "spotkeeper_records_sent", topic="told") == 2
        assert await total(port, "spotkeeper_messages_handled", outcome="done") == 2
        assert await total(port, "spotkeeper_messages_handled", outcome="dead") == 1


async def total(operations_port: int, name: str, **labels: str) -> float:
    """What a counter has come to, with these labels."""
    samples = await metric(operations_port, name)
    told = [one for one in samples if one.name.endswith("_total")]
    return sum(one.value for one in told if labels.items() <= one.labels.items())


async def is_counted(bus: Bus, key: UUID, times: int = 1) -> bool:
    return await bus.count(key) == times


async def lag_is(operations_port: int, wanted: dict[int, int]) -> bool:
    return await lag(operations_port) == wanted


async def tells_of(operations_port: int, partitions: set[int]) -> bool:
    return (await lag(operations_port)).keys() == partitions


async def they_share(first: int, second: int) -> bool:
    own, others = await lag(first), await lag(second)
    return len(own) == len(others) and own.keys() ^ others.keys() == set(range(PARTITIONS))
