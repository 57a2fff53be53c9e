"""`kill -9` in the middle of 200 switches: each request has one answer and one command."""

import asyncio
from collections import Counter
from collections.abc import AsyncIterator

import httpx
import pytest

from chassis import clock
from spotkeeper.embedded.child import free_port
from spotkeeper_contracts.topics import AGENT_COMMANDS
from tests.stack import eventually
from tests.system.driver import Agent, System, running_system

pytestmark = pytest.mark.timeout(400)
SWITCHES = 200
MAY_FAIL = {503, 504}


@pytest.fixture(scope="module")
async def fragile(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[System]:
    """A system of its own, to be broken."""
    async with running_system(tmp_path_factory.mktemp("killed"), free_port()) as running:
        yield running


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
    fragile: System,
) -> None:
    agents = [await fragile.register() for _ in range(SWITCHES)]
    asking = [asyncio.create_task(issued(agent)) for agent in agents]

    async def some_are_answered() -> bool:
        return sum(task.done() for task in asking) >= SWITCHES // 10

    await eventually(some_are_answered, within_seconds=120)
    for name in ("commands", "registry"):
        fragile.kill(name)
    answers = await asyncio.gather(*asking)
    for agent, command_id in zip(agents, answers, strict=True):
        [command] = (await agent.get("commands")).json()["items"]
        assert command["command_id"] == command_id
    # A message may be published twice, and then both times under its one id.
    queued = {
        message["id"]: message["command"]["command_id"]
        for message in await fragile.messages(AGENT_COMMANDS)
        if "CommandQueued" in str(message["type"])
    }
    told = Counter(queued.values())
    assert {told[command_id] for command_id in answers} == {1}
