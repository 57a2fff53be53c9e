"""What an owner meets that comes after one that was frozen, and may wake."""

import asyncio
import signal
from collections.abc import Callable
from uuid import UUID

import asyncpg
import pytest

from chassis.delivery import Delivery
from chassis.envelope import Envelope
from chassis.inbox import Inbox
from chassis.outages import is_outage
from chassis.outbox import Outbox
from chassis.query import IDLE_SECONDS, Connection, open_pool, prepare_connection
from chassis.settings import ServiceSettings
from chassis.tables import bus_tables
from chassis.transaction import Tx, Work
from decision.proof import TRIAL_SECONDS
from spotkeeper_contracts.agents import AgentShutDown
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.message import Message
from spotkeeper_contracts.models import ListModels, ModelList, PublishModel
from spotkeeper_contracts.topics import AGENT_EVENTS
from tests.chassis import counter
from tests.chassis.conftest import Bus, read
from tests.stack import eventually

NewKey = Callable[[], UUID]


async def test_a_member_frozen_in_a_transaction_does_not_hold_up_who_comes_after_it(
    bus: Bus, new_key: NewKey
) -> None:
    key = new_key()
    async with bus.service() as frozen:
        await bus.tell(new_key(), "it runs")
        told = asyncio.create_task(bus.tell(key, "slow"))
        await eventually(lambda: is_in_a_transaction(bus), within_seconds=10, every=0.01)
        frozen.send_signal(signal.SIGSTOP)
        try:
            assert await is_in_a_transaction(bus)
            async with bus.service():
                assert await asyncio.wait_for(told, IDLE_SECONDS + 3) == 1
                frozen.send_signal(signal.SIGCONT)
                assert await bus.tell(key, "after it") == 2
        finally:
            frozen.send_signal(signal.SIGCONT)
        assert await bus.tell(key, "again") == 3
        assert frozen.returncode is None


async def test_what_is_left_over_after_the_takeover_is_published_with_the_first_repeat(
    bus: Bus, new_key: NewKey
) -> None:
    key, id = new_key(), new_key()
    async with bus.service(commit_interval_seconds="600"):
        assert await bus.tell(key, "by the frozen one", id=id) == 1
        late = example(AgentShutDown, agent_id=key, reason="late")
        record = Envelope.of(late, source="registry").to_record()
        async with bus.db.acquire() as raw:
            await prepare_connection(raw)
            await Outbox(bus_tables(counter.metadata)).add(
                Connection(raw), [(record.partition, record)]
            )
        assert await bus.tell(key, "fresh") == 2
        assert await bus.tell(key, "by the frozen one", id=id) == 1
        told = [event.value for event in await read(bus, AGENT_EVENTS, str(key).encode())]
        reasons = [AgentShutDown.from_bytes(value).reason for value in told]
        assert reasons == ["by the frozen one", "fresh", "late"]
        left = await bus.db.fetchval("select count(*) from outbox where value = $1", record.value)
        assert left == 0


async def is_in_a_transaction(bus: Bus) -> bool:
    """Whether a process of the service has one open and asks nothing."""
    asked = "select count(*) > 0 from pg_stat_activity where state = 'idle in transaction'"
    return bool(await bus.db.fetchval(asked))


def test_a_transaction_that_was_ended_for_its_idleness_is_tried_again() -> None:
    assert is_outage(asyncpg.IdleInTransactionSessionTimeoutError("too late"))


@pytest.mark.parametrize(
    ("message", "seconds"),
    [
        (example(ListModels), IDLE_SECONDS),
        (example(PublishModel), PublishModel.takes_seconds),
    ],
)
async def test_who_tries_a_model_may_leave_its_transaction_alone_for_longer(
    bus: Bus, message: Message, seconds: int
) -> None:
    assert PublishModel.takes_seconds > TRIAL_SECONDS
    found = []

    async def look(_: Message, tx: Tx) -> ModelList:
        found.append(await tx.db.raw.fetchval("show idle_in_transaction_session_timeout"))
        return example(ModelList)

    handlers = {type(message): look}
    inbox = Inbox(bus_tables(counter.metadata))
    work = Work("decision", handlers, ServiceSettings(), inbox=inbox, outbox=None)
    envelope = Envelope.of(message, source="test")
    delivery = Delivery(envelope, message.to_bytes(), [], message.topic.name, 0, 0)
    pool = await open_pool(bus.dsn, connections=1)
    async with pool, pool.acquire() as raw:
        await work.run(raw, [delivery])
        assert await raw.fetchval("show idle_in_transaction_session_timeout") == f"{IDLE_SECONDS}s"
    assert found == [f"{seconds}s"]
