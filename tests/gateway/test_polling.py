"""Long polls: woken by the queue, ended by the clock, the caller or the gateway's own end."""

import asyncio
import signal
from typing import Any

import httpx
import pytest

from chassis import clock
from spotkeeper.embedded.child import HOST
from spotkeeper_contracts.commands import (
    Command,
    CommandQueue,
    CommandsLeased,
    LeaseCommands,
)
from spotkeeper_contracts.examples import example
from tests.gateway.conftest import ASK_SECONDS, Tenant, new_tenant
from tests.gateway.driver import Bus, GatewayProcess, run_gateway
from tests.stack import eventually


class Queue:
    """The commands service's side of one agent's queue."""

    def __init__(self, bus: Bus, tenant: Tenant) -> None:
        self.bus, self.tenant = bus, tenant
        self.commands: list[Command] = []
        self.revision = 0
        bus.owner.answers[LeaseCommands] = self.lease

    def lease(self, _: LeaseCommands) -> CommandsLeased:
        leased, self.commands = self.commands, []
        return CommandsLeased(commands=leased)

    async def tell(self, deliverable: int) -> None:
        self.revision += 1
        agent = self.tenant.agent
        await self.bus.tell(
            CommandQueue(
                agent_id=agent.agent_id,
                client_id=agent.client_id,
                revision=self.revision,
                deliverable=deliverable,
            ),
            source="commands",
        )

    async def fill(self) -> None:
        self.commands.append(example(Command))
        await self.tell(deliverable=1)

    async def asked(self, times: int) -> None:
        def enough() -> bool:
            return len(self.bus.owner.questions(LeaseCommands)) >= times

        await eventually(enough, within_seconds=5)


@pytest.fixture
def queue(bus: Bus, tenant: Tenant) -> Queue:
    return Queue(bus, tenant)


async def fetch(tenant: Tenant, wait: float) -> tuple[httpx.Response, float]:
    """The answer, and how long it took."""
    start = clock.monotonic()
    answer = await tenant.http.get(f"{tenant.path}/pending-commands", params={"wait": wait})
    return answer, clock.monotonic() - start


async def test_what_waits_is_fetched_at_once(tenant: Tenant, queue: Queue) -> None:
    await queue.fill()
    answer, seconds = await fetch(tenant, wait=25)
    assert [list(command) for command in answer.json()] == [
        [
            "command_id", "command_type", "target_pool", "target_mode", "priority", "created_at",
            "expires_at", "terminate_wait_seconds", "request_id", "parameters",
        ]
    ]  # fmt: skip
    assert seconds < 1


async def test_a_waiting_agent_is_woken_within_a_second(tenant: Tenant, queue: Queue) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=25))
    await queue.asked(times=1)
    assert not fetching.done()
    start = clock.monotonic()
    await queue.fill()
    answer, _ = await fetching
    assert len(answer.json()) == 1
    assert clock.monotonic() - start < 1


async def test_news_of_nothing_deliverable_wakes_nobody(tenant: Tenant, queue: Queue) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=25))
    await queue.asked(times=1)
    await queue.tell(deliverable=0)
    await queue.fill()
    answer, _ = await fetching
    assert len(answer.json()) == 1
    assert len(queue.bus.owner.questions(LeaseCommands)) == 2


async def test_one_that_finds_the_command_gone_waits_on(tenant: Tenant, queue: Queue) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=25))
    await queue.asked(times=1)
    await queue.tell(deliverable=1)  # Somebody else has fetched it meanwhile.
    await queue.asked(times=2)
    await queue.fill()
    answer, _ = await fetching
    assert len(answer.json()) == 1


async def test_a_wait_in_vain_ends_in_time_with_nothing(tenant: Tenant, queue: Queue) -> None:
    answer, seconds = await fetch(tenant, wait=1.5)
    assert (answer.status_code, answer.json()) == (200, [])
    assert 1.4 < seconds < 3
    answer, seconds = await fetch(tenant, wait=0)
    assert answer.json() == []
    assert seconds < 1


async def test_each_question_tells_until_when_its_answer_is_waited_for(
    tenant: Tenant, queue: Queue
) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=25))
    await queue.asked(times=1)
    await queue.tell(deliverable=1)
    await queue.asked(times=2)
    await queue.fill()
    await fetching
    waits = [
        (one.message.answer_by - one.time).total_seconds()
        for one in queue.bus.owner.asked
        if isinstance(one.message, LeaseCommands) and one.message.answer_by is not None
    ]
    assert waits == [pytest.approx(ASK_SECONDS, abs=0.5)] * 3


