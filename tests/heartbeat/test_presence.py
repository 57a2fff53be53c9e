"""What the service says of agents, on real Kafka and PostgreSQL."""

import json
from collections.abc import AsyncIterator
from functools import partial
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer

from chassis import clock
from chassis.envelope import header, partition_for
from spotkeeper_contracts import PARTITIONS, Refused
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentWentOffline,
    GetPresence,
    PresenceAnswer,
)
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, DEAD_LETTERS
from tests.heartbeat.bed import CLIENT, Bed, Worker, a_beat, append
from tests.stack import eventually, metric


@pytest.fixture(scope="module")
async def worker(bed: Bed) -> AsyncIterator[Worker]:
    """One worker for all tests that neither stop it nor count what it alone has seen."""
    async with bed.worker() as running:
        yield running


async def ask(bed: Bed, agent_ids: list[UUID], *, client_id: UUID = CLIENT) -> PresenceAnswer:
    """What the service answers about agents."""
    await eventually(lambda: bed.asker.ready, within_seconds=15)
    answer = await bed.asker.ask(
        GetPresence(client_id=client_id, agent_ids=agent_ids),
        client_id=str(client_id),
        actor="agent:test",
    )
    assert isinstance(answer, PresenceAnswer)
    return answer


async def test_a_flawed_record_is_kept_aside_and_what_is_sound_in_it_counts(bed: Bed) -> None:
    sound, later = clock.new_id(), clock.new_id()
    partition = partition_for(str(sound))
    flawed = [a_beat(sound), a_beat(clock.new_id(), status="offline")]
    async with bed.worker() as worker:
        await append(bed.producer, partition, flawed)
        await bed.producer.send_raw(AGENT_HEARTBEATS.name, partition, b"{", [])
        await append(bed.producer, partition, [a_beat(later)])
        await eventually(
            lambda: bed.presence.all_are([sound, later], AgentCameOnline), within_seconds=10
        )
        causes = await dead_letters(bed, 2)
        assert causes == ["no agent says that it is 'offline'", "Expected `array`, got `object`"]
        records = await metric(worker.port, "spotkeeper_heartbeat_records")
        counted = {s.labels["outcome"]: s.value for s in records if s.name.endswith("_total")}
        assert counted == {"flawed": 2, "folded": 1}
    log = [json.loads(line) for line in worker.log.read_text().splitlines()]
    assert {"a record is flawed", "stopped"} <= {line["event"] for line in log}


async def dead_letters(bed: Bed, count: int) -> list[str]:
    """Why the first so many records of the beats were given up, in their order."""
    consumer = AIOKafkaConsumer(
        DEAD_LETTERS.name, bootstrap_servers=bed.stack.kafka, auto_offset_reset="earliest"
    )
    await consumer.start()
    try:
        found = [await consumer.getone() for _ in range(count)]
    finally:
        await consumer.stop()
    assert {header(record.headers, "dead_topic") for record in found} == {AGENT_HEARTBEATS.name}
    found.sort(key=lambda record: int(header(record.headers, "dead_offset") or 0))
    return [header(record.headers, "dead_error") or "" for record in found]


@pytest.mark.usefixtures("worker")
async def test_a_silent_agent_is_found_and_comes_back(bed: Bed) -> None:
    async with bed.fleet(60) as fleet:
        fleet.silent |= set(fleet.agent_ids[:5])
        await bed.assert_found(fleet)
        back = sorted(fleet.silent)
        fleet.silent.clear()
        round_trip = (AgentCameOnline, AgentWentOffline, AgentCameOnline)
        await eventually(lambda: bed.presence.all_are(back, *round_trip), within_seconds=10)
        assert bed.presence.repeats(fleet.agent_ids) == 0


@pytest.mark.usefixtures("worker")
async def test_a_goodbye_and_a_change_are_told_and_a_goodbye_ends_the_watch(bed: Bed) -> None:
    async with bed.fleet(12) as fleet:
        leaving, moving = fleet.agent_ids[:2]
        fleet.silent.add(leaving)
        await append(bed.producer, partition_for(str(leaving)), [a_beat(leaving, "stopping")])
        await append(bed.producer, partition_for(str(moving)), [a_beat(moving, "switching")])
        told = (AgentCameOnline, AgentReportedChange)
        back_again = (*told, AgentReportedChange)
        await eventually(lambda: bed.presence.all_are([leaving], *told), within_seconds=10)
        await eventually(lambda: bed.presence.all_are([moving], *back_again), within_seconds=10)

        fleet.silent.add(fleet.agent_ids[2])
        await eventually(
            lambda: bed.presence.kinds(fleet.agent_ids[2])[1:] == ["AgentWentOffline"],
            within_seconds=10,
        )
        assert bed.presence.all_are([leaving], *told)


@pytest.mark.usefixtures("worker")
async def test_presence_can_be_asked_for_by_its_client_alone(bed: Bed) -> None:
    async with bed.fleet(3) as fleet:
        known, unknown = fleet.agent_ids, clock.new_id()

        async def kept() -> bool:
            return len((await ask(bed, known)).items) == len(known)

        await eventually(kept, within_seconds=10)
        answer = await ask(bed, [*known, unknown])
        assert {item.agent_id for item in answer.items} == set(known)
        assert {(item.online, item.status) for item in answer.items} == {(True, "online")}
        assert (await ask(bed, known, client_id=UUID(int=8))).items == []
        with pytest.raises(Refused):
            await ask(bed, [unknown] * 501)


async def test_the_lag_of_a_partition_is_told_by_the_worker_that_watches_it(
    bed: Bed, worker: Worker
) -> None:
    await eventually(lambda: tells_of(worker, PARTITIONS), within_seconds=20)
    async with bed.worker() as second:
        for one in (worker, second):
            await eventually(partial(tells_of, one, PARTITIONS // 2), within_seconds=20)


async def tells_of(worker: Worker, partitions: int) -> bool:
    """Whether a worker tells the lag of just so many partitions of beats."""
    lag = await metric(worker.port, "spotkeeper_consumer_lag_records")
    return sum(s.labels["topic"] == AGENT_HEARTBEATS.name for s in lag) == partitions
