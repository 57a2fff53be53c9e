"""What the chassis promises when a process dies, is stopped, joins or leaves."""

import asyncio
import signal
from collections.abc import Callable
from uuid import UUID

import pytest

from chassis import faults
from chassis.envelope import Envelope, header
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.presence import AgentWentOffline
from spotkeeper_contracts.topics import AGENT_EVENTS, DEAD_LETTERS
from tests.chassis.conftest import Bus, read
from tests.stack import eventually

NewKey = Callable[[], UUID]


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
