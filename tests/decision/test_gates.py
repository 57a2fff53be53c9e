"""Each gate at its limit, and what counts towards the limits."""

import pytest

from chassis import clock
from chassis.testing import Scene
from spotkeeper_contracts.decisions import DecisionMade, Recommendation
from spotkeeper_contracts.values import PurchaseMode
from tests.decision.fleet import HERE, THERE, OneAgent, later

SWITCH, STAY = Recommendation.SWITCH, Recommendation.STAY


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


@pytest.mark.parametrize(
    ("price", "passed"), [(0.03536, True), (0.035361, False), (0.0, True), (0.0416, False)]
)
async def test_savings_are_measured_against_on_demand(
    agent: OneAgent, price: float, passed: bool
) -> None:
    await agent.decides({THERE: price}, price=0.05)
    gate = await agent.gate("min_savings_percent")
    assert (gate.passed, gate.limit) == (passed, 15.0)


async def test_the_limit_of_savings_is_the_agents_own(agent: OneAgent) -> None:
    await agent.changes(config={"min_savings_percent": 80.0})
    answer = await agent.decides()
    assert answer.recommendation is STAY
    assert "min_savings_percent is 76.44 where the limit is 80" in answer.reason


async def test_a_risk_at_the_threshold_is_allowed_and_above_it_is_not(agent: OneAgent) -> None:
    await agent.decides()
    risk = (await agent.gate("risk_threshold")).value
    await agent.changes(config={"risk_threshold": risk})
    assert (await agent.decides()).recommendation is SWITCH
    await agent.changes(config={"risk_threshold": risk * 0.999})
    assert (await agent.decides()).recommendation is STAY


@pytest.mark.parametrize(("hours", "expected"), [(2.0, SWITCH), (1.999, STAY), (0.0, STAY)])
async def test_a_pool_is_not_left_too_soon(
    agent: OneAgent, hours: float, expected: Recommendation
) -> None:
    answer = await agent.decides(uptime_hours=hours)
    assert answer.recommendation is expected
    assert ("min_pool_duration_hours" in answer.reason) == (expected is STAY)


async def test_the_time_in_a_pool_counts_from_the_last_switch(agent: OneAgent) -> None:
    await agent.switches(HERE)
    assert (await agent.decides(uptime_hours=24)).recommendation is STAY
    later(hours=2, seconds=1)
    assert (await agent.decides(uptime_hours=0)).recommendation is SWITCH


async def test_the_time_in_a_pool_counts_from_a_recovery_too(agent: OneAgent) -> None:
    await agent.switches(None, trigger="emergency")
    await agent.switches(HERE)
    assert (await agent.decides(uptime_hours=24)).recommendation is STAY
    later(hours=2, seconds=1)
    assert (await agent.decides(uptime_hours=24)).recommendation is SWITCH


async def test_the_weekly_limit_counts_switches_of_seven_days(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 2, "min_pool_duration_hours": 0})
    await agent.switches(HERE)
    assert (await agent.decides()).recommendation is SWITCH
    await agent.switches(HERE, trigger="manual")
    answer = await agent.decides()
    assert answer.recommendation is STAY
    assert "max_switches_per_week is 2 where the limit is 2" in answer.reason
    later(days=7, seconds=1)
    assert (await agent.decides()).recommendation is SWITCH


async def test_no_switch_a_week_is_a_limit_too(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 0})
    assert (await agent.decides()).recommendation is STAY


async def test_recoveries_count_towards_no_limit(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 1})
    for _ in range(3):
        await agent.switches(None, trigger="emergency")
        assert (await agent.decides_on_demand()).recommendation is SWITCH
        await agent.switches(HERE)
    later(hours=2, seconds=1)
    assert (await agent.decides()).recommendation is SWITCH