@pytest.mark.parametrize("wait", [2, 25])
async def test_one_whose_token_was_revoked_meanwhile_gets_nothing(
    tenant: Tenant, queue: Queue, wait: float
) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait))
    await queue.asked(times=1)
    tokens = [one.model_copy(update={"revoked_at": clock.now()}) for one in tenant.state.tokens]
    await queue.bus.tell(tenant.state.model_copy(update={"revision": 2, "tokens": tokens}))

    async def revoked() -> bool:
        return (await tenant.http.get(f"{tenant.path}/config")).status_code == 401

    await eventually(revoked, within_seconds=2)
    if wait == 25:
        await queue.fill()
    answer, _ = await fetching
    assert (answer.status_code, answer.json()["code"]) == (401, "TOKEN_REVOKED")
    assert len(queue.bus.owner.questions(LeaseCommands)) == 1


async def test_one_whose_agent_was_deleted_meanwhile_is_told_so(
    tenant: Tenant, queue: Queue
) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=1.5))
    await queue.asked(times=1)
    await queue.bus.tell(tenant.agent.model_copy(update={"revision": 2, "deleted": True}))
    answer, _ = await fetching
    assert (answer.status_code, answer.json()["code"]) == (410, "AGENT_DELETED")


async def test_nothing_is_leased_for_a_caller_that_went_away(
    gateway: GatewayProcess, tenant: Tenant, queue: Queue
) -> None:
    fetching = asyncio.create_task(fetch(tenant, wait=25))
    await queue.asked(times=1)
    fetching.cancel()
    await asyncio.gather(fetching, return_exceptions=True)

    async def let_go() -> bool:
        async with httpx.AsyncClient() as operations:
            told = await operations.get(f"http://{HOST}:{gateway.operations_port}/metrics")
        return "spotkeeper_polls_waiting 0.0" in told.text

    await eventually(let_go, within_seconds=5)
    await queue.fill()
    answer, _ = await fetch(tenant, wait=0)
    assert len(answer.json()) == 1
    assert len(queue.bus.owner.questions(LeaseCommands)) == 2


async def test_a_stopping_gateway_waits_for_no_poll(bus: Bus) -> None:
    async with run_gateway(bus.kafka) as gateway:
        await gateway.ready()
        async with new_tenant(bus, gateway) as tenant:
            queue = Queue(bus, tenant)
            fetching = asyncio.create_task(fetch(tenant, wait=25))
            await queue.asked(times=1)
            gateway.process.send_signal(signal.SIGTERM)
            answer, _ = await fetching
            assert (answer.status_code, answer.json()) == (200, [])
            async with asyncio.timeout(5):
                assert await gateway.process.wait() == 0


async def test_more_than_may_wait_are_answered_at_once(bus: Bus) -> None:
    async with run_gateway(bus.kafka, waiting_polls=1) as gateway:
        await gateway.ready()
        async with new_tenant(bus, gateway) as tenant:
            queue = Queue(bus, tenant)
            fetching = asyncio.create_task(fetch(tenant, wait=25))
            await queue.asked(times=1)

            async def at_once() -> bool:
                answer, seconds = await fetch(tenant, wait=2)
                assert answer.json() == []
                return seconds < 1

            await eventually(at_once, within_seconds=10)
            await queue.fill()
            assert len((await fetching)[0].json()) == 1


@pytest.mark.parametrize(
    "params",
    [
        {"wait": 26},
        {"wait": -1},
        {"wait": "x"},
        {"wait": "nan"},
        {"wait": "1_0"},
        {"wait": "+1"},
        {"wait": " 1"},
        {"wait": "1e0"},
        {"wait": "2."},
        {"limit": 0},
        {"limit": 51},
        {"limit": "+5"},
    ],
)
async def test_a_bad_wait_or_limit_is_named(tenant: Tenant, params: dict[str, Any]) -> None:
    answer = await tenant.http.get(f"{tenant.path}/pending-commands", params=params)
    assert (answer.status_code, list(answer.json()["details"])) == (400, list(params))
