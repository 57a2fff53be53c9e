"""What the chassis promises of every message, on real Kafka and PostgreSQL."""

import asyncio
from collections.abc import Callable
from dataclasses import replace
from datetime import timedelta
from uuid import UUID

import pytest

from chassis import clock
from chassis.delivery import AWAITED_SECONDS
from chassis.envelope import Envelope, Record, header, partition_for
from spotkeeper_contracts import Refusal
from spotkeeper_contracts.agents import AgentState, GetAgent, ShutDownAgent
from spotkeeper_contracts.topics import AGENT_EVENTS, DEAD_LETTERS, REGISTRY_REQUESTS
from tests.chassis.conftest import CLIENT, Bus, read
from tests.chassis.counter import UNANSWERED

NewKey = Callable[[], UUID]


async def test_a_request_takes_effect_once_and_is_answered(served: Bus, new_key: NewKey) -> None:
    key = new_key()
    assert await served.tell(key, "first") == 1
    assert await served.tell(key, "second") == 2
    assert await served.count(key) == 2


async def test_a_repeat_gets_the_stored_answer_and_no_second_effect(
    served: Bus, new_key: NewKey
) -> None:
    key, id = new_key(), clock.new_id()
    assert [await served.tell(key, "once", id=id) for _ in range(3)] == [1, 1, 1]
    assert await served.count(key) == 1


async def test_a_late_answer_to_a_repeat_is_no_answer_to_another_body(
    served: Bus, new_key: NewKey
) -> None:
    key, id = new_key(), clock.new_id()
    await asyncio.gather(*(served.tell(key, "at once", id=id) for _ in range(20)))
    assert await served.refusal(served.tell(key, "another", id=id)) == "IDEMPOTENCY_MISMATCH"


