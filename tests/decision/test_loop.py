"""The automatic loop: who is moved by a decision, and how many at once."""

import pytest

from chassis import clock
from chassis.testing import Scene, example
from decision.store import contexts, evidence
from spotkeeper_contracts import Message
from spotkeeper_contracts.commands import (
    Command,
    CommandFinished,
    CommandQueued,
    Trigger,
)
from spotkeeper_contracts.decisions import DecisionMade, GetStatistics
from spotkeeper_contracts.switches import GetSwitchStatistics, IssueSwitch
from tests.decision.fleet import HERE, THERE, OneAgent, later


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


async def fleet(decided: Scene, size: int) -> list[OneAgent]:
    first = OneAgent(decided)
    agents = [first]
    agents += [OneAgent(decided, client_id=first.state.client_id) for _ in range(size - 1)]
    for agent in agents:
        await agent.is_known()
    return agents


async def test_deciding_issues_nothing_but_the_loop_does(agent: OneAgent) -> None:
    await agent.decides()
    assert agent.emitted(IssueSwitch) == []
    [issued] = await agent.acts()
    assert isinstance(issued, IssueSwitch)
    assert (issued.target_pool, issued.target_mode) == (THERE, "spot")
    assert (issued.trigger, issued.urgent) == (Trigger.AUTOMATIC, False)
    assert issued.expected_pool == HERE
    assert issued.max_price == pytest.approx(0.0104)
    assert issued.confidence is not None


async def test_a_decision_to_stay_moves_nobody(agent: OneAgent) -> None:
    await agent.decides({})
    assert await agent.acts() == []


async def test_with_auto_switch_off_nothing_is_issued(agent: OneAgent) -> None:
    await agent.changes(config={"auto_switch_enabled": False})
    await agent.decides()
    assert await agent.acts() == []


async def test_flight_from_risk_is_urgent(agent: OneAgent) -> None:
    await agent.opens("rebalance_recommendation")
    await agent.decides()
    [issued] = await agent.acts()
    assert isinstance(issued, IssueSwitch)
    assert issued.urgent
    assert issued.max_price == pytest.approx(0.85 * 0.0416)


async def test_a_switch_to_on_demand_has_no_price_to_watch(agent: OneAgent) -> None:
    await agent.decides({}, price=0.05)
    [issued] = await agent.acts()
    assert isinstance(issued, IssueSwitch)
    assert (issued.target_pool, issued.target_mode, issued.max_price) == (None, "ondemand", None)


async def test_an_old_decision_moves_nobody(agent: OneAgent) -> None:
    await agent.decides()
    [made] = agent.emitted(DecisionMade)
    later(minutes=6)
    await agent.scene.handle(made)
    assert agent.scene.emitted == []


async def test_an_open_switch_is_waited_for(agent: OneAgent) -> None:
    await agent.decides()
    await agent.acts()
    command = await agent.is_queued()
    later(minutes=2)
    await agent.decides()
    assert switches_of(await agent.acts()) == []
    ids = {"agent_id": agent.id, "client_id": agent.state.client_id}
    await agent.scene.handle(example(CommandFinished, command=command, **ids))
    await agent.decides()
    assert len(await agent.acts()) == 1


def switches_of(asked: list[Message]) -> list[IssueSwitch]:
    return [one for one in asked if isinstance(one, IssueSwitch)]


async def test_an_instance_that_the_agent_left_moves_nobody(agent: OneAgent) -> None:
    former = agent.state.instance_id
    await agent.changes(config={"min_pool_duration_hours": 0})
    await agent.decides()
    await agent.switches(THERE, az="us-east-1b")
    stay = await evidence.open_stay(agent.scene.db, agent.id, agent.state.client_id)
    await agent.decides({"us-east-1c-pool-1": 0.0080})
    await agent.acts()
    await agent.is_queued(target_pool="us-east-1c-pool-1")
    answer = await agent.decides(
        {THERE: 0.0120, "us-east-1c-pool-1": 0.0050},
        instance_id=former,
        current_pool=HERE,
        uptime_hours=9,
    )
    assert (answer.recommendation, answer.target_pool) == ("switch", "us-east-1c-pool-1")
    assert await agent.acts() == []
    gates = {gate.name: gate.passed for gate in (await agent.explained()).gates}
    assert not gates["not_from_a_former_instance"]
    assert await evidence.open_stay(agent.scene.db, agent.id, agent.state.client_id) == stay
    assert (await agent.recommendation()).outcome is None


