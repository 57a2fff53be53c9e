"""What the chassis promises of every message, on real Kafka and PostgreSQL."""

import asyncio
import signal
from collections.abc import Callable
from uuid import UUID

import pytest
from aiokafka import AIOKafkaConsumer, TopicPartition

from chassis import clock, faults
from chassis.envelope import Envelope, Record, header, partition_for
from spotkeeper_contracts import Refusal
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.presence import AgentWentOffline
from spotkeeper_contracts.topics import AGENT_EVENTS, DEAD_LETTERS, REGISTRY_REQUESTS, Topic
from tests.chassis.conftest import Bus
from tests.stack import eventually

NewKey = Callable[[], UUID]


async def read(bus: Bus, topic: Topic, key: bytes | None = None) -> list[Record]:
    """All records of a topic, or of one key in its order."""
    consumer = AIOKafkaConsumer(bootstrap_servers=bus.stack.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partitions = [TopicPartition(topic.name, n) for n in range(12)]
        consumer.assign(partitions)
        await consumer.seek_to_beginning()
        ends = await consumer.end_offsets(partitions)
        found: list[Record] = []
        while any([await consumer.position(p) < ends[p] for p in partitions]):
            for records in (await consumer.getmany(timeout_ms=200)).values():
                found += [
                    Record(r.topic, r.key or b"", r.value, list(r.headers), r.partition)
                    for r in records
                ]
        return [record for record in found if key is None or record.key == key]
    finally:
        await consumer.stop()


async def test_a_request_takes_effect_once_and_is_answered(bus: Bus, new_key: NewKey) -> None:
    key = new_key()
    async with bus.service():
        assert await bus.tell(key, "first") == 1
        assert await bus.tell(key, "second") == 2
        assert await bus.count(key) == 2


async def test_a_repeat_gets_the_stored_answer_and_no_second_effect(
    bus: Bus, new_key: NewKey
) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        assert [await bus.tell(key, "once", id=id) for _ in range(3)] == [1, 1, 1]
        assert await bus.count(key) == 1


async def test_a_late_answer_to_a_repeat_is_no_answer_to_another_body(
    bus: Bus, new_key: NewKey
) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        await asyncio.gather(*(bus.tell(key, "at once", id=id) for _ in range(20)))
        assert await bus.refusal(bus.tell(key, "another", id=id)) == "IDEMPOTENCY_MISMATCH"


async def test_repeats_at_the_same_time_take_effect_once(bus: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        answers = await asyncio.gather(*(bus.tell(key, "at once", id=id) for _ in range(20)))
        assert answers == [1] * 20
        assert await bus.count(key) == 1


async def test_one_id_with_another_body_is_refused(bus: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        await bus.tell(key, "one body", id=id)
        assert await bus.refusal(bus.tell(key, "another", id=id)) == "IDEMPOTENCY_MISMATCH"
        assert await bus.count(key) == 1


async def test_a_refusal_is_remembered(bus: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        assert await bus.refusal(bus.tell(key, "early", id=id)) == "EARLY"
        assert await bus.refusal(bus.tell(key, "early", id=id)) == "EARLY"
        assert await bus.db.fetchval("select answer_type from inbox where id = $1", id)


async def test_an_askers_refusal_is_remembered_and_nothing_done(bus: Bus, new_key: NewKey) -> None:
    key, id, fenced = new_key(), clock.new_id(), Refusal(code="FENCED", error="no", status=409)
    async with bus.service():
        assert await bus.refusal(bus.tell(key, "late", id=id, refusal=fenced)) == "FENCED"
        assert await bus.refusal(bus.tell(key, "late", id=id)) == "FENCED"
        assert await bus.refusal(bus.tell(key, "x", id=id)) == "IDEMPOTENCY_MISMATCH"
        assert await bus.count(key) == 0


async def test_an_askers_refusal_gives_way_to_an_earlier_answer(bus: Bus, new_key: NewKey) -> None:
    key, id, fenced = new_key(), clock.new_id(), Refusal(code="FENCED", error="no", status=409)
    async with bus.service():
        assert await bus.tell(key, "done", id=id) == 1
        assert await bus.tell(key, "done", id=id, refusal=fenced) == 1
        other = bus.tell(key, "other", id=id, refusal=fenced)
        assert await bus.refusal(other) == "IDEMPOTENCY_MISMATCH"


async def test_a_question_leaves_no_trace(bus: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    async with bus.service():
        await bus.tell(key, "told")
        assert [await bus.look(key, id=id), await bus.look(key, id=id)] == [1, 1]
        assert await bus.db.fetchval("select count(*) from inbox where id = $1", id) == 0


async def test_a_refusal_after_writing_undoes_what_was_written(bus: Bus, new_key: NewKey) -> None:
    key, other = new_key(), new_key()
    async with bus.service():
        late = bus.refusal(bus.tell(key, "late"))
        assert tuple(await asyncio.gather(late, bus.tell(other, "good"))) == ("LATE", 1)
        assert await bus.count(key) == 0


async def test_poison_harms_only_itself_and_ends_in_the_dead_letters(
    bus: Bus, new_key: NewKey
) -> None:
    key, others = new_key(), [new_key() for _ in range(30)]
    async with bus.service():
        poison = asyncio.create_task(bus.refusal(bus.tell(key, "poison")))
        assert await asyncio.gather(*(bus.tell(other, "good") for other in others)) == [1] * 30
        assert await poison == "INTERNAL"
        assert await bus.count(key) == 0
        assert await bus.tell(key, "good") == 1
        letters = [r for r in await read(bus, DEAD_LETTERS) if str(key).encode() in r.value]
        assert [header(letter.headers, "dead_reason") for letter in letters] == ["handler"]
        assert header(letters[0].headers, "dead_topic") == REGISTRY_REQUESTS.name


async def test_a_crash_when_a_message_is_given_up_does_not_lose_it(
    bus: Bus, new_key: NewKey
) -> None:
    key = new_key()
    async with bus.service(die_after=f"{faults.GIVEN_UP}:1") as dying:
        told = asyncio.create_task(bus.refusal(bus.tell(key, "poison")))
        assert await asyncio.wait_for(dying.wait(), 30) == 137
    async with bus.service():
        assert await told == "INTERNAL"
        letters = [r for r in await read(bus, DEAD_LETTERS) if str(key).encode() in r.value]
        assert [header(letter.headers, "dead_reason") for letter in letters] == ["handler"]


async def test_an_answer_too_large_for_a_record_holds_nobody_up(bus: Bus, new_key: NewKey) -> None:
    key, other = new_key(), new_key()
    async with bus.service():
        large = asyncio.create_task(bus.refusal(bus.tell(key, "large")))
        assert await bus.tell(other, "good") == 1
        assert await large == "INTERNAL"
        assert await bus.count(key) == 0
        assert await bus.tell(key, "good") == 1


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe", b"[1]", b"x" * 1_000_000])
async def test_an_unreadable_record_is_kept_and_the_next_is_handled(
    bus: Bus, new_key: NewKey, value: bytes
) -> None:
    key = new_key()
    headers = [("ce_type", b"ShutDownAgent.v1"), ("ce_id", str(clock.new_id()).encode())]
    async with bus.service():
        await bus.producer.send(
            Record(
                REGISTRY_REQUESTS.name,
                str(key).encode(),
                value,
                headers,
                partition_for(str(key)),
            )
        )
        assert await bus.tell(key, "behind it") == 1
        letters = [
            r for r in await read(bus, DEAD_LETTERS) if dict(r.headers).items() >= {*headers}
        ]
        assert [header(letter.headers, "dead_reason") for letter in letters] == ["unreadable"]
        assert letters[0].value == value


async def test_messages_of_one_key_keep_their_order(bus: Bus, new_key: NewKey) -> None:
    keys = [new_key() for _ in range(10)]
    async with bus.service():
        await asyncio.gather(
            *(bus.tell(key, f"{n}") for n in range(20) for key in keys),
        )
        for key in keys:
            told = await read(bus, AGENT_EVENTS, str(key).encode())
            reasons = [record.value.partition(b'"reason":"')[2][:2] for record in told]
            assert reasons == [f"{n}".ljust(2, '"').encode() for n in range(20)]


async def test_a_fact_goes_before_the_requests_that_are_read_with_it(
    bus: Bus, new_key: NewKey
) -> None:
    keys = [new_key() for _ in range(10)]
    asked = [asyncio.create_task(bus.tell(key, "after the fact")) for key in keys]
    for key in keys:
        fact = example(AgentWentOffline, agent_id=key)
        await bus.producer.send(Envelope.of(fact, source="test").to_record())
    async with bus.service():
        assert await asyncio.gather(*asked) == [2] * len(keys)


@pytest.mark.parametrize("step", faults.STEPS)
async def test_a_crash_after_any_step_loses_and_doubles_nothing(
    bus: Bus, new_key: NewKey, step: str
) -> None:
    keys = [new_key() for _ in range(40)]
    async with bus.service(die_after=f"{step}:1") as dying:
        told = [asyncio.create_task(bus.tell(key, "survives")) for key in keys]
        assert await asyncio.wait_for(dying.wait(), 30) == 137
    async with bus.service():
        assert await asyncio.gather(*told) == [1] * len(keys)
        assert [await bus.count(key) for key in keys] == [1] * len(keys)
        for key in keys:
            events = await read_ids(bus, key)
            assert len(set(events)) == 1, "the same event may come twice, but only as itself"
        await eventually(lambda: outbox_is_empty(bus), within_seconds=15)


async def read_ids(bus: Bus, key: UUID) -> list[str | None]:
    return [header(r.headers, "ce_id") for r in await read(bus, AGENT_EVENTS, str(key).encode())]


async def outbox_is_empty(bus: Bus) -> bool:
    return bool(await bus.db.fetchval("select count(*) = 0 from outbox"))


async def test_what_an_earlier_owner_left_is_published_first(bus: Bus, new_key: NewKey) -> None:
    key = new_key()
    async with bus.service(die_after="committed:1") as dying:
        told = asyncio.create_task(bus.tell(key, "left over"))
        assert await asyncio.wait_for(dying.wait(), 30) == 137
    async with bus.service():
        assert await told == 1
        await bus.tell(key, "after it")
        events = await read(bus, AGENT_EVENTS, str(key).encode())
        assert [b"left over" in event.value for event in events] == [True, False]


async def test_sigterm_finishes_what_is_in_hand(bus: Bus, new_key: NewKey) -> None:
    key = new_key()
    async with bus.service() as process:
        await bus.tell(new_key(), "it runs")
        told = asyncio.create_task(bus.tell(key, "slow"))
        await asyncio.wait([told], timeout=0.15)
        process.send_signal(signal.SIGTERM)
        assert await asyncio.wait_for(process.wait(), 15) == 0
        assert await told == 1
        assert await outbox_is_empty(bus)


async def test_two_members_share_the_work_and_neither_doubles_it(bus: Bus, new_key: NewKey) -> None:
    keys = [new_key() for _ in range(60)]
    async with bus.service():
        await bus.tell(new_key(), "it runs")
        told = [asyncio.create_task(bus.tell(key, "shared")) for key in keys[:30]]
        async with bus.service() as second:
            told += [asyncio.create_task(bus.tell(key, "shared")) for key in keys[30:]]
            assert await asyncio.gather(*told) == [1] * 60
            second.send_signal(signal.SIGTERM)
            assert await asyncio.wait_for(second.wait(), 15) == 0
        assert [await bus.tell(key, "again") for key in keys[:5]] == [2] * 5


async def test_a_process_stops_when_it_gives_up_message_after_message(
    bus: Bus, new_key: NewKey
) -> None:
    async with bus.service(message_tries="1") as process:
        told = [asyncio.create_task(bus.tell(new_key(), "poison")) for _ in range(14)]
        assert await asyncio.wait_for(process.wait(), 30) != 0
    async with bus.service(message_tries="1"):
        codes = await asyncio.gather(*(bus.refusal(task) for task in told))
        assert set(codes) == {"INTERNAL"}


async def test_the_state_that_a_request_changed_is_there_before_the_answer(
    bus: Bus, new_key: NewKey
) -> None:
    key = new_key()
    async with bus.service():
        for revision in (1, 2):
            assert await bus.tell(key, "state") == revision
            record = bus.told[-1]
            state = Envelope.from_record(record.value, record.headers).message
            assert isinstance(state, AgentState)
            assert (state.agent_id, state.revision) == (key, revision)
            assert record.key == str(key).encode()