async def test_the_return_to_spot_after_an_interruption_is_free_of_limits(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 0})
    assert (await agent.decides_on_demand()).recommendation is STAY
    await agent.switches(None, trigger="emergency")
    assert (await agent.decides_on_demand()).recommendation is SWITCH
    await agent.switches(THERE)
    await agent.switches(None)
    assert (await agent.decides_on_demand()).recommendation is STAY


async def test_who_registers_on_demand_after_an_interruption_returns_to_spot_freely(
    agent: OneAgent,
) -> None:
    await agent.changes(config={"max_switches_per_week": 0})
    await agent.scene.handle(agent.terminated())
    await agent.changes(
        instance_id="i-next", current_mode=PurchaseMode.ONDEMAND, current_pool_id=None
    )
    assert (await agent.decides_on_demand()).recommendation is SWITCH
    await agent.switches(THERE)
    await agent.switches(None)
    assert (await agent.decides_on_demand()).recommendation is STAY


async def test_a_standby_that_aws_took_makes_nobody_recover(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 0})
    await agent.scene.handle(agent.terminated(was_primary=False, instance_id="i-standby"))
    assert (await agent.decides_on_demand()).recommendation is STAY


async def test_a_switch_told_twice_counts_once(agent: OneAgent) -> None:
    await agent.changes(config={"max_switches_per_week": 2, "min_pool_duration_hours": 0})
    switch_id = clock.new_id()
    for _ in range(2):
        await agent.switches(HERE, switch_id=switch_id)
    assert (await agent.decides()).recommendation is SWITCH


async def test_a_notice_takes_the_own_pool_away(agent: OneAgent) -> None:
    await agent.is_noticed()
    answer = await agent.decides({HERE: 0.0001, THERE: 0.0098}, uptime_hours=0)
    assert (answer.recommendation, answer.target_pool) == (SWITCH, THERE)
    assert "takes the instance away" in answer.reason
    [made] = agent.emitted(DecisionMade)
    assert not made.will_auto_execute  # Whoever owns emergencies acts already.


async def test_a_notice_concerns_its_instance_alone(agent: OneAgent) -> None:
    await agent.is_noticed()
    await agent.changes(instance_id="i-next")
    assert (await agent.decides({})).recommendation is STAY


async def test_a_notice_of_another_instance_does_not_cover_that_of_its_own(
    agent: OneAgent,
) -> None:
    await agent.is_noticed()
    await agent.is_noticed(instance_id="i-replica", action_taken="no_action")
    assert "takes the instance away" in (await agent.decides()).reason


async def test_a_recommendation_counts_though_nothing_was_done_about_it(agent: OneAgent) -> None:
    await agent.opens("rebalance_recommendation", action_taken="no_action")
    assert (await agent.decides({THERE: 0.0103})).recommendation is SWITCH


async def test_a_rebalance_recommendation_raises_the_risk_for_an_hour(agent: OneAgent) -> None:
    await agent.opens("rebalance_recommendation")
    answer = await agent.decides({THERE: 0.0103})
    assert answer.recommendation is SWITCH
    [made] = agent.emitted(DecisionMade)
    assert made.urgent
    assert (await agent.gate("risk_threshold", HERE)).value == 0.5
    later(hours=1)
    assert (await agent.decides({THERE: 0.0103})).recommendation is STAY


@pytest.mark.parametrize(
    ("config", "gate"),
    [
        ({"enabled": False}, "enabled"),
        ({"auto_switch_enabled": False}, "auto_switch_enabled"),
        ({"decision_engine_active": False}, "decision_engine_active"),
        ({"emergency_rebalance_only": True}, "not_emergency_rebalance_only"),
    ],
)
async def test_the_agents_config_can_forbid_the_loop_to_act(
    agent: OneAgent, config: dict[str, bool], gate: str
) -> None:
    await agent.changes(config=config)
    assert (await agent.decides()).recommendation is SWITCH
    [made] = agent.emitted(DecisionMade)
    assert not made.will_auto_execute
    assert [verdict.name for verdict in made.gates if not verdict.passed] == [gate]