async def test_a_refused_switch_is_waited_for_no_longer_than_a_minute(agent: OneAgent) -> None:
    await agent.decides()
    await agent.acts()
    await agent.decides()
    assert await agent.acts() == []
    later(seconds=61)
    await agent.decides()
    assert len(await agent.acts()) == 1


@pytest.mark.parametrize(("size", "most"), [(1, 1), (4, 1), (9, 1), (10, 2), (15, 3)])
async def test_a_share_of_a_fleet_switches_at_once(decided: Scene, size: int, most: int) -> None:
    issued = 0
    for agent in await fleet(decided, size):
        await agent.decides()
        issued += len(await agent.acts())
    assert issued == most


async def test_who_was_deleted_makes_no_fleet_larger(decided: Scene) -> None:
    first, second, *others = await fleet(decided, 10)
    for agent in others[:3]:
        await agent.changes(deleted=True)
    for agent, asked in ((first, 1), (second, 0)):
        await agent.decides()
        assert len(await agent.acts()) == asked


async def test_a_fleet_is_counted_without_reading_its_agents(decided: Scene) -> None:
    await decided.db.raw.execute(
        "set local enable_seqscan = off; set local enable_bitmapscan = off"
    )
    asked = contexts._FLEET._values(decided.db, {"client_id": clock.new_id(), "at": clock.now()})
    plan = await decided.db.raw.fetch(f"explain {contexts._FLEET.sql}", *asked)
    assert any("Index Only Scan using agent_contexts_of_fleet" in line[0] for line in plan)


async def test_the_next_follows_when_one_has_switched(decided: Scene) -> None:
    first, second = await fleet(decided, 2)
    await first.decides()
    await first.acts()
    await first.is_queued()
    await second.decides()
    assert await second.acts() == []
    await first.switches(THERE)
    await second.decides()
    assert len(await second.acts()) == 1


async def test_who_flees_risk_waits_for_nobody(decided: Scene) -> None:
    first, second = await fleet(decided, 2)
    await first.decides()
    await first.acts()
    await second.opens("rebalance_recommendation")
    await second.decides()
    assert len(await second.acts()) == 1


async def test_another_clients_switches_hold_nobody_back(decided: Scene) -> None:
    for agent in (OneAgent(decided), OneAgent(decided)):
        await agent.is_known()
        await agent.decides()
        assert len(await agent.acts()) == 1


async def test_an_operators_switch_holds_nobody_back(decided: Scene) -> None:
    first, second = await fleet(decided, 2)
    ids = {"agent_id": first.id, "client_id": first.state.client_id}
    command = example(Command, command_type="switch", parameters={"trigger": "manual"})
    await first.scene.handle(example(CommandQueued, command=command, **ids))
    await second.decides()
    assert len(await second.acts()) == 1


async def test_figures_are_handed_on_to_the_owner_of_switches(agent: OneAgent) -> None:
    handed_on = await agent.ask(GetStatistics)
    assert isinstance(handed_on, GetSwitchStatistics)
    assert (handed_on.decisions.total_decisions, handed_on.decisions.last_decision_at) == (0, None)
    first = await agent.decides()
    second = await agent.decides({})
    known = (await agent.ask(GetStatistics)).decisions
    assert (known.total_decisions, known.switches_recommended) == (2, 1)
    assert known.average_confidence == pytest.approx((first.confidence + second.confidence) / 2)
    assert known.last_decision_at is not None
