"""What the automatic loop takes back of what it had queued."""

import pytest

from chassis import clock
from chassis.testing import Scene
from spotkeeper_contracts.commands import WithdrawSwitch
from tests.commands.fleet import OneAgent


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


@pytest.mark.parametrize("wanted", ["t3.medium.us-east-1b", "t3.medium.us-east-1c", None])
async def test_the_loop_takes_back_what_it_wants_no_more(
    agent: OneAgent, wanted: str | None
) -> None:
    pool = "t3.medium.us-east-1b"
    queued = {t: await agent.queue(trigger=t, target_pool=pool) for t in ("manual", "automatic")}
    unless = {"unless_mode": wanted and "spot", "unless_pool": wanted}
    for id in queued.values():
        await agent.ask(WithdrawSwitch, command_id=id, **unless)
    assert await agent.status(queued["manual"]) == "queued"
    expected = "queued" if wanted == pool else "cancelled"
    assert await agent.status(queued["automatic"]) == expected


async def test_the_loop_leaves_alone_what_was_fetched(agent: OneAgent) -> None:
    id = await agent.queue(trigger="automatic")
    await agent.lease()
    await agent.ask(WithdrawSwitch, command_id=id, unless_mode=None, unless_pool=None)
    await agent.ask(WithdrawSwitch, command_id=clock.new_id(), unless_mode=None, unless_pool=None)
    assert await agent.status(id) == "delivered"
