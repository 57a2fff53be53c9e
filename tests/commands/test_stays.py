"""Stays: when an agent left where it had switched to, in whatever order that is heard."""

from datetime import timedelta
from typing import Any

import pytest

from chassis import clock
from chassis.testing import Scene
from tests.commands.fleet import OneAgent, later
from tests.commands.moves import A, B, C, figures, listed, move


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands, instance_id="i-0", az=A)


async def test_a_stay_ends_with_the_next_move(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    later(hours=1)
    await move(agent, "i-2", C, pricing={"old_spot": 0.04, "new_spot": 0.05, "on_demand": 0.40})
    await agent.instance_ends("i-1")
    later(hours=11)
    second, first = await listed(agent)
    assert first.is_settled
    assert first.realised_savings == pytest.approx(0.06, abs=1e-3)
    assert second.realised_savings == pytest.approx(-0.10, abs=1e-3)
    assert (await figures(agent)).total_savings_generated == pytest.approx(-0.04, abs=0.006)


@pytest.mark.parametrize(
    "change", [{"deleted": True}, {"instance_id": None}, {"instance_id": "i-takes-over"}]
)
async def test_a_stay_ends_when_the_agent_is_there_no_more(
    agent: OneAgent, change: dict[str, Any]
) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    later(hours=1)
    await agent.changes(**change)
    later(hours=10)
    [switch] = await listed(agent)
    assert switch.is_settled
    assert switch.realised_savings == pytest.approx(0.06, abs=1e-3)


@pytest.mark.parametrize(("reported_hours", "charged_hours"), [(None, 3), (2, 2), (10, 3)], ids=str)
async def test_a_deleted_agent_pays_for_its_old_instance_until_the_deletion(
    agent: OneAgent, reported_hours: int | None, charged_hours: int
) -> None:
    start = clock.now()
    await move(agent)
    later(hours=1)
    await agent.changes(instance_id=None)
    later(hours=3)
    await agent.changes(deleted=True)
    later(hours=9)
    await agent.changes(deleted=False, instance_id="i-0")
    later(hours=20)
    if reported_hours is not None:
        await agent.instance_ends("i-0", at=start + timedelta(hours=reported_hours))
    [switch] = await listed(agent)
    assert switch.is_settled
    assert switch.realised_savings == pytest.approx(0.06 - charged_hours * 0.10, abs=1e-3)


async def test_a_switch_heard_of_after_the_deletion_is_charged_until_then(agent: OneAgent) -> None:
    await agent.changes()
    before, at = agent.state, clock.now()
    later(hours=2)
    await agent.changes(deleted=True, revision=before.revision + 2)
    later(hours=10)
    agent.state = before
    await move(agent, at=at)
    [switch] = await listed(agent)
    assert switch.is_settled
    assert switch.realised_savings == pytest.approx(2 * 0.06 - 2 * 0.10, abs=1e-3)


async def test_a_switch_heard_of_late_earns_until_the_agent_left(agent: OneAgent) -> None:
    await agent.changes()
    before, at = agent.state, clock.now()
    later(hours=2)
    await agent.changes(instance_id="i-takes-over", epoch=3, revision=before.revision + 2)
    later(hours=10)
    agent.state = before
    await move(agent, at=at)
    await agent.instance_ends("i-0", at=at)
    [switch] = await listed(agent)
    assert switch.is_settled
    assert switch.realised_savings == pytest.approx(0.12, abs=1e-3)


async def test_a_stay_ends_when_the_next_began_however_late_that_is_heard(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    at = clock.now() + timedelta(hours=1)
    later(hours=5)
    await move(agent, "i-2", C, at=at)
    first = (await listed(agent))[1]
    assert first.is_settled
    assert first.realised_savings == pytest.approx(0.06, abs=1e-3)


async def test_a_pool_of_another_type_with_the_same_name_has_its_own_price(
    agent: OneAgent,
) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    for az in (A, B):
        await agent.pool(az, 30.0, instance_type="p4d.24xlarge")
    later(hours=1)
    [switch] = await listed(agent)
    assert switch.realised_savings == pytest.approx(0.06, abs=1e-3)


async def test_other_news_of_the_agent_end_no_stay(agent: OneAgent) -> None:
    await move(agent)
    await agent.changes(config={"min_savings_percent": 20.0})
    later(hours=1)
    assert not (await listed(agent))[0].is_settled
