"""What it is told that switches have brought in money, and when."""

from datetime import timedelta
from itertools import pairwise

import pytest

from chassis import clock
from chassis.testing import Scene
from commands.rules.savings import METER_LATEST, METER_SOONEST
from spotkeeper_contracts.switches import SavingsMetered
from tests.commands.fleet import OneAgent, later
from tests.commands.moves import A, B, C, figures, listed, move, prices_read


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands, instance_id="i-0", az=A)


async def metered(agent: OneAgent) -> list[SavingsMetered]:
    """What a sweep tells of the agent's switches."""
    await agent.commands.sweep()
    return [told for told in agent.emitted(SavingsMetered) if told.agent_id == agent.id]


async def test_a_switch_is_metered_as_it_is_listed(agent: OneAgent) -> None:
    await move(agent)
    assert await metered(agent) == []
    later(hours=2)
    [told] = await metered(agent)
    [switch] = await listed(agent)
    assert told.switch_id == switch.switch_id
    assert told.metered_hours == pytest.approx(2.0, abs=1e-3)
    assert told.realised_savings == pytest.approx(switch.realised_savings, abs=1e-4)
    assert told.realised_savings == pytest.approx(2 * (0.10 - 0.04) - 2 * 0.10, abs=1e-3)
    assert not told.is_settled


async def test_a_switch_is_metered_ever_more_rarely(agent: OneAgent) -> None:
    await move(agent)
    hours, looked = [], timedelta()
    while looked < timedelta(hours=3):
        looked += METER_SOONEST / 2
        later(seconds=looked.total_seconds())
        hours += [told.metered_hours for told in await metered(agent)]
    steps = [timedelta(hours=b - a) for a, b in zip([0.0, *hours], hours, strict=False)]
    assert all(METER_SOONEST * 0.9 <= step <= METER_LATEST + METER_SOONEST for step in steps)
    assert all(later >= earlier * 0.7 for earlier, later in pairwise(steps))
    assert 8 <= len(steps) <= 12


async def test_once_settled_a_switch_is_told_of_at_last(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    later(hours=1)
    await move(agent, "i-2", C)
    later(hours=5)
    first = min(await metered(agent), key=lambda told: told.completed_at)
    assert first.is_settled
    assert first.metered_hours == pytest.approx(1.0, abs=1e-3)
    assert first.realised_savings == pytest.approx(0.06, abs=1e-3)
    later(hours=50)
    assert first.switch_id not in {told.switch_id for told in await metered(agent)}


async def test_what_is_settled_is_told_of_within_the_minute(agent: OneAgent) -> None:
    await move(agent)
    later(hours=3)
    assert len(await metered(agent)) == 1
    await agent.changes(instance_id=None)
    later(hours=3, minutes=1)
    assert [told.is_settled for told in await metered(agent)] == [False]
    await agent.instance_ends("i-0")
    later(hours=3, minutes=2)
    assert [told.is_settled for told in await metered(agent)] == [True]
    assert await metered(agent) == []


async def test_a_price_of_the_stay_that_is_on_its_way_as_that_ends_still_counts(
    agent: OneAgent,
) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    at = clock.now() + timedelta(minutes=30)
    later(hours=1)
    await agent.changes(instance_id=None)
    assert await metered(agent) == []
    await agent.pool(B, 0.06, as_of=at)
    later(hours=1, minutes=1)
    [told] = await metered(agent)
    assert told.realised_savings == pytest.approx(0.06 - 0.5 * 0.02, abs=1e-3)


async def test_what_is_settled_stays_whatever_is_heard_later(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    at = clock.now() + timedelta(minutes=30)
    later(hours=1)
    await agent.changes(instance_id=None)
    later(hours=1, minutes=1)
    [told] = await metered(agent)
    await agent.pool(B, 5.0, as_of=at)
    [switch] = await listed(agent)
    assert (switch.realised_savings, switch.is_settled) == (told.realised_savings, True)
    assert (await figures(agent)).total_savings_generated == pytest.approx(0.06)


async def test_a_deleted_agents_switch_is_told_of_once_more(agent: OneAgent) -> None:
    await move(agent)
    later(hours=1)
    await agent.changes(deleted=True)
    later(hours=5)
    [told] = await metered(agent)
    assert told.is_settled
    assert told.realised_savings == pytest.approx(0.06 - 0.10, abs=1e-3)
    later(hours=50)
    assert await metered(agent) == []


async def test_only_the_prices_of_what_is_due_are_read(agent: OneAgent, commands: Scene) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    for hour in range(1, 100):
        later(hours=hour)
        await agent.pool(B, 0.04 + hour / 1e4)
    await move(agent, "i-2", C)
    await agent.instance_ends("i-1")
    later(hours=101)
    assert len(await metered(agent)) == 2
    later(hours=103)
    before = await prices_read(commands)
    assert len(await metered(agent)) == 1
    assert await prices_read(commands) - before < 10


async def test_what_cannot_be_metered_holds_nobody_up(agent: OneAgent, commands: Scene) -> None:
    other = OneAgent(commands, instance_id="i-0", az=B)
    for one in (agent, other):
        await move(one, "i-9", C)
    await commands.db.raw.execute(
        "update switches set timing = '{}', pricing = '[]' where agent_id = $1", agent.id
    )
    later(hours=1)
    assert await metered(other)
    assert await metered(agent) == []


async def test_what_a_bug_undoes_is_not_counted_either(commands: Scene) -> None:
    counted: list[float] = []

    async def work() -> None:
        commands.tx.count(counted.append)
        raise RuntimeError("a bug")

    assert not await commands.tx.apart(work())
    assert commands.tx.counted == []
    assert counted == []