async def test_repeats_at_the_same_time_take_effect_once(served: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    answers = await asyncio.gather(*(served.tell(key, "at once", id=id) for _ in range(20)))
    assert answers == [1] * 20
    assert await served.count(key) == 1


async def test_one_id_with_another_body_is_refused(served: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    await served.tell(key, "one body", id=id)
    assert await served.refusal(served.tell(key, "another", id=id)) == "IDEMPOTENCY_MISMATCH"
    assert await served.count(key) == 1


async def test_a_refusal_is_remembered(served: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    assert await served.refusal(served.tell(key, "early", id=id)) == "EARLY"
    assert await served.refusal(served.tell(key, "early", id=id)) == "EARLY"
    assert await served.db.fetchval("select answer_type from inbox where id = $1", id)


async def test_an_askers_refusal_is_remembered_and_nothing_done(
    served: Bus, new_key: NewKey
) -> None:
    key, id, fenced = new_key(), clock.new_id(), Refusal(code="FENCED", error="no", status=409)
    assert await served.refusal(served.tell(key, "late", id=id, refusal=fenced)) == "FENCED"
    assert await served.refusal(served.tell(key, "late", id=id)) == "FENCED"
    assert await served.refusal(served.tell(key, "x", id=id)) == "IDEMPOTENCY_MISMATCH"
    assert await served.count(key) == 0


async def test_an_askers_refusal_gives_way_to_an_earlier_answer(
    served: Bus, new_key: NewKey
) -> None:
    key, id, fenced = new_key(), clock.new_id(), Refusal(code="FENCED", error="no", status=409)
    assert await served.tell(key, "done", id=id) == 1
    assert await served.tell(key, "done", id=id, refusal=fenced) == 1
    other = served.tell(key, "other", id=id, refusal=fenced)
    assert await served.refusal(other) == "IDEMPOTENCY_MISMATCH"


async def test_a_question_leaves_no_trace(served: Bus, new_key: NewKey) -> None:
    key, id = new_key(), clock.new_id()
    await served.tell(key, "told")
    assert [await served.look(key, id=id), await served.look(key, id=id)] == [1, 1]
    assert await served.db.fetchval("select count(*) from inbox where id = $1", id) == 0


async def test_a_question_that_is_never_answered_in_time_holds_its_lane_while_it_is_awaited(
    served: Bus, new_key: NewKey
) -> None:
    key = new_key()
    question = Envelope.of(GetAgent(agent_id=key, client_id=UNANSWERED), source="gateway")
    nearly_given_up = clock.now() - timedelta(seconds=AWAITED_SECONDS - 1)
    await served.producer.send(replace(question, time=nearly_given_up).to_record())
    assert await served.tell(key, "behind it") == 1


async def test_a_refusal_after_writing_undoes_what_was_written(
    served: Bus, new_key: NewKey
) -> None:
    key, other = new_key(), new_key()
    late = served.refusal(served.tell(key, "late"))
    assert tuple(await asyncio.gather(late, served.tell(other, "good"))) == ("LATE", 1)
    assert await served.count(key) == 0


async def test_poison_harms_only_itself_and_ends_in_the_dead_letters(
    served: Bus, new_key: NewKey
) -> None:
    key, others = new_key(), [new_key() for _ in range(30)]
    poison = asyncio.create_task(served.refusal(served.tell(key, "poison")))
    assert await asyncio.gather(*(served.tell(other, "good") for other in others)) == [1] * 30
    assert await poison == "INTERNAL"
    assert await served.count(key) == 0
    assert await served.tell(key, "good") == 1
    letters = [r for r in await read(served, DEAD_LETTERS) if str(key).encode() in r.value]
    assert [header(letter.headers, "dead_reason") for letter in letters] == ["handler"]
    assert header(letters[0].headers, "dead_topic") == REGISTRY_REQUESTS.name


async def test_an_answer_too_large_for_a_record_holds_nobody_up(
    served: Bus, new_key: NewKey
) -> None:
    key, other = new_key(), new_key()
    large = asyncio.create_task(served.refusal(served.tell(key, "large")))
    assert await served.tell(other, "good") == 1
    assert await large == "INTERNAL"
    assert await served.count(key) == 0
    assert await served.tell(key, "good") == 1


@pytest.mark.parametrize("strange", [("ce_time", None), ("ce_replyto", b"99")])
async def test_a_record_with_a_strange_header_ends_no_service(
    served: Bus, new_key: NewKey, strange: tuple[str, bytes]
) -> None:
    key = new_key()
    told = ShutDownAgent(agent_id=key, client_id=CLIENT, reason="strange")
    record = Envelope.of(told, source="gateway").to_record()
    others = [header for header in record.headers if header[0] != strange[0]]
    await served.producer.send(replace(record, headers=[*others, strange]))
    assert await served.tell(key, "behind it") == 1
    letters = [r for r in await read(served, DEAD_LETTERS) if str(key).encode() in r.value]
    assert [header(letter.headers, "dead_reason") for letter in letters] == ["unreadable"]


@pytest.mark.parametrize("value", [b"", b"{", b"\xff\xfe", b"[1]", b"x" * 1_000_000])
async def test_an_unreadable_record_is_kept_and_the_next_is_handled(
    served: Bus, new_key: NewKey, value: bytes
) -> None:
    key = new_key()
    headers = [("ce_type", b"ShutDownAgent.v1"), ("ce_id", str(clock.new_id()).encode())]
    await served.producer.send(
        Record(
            REGISTRY_REQUESTS.name,
            str(key).encode(),
            value,
            headers,
            partition_for(str(key)),
        )
    )
    assert await served.tell(key, "behind it") == 1
    letters = [r for r in await read(served, DEAD_LETTERS) if dict(r.headers).items() >= {*headers}]
    assert [header(letter.headers, "dead_reason") for letter in letters] == ["unreadable"]
    assert letters[0].value == value


async def test_messages_of_one_key_keep_their_order(served: Bus, new_key: NewKey) -> None:
    keys = [new_key() for _ in range(10)]
    await asyncio.gather(
        *(served.tell(key, f"{n}") for n in range(20) for key in keys),
    )
    for key in keys:
        told = await read(served, AGENT_EVENTS, str(key).encode())
        reasons = [record.value.partition(b'"reason":"')[2][:2] for record in told]
        assert reasons == [f"{n}".ljust(2, '"').encode() for n in range(20)]


async def test_the_state_that_a_request_changed_is_there_before_the_answer(
    served: Bus, new_key: NewKey
) -> None:
    key = new_key()
    for revision in (1, 2):
        assert await served.tell(key, "state") == revision
        record = served.told[-1]
        state = Envelope.from_record(record.value, record.headers).message
        assert isinstance(state, AgentState)
        assert (state.agent_id, state.revision) == (key, revision)
        assert record.key == str(key).encode()
