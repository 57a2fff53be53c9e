"""`kill -9` in the middle of 200 switches: each request has one answer and one command.

It comes last, and who falls silent is found after all outages.
"""

import asyncio
from collections import Counter
from collections.abc import Awaitable, Iterable
from typing import TypeVar

import httpx
import pytest

from chassis import clock
from spotkeeper_contracts.topics import AGENT_COMMANDS, AGENT_PRESENCE
from tests.stack import eventually
from tests.system.driver import Agent, System
from tests.system.outages.conftest import OFFLINE_AFTER_SECONDS

pytestmark = pytest.mark.timeout(400)
SWITCHES = 200
AT_ONCE = 10
T = TypeVar("T")
MAY_FAIL = {503, 504}


@pytest.fixture(scope="module")
async def silent(fragile: System) -> Agent:
    """An agent that is never heard of again; its silence takes as long as the switches."""
    return await fragile.register()


async def a_few_at_once(works: Iterable[Awaitable[T]]) -> list[T]:
    """What the works come to."""
    few = asyncio.Semaphore(AT_ONCE)

    async def done(work: Awaitable[T]) -> T:
        async with few:
            return await work

    return await asyncio.gather(*map(done, works))


async def issued(agent: Agent) -> str:
    """Ask for a switch until it is answered, always under the same key; the command's id."""
    headers = {"Idempotency-Key": str(clock.new_id())}
    body = {"target_pool": "t3.medium.us-east-1b"}

    async def answered() -> str | None:
        try:
            answer = await agent.post("issue-switch-command", body, headers=headers)
        except httpx.TransportError:
            return None
        if answer.status_code == 201:
            return str(answer.json()["command_id"])
        assert answer.status_code in MAY_FAIL, answer.text
        return None

    found = await eventually(answered, within_seconds=120, every=0.2)
    assert found is not None
    return found


async def test_each_switch_is_queued_once_though_both_its_owners_are_killed(
    fragile: System, silent: Agent
) -> None:
    agents = await a_few_at_once(fragile.register() for _ in range(SWITCHES))
    asking = [asyncio.create_task(issued(agent)) for agent in agents]

    async def some_are_answered() -> bool:
        return sum(task.done() for task in asking) >= SWITCHES // 10

    await eventually(some_are_answered, within_seconds=120)
    for name in ("commands", "registry"):
        fragile.kill(name)
    answers = await asyncio.gather(*asking)
    shown = await a_few_at_once(agent.get("commands") for agent in agents)
    for answer, command_id in zip(shown, answers, strict=True):
        [command] = answer.json()["items"]
        assert command["command_id"] == command_id
    # A message may be published twice, and then both times under its one id.
    queued = {
        message["id"]: message["command"]["command_id"]
        for message in await fragile.messages(AGENT_COMMANDS)
        if "CommandQueued" in str(message["type"])
    }
    told = Counter(queued.values())
    assert {told[command_id] for command_id in answers} == {1}


async def test_a_silent_agent_is_still_found_after_all_that(fragile: System, silent: Agent) -> None:
    async def offline() -> bool:
        events = await fragile.messages(AGENT_PRESENCE, silent.id)
        return [e["type"] for e in events] == ["AgentCameOnline.v1", "AgentWentOffline.v1"]

    await eventually(offline, within_seconds=OFFLINE_AFTER_SECONDS + 10, every=0.5)
