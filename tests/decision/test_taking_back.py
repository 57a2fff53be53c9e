"""What the automatic loop takes back: switches that nobody fetched and no decision wants by now."""

import pytest

from chassis.testing import Scene
from decision.engine import engine_of
from decision.slots import Slot
from spotkeeper_contracts.commands import WithdrawSwitch
from spotkeeper_contracts.models import ModelRole
from spotkeeper_contracts.switches import IssueSwitch
from tests.decision.fleet import THERE, OneAgent, later


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


@pytest.mark.parametrize(
    ("pools", "price", "wanted"),
    [
        ({THERE: 0.0098}, 0.0104, ("spot", THERE)),
        ({THERE: 0.0098, "us-east-1c-pool-1": 0.0050}, 0.0104, ("spot", "us-east-1c-pool-1")),
        ({}, 0.0104, (None, None)),
        ({}, 0.05, ("ondemand", None)),
    ],
)
async def test_a_switch_that_waits_is_taken_back_unless_it_is_decided_again(
    agent: OneAgent,
    pools: dict[str, float],
    price: float,
    wanted: tuple[str | None, str | None],
) -> None:
    await agent.decides()
    await agent.acts()
    command = await agent.is_queued()
    await agent.decides(pools, price=price)
    withdrawn = (await agent.acts())[0]
    assert isinstance(withdrawn, WithdrawSwitch)
    assert withdrawn.command_id == command.command_id
    assert (withdrawn.unless_mode, withdrawn.unless_pool) == wanted


async def test_a_switch_that_flees_risk_is_taken_back_too(agent: OneAgent) -> None:
    await agent.opens("rebalance_recommendation")
    await agent.decides()
    await agent.acts()
    command = await agent.is_queued(priority=50)
    await agent.decides({THERE: 0.03, "us-east-1c-pool-1": 0.0080})
    withdrawn, issued = await agent.acts()
    assert isinstance(withdrawn, WithdrawSwitch)
    assert withdrawn.command_id == command.command_id
    assert isinstance(issued, IssueSwitch)
    assert issued.target_pool == withdrawn.unless_pool == "us-east-1c-pool-1"


@pytest.mark.parametrize(
    ("pools", "target"),
    [
        ({}, (None, None)),
        ({THERE: 0.0098, "us-east-1c-pool-1": 0.0050}, ("spot", "us-east-1c-pool-1")),
    ],
)
async def test_a_switch_that_is_queued_after_it_was_decided_otherwise_is_taken_back(
    agent: OneAgent, pools: dict[str, float], target: tuple[str | None, str | None]
) -> None:
    await agent.decides()
    await agent.acts()
    await agent.decides(pools)
    await agent.acts()
    command = await agent.is_queued()
    [withdrawn] = agent.emitted(WithdrawSwitch)
    assert withdrawn.command_id == command.command_id
    assert (withdrawn.unless_mode, withdrawn.unless_pool) == target


async def test_a_switch_that_is_queued_as_it_was_decided_stays(agent: OneAgent) -> None:
    await agent.decides()
    await agent.acts()
    await agent.is_queued()
    assert agent.emitted(WithdrawSwitch) == []


async def test_a_switch_that_was_decided_long_before_it_is_queued_is_taken_back(
    agent: OneAgent,
) -> None:
    await agent.decides()
    await agent.acts()
    later(minutes=6)
    await agent.is_queued()
    assert len(agent.emitted(WithdrawSwitch)) == 1


async def test_a_decision_without_an_engine_takes_nothing_back(
    agent: OneAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    await agent.decides()
    await agent.acts()
    await agent.is_queued()
    engine = engine_of(agent.scene.tx.settings)
    monkeypatch.setattr(engine, "active", Slot(ModelRole.ACTIVE, None, answer_seconds=0.5))
    assert (await agent.decides({})).outcome == "degraded"
    assert await agent.acts() == []
