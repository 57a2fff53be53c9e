"""Decisions as agents get them, and recommendations as people see them."""

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.decisions import (
    Decide,
    DecisionMade,
    ExplainDecision,
    GetRecommendation,
    Recommendation,
)
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentReportedPrice,
)
from spotkeeper_contracts.values import pool_name
from tests.decision.fleet import HERE, THERE, OneAgent, later


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


async def test_the_documented_request_is_a_switch(agent: OneAgent) -> None:
    answer = await agent.decides()
    assert answer.recommendation is Recommendation.SWITCH
    assert answer.target_pool == THERE
    assert answer.expected_savings_per_day == 0.0144
    assert answer.outcome is None
    assert 0.5 <= answer.confidence <= 0.6
    assert 0.0 < answer.risk_score < 1e-3
    assert "0.0144" in answer.reason
    assert "no history for pool" in answer.reason


async def test_with_no_pool_far_enough_under_on_demand_the_gate_is_named(agent: OneAgent) -> None:
    answer = await agent.decides({THERE: 0.036}, price=0.038)
    assert answer.recommendation is not Recommendation.SWITCH
    assert "min_savings_percent" in answer.reason
    assert answer.target_pool is None


async def test_a_pool_that_costs_as_much_is_no_reason_to_move(agent: OneAgent) -> None:
    answer = await agent.decides({THERE: 0.0104})
    assert answer.recommendation is Recommendation.STAY
    assert (answer.target_pool, answer.expected_savings_per_day) == (None, 0.0)


async def test_without_any_pool_there_is_an_answer(agent: OneAgent) -> None:
    assert (await agent.decides({})).recommendation is Recommendation.STAY
    assert (await agent.decides_on_demand({})).recommendation is Recommendation.STAY


async def test_a_spot_price_above_on_demand_is_left(agent: OneAgent) -> None:
    answer = await agent.decides({}, price=0.05)
    assert answer.recommendation is Recommendation.SWITCH_TO_ONDEMAND
    assert answer.target_pool is None
    assert answer.risk_score == 0.0


async def test_one_that_runs_on_demand_goes_to_spot(agent: OneAgent) -> None:
    answer = await agent.decides_on_demand()
    assert (answer.recommendation, answer.target_pool) == (Recommendation.SWITCH, THERE)


async def test_prices_of_nothing_are_prices(agent: OneAgent) -> None:
    for price in (0.0, 1e-320):
        assert (await agent.decides({THERE: 0.0}, price=price, ondemand=price)).outcome is None


async def test_a_decision_is_told_kept_and_explained(agent: OneAgent) -> None:
    answer = await agent.decides()
    [made] = agent.emitted(DecisionMade)
    explained = await agent.explained()
    assert made.decision_id == explained.decision_id == answer.decision_id
    assert made.will_auto_execute
    assert explained.model_version is not None
    assert explained.model_version.startswith("risk-")
    assert {gate.name for gate in explained.gates} >= {"enabled", "auto_switch_enabled"}
    there = next(choice for choice in explained.choices if choice.pool_id == THERE)
    assert {gate.name: gate.passed for gate in there.gates} == {
        "min_savings_percent": True,
        "risk_threshold": True,
        "min_pool_duration_hours": True,
        "max_switches_per_week": True,
    }
    assert there.features["log_rate"] < -5


async def test_on_demand_is_explained_among_however_many_pools(agent: OneAgent) -> None:
    await agent.decides({f"us-east-1a-pool-{n}": 0.01 + n / 10_000 for n in range(2, 200)})
    choices = (await agent.explained()).choices
    assert [choice.pool_id for choice in choices].count(None) == 1
    assert choices[0].pool_id == HERE


async def test_what_was_never_decided_cannot_be_explained(agent: OneAgent) -> None:
    assert await agent.refusal(ExplainDecision) == "DECISION_NOT_FOUND"


async def test_a_deleted_agent_gets_no_decision(agent: OneAgent) -> None:
    await agent.changes(deleted=True)
    assert await agent.refusal(Decide) == "AGENT_DELETED"
    assert await agent.refusal(GetRecommendation) == "AGENT_DELETED"


async def test_without_data_the_recommendation_is_to_stay(agent: OneAgent) -> None:
    told = await agent.recommendation()
    assert (told.recommendation, told.outcome) == (Recommendation.STAY, "no-data")
    assert (told.target_pool, told.target_type, told.confidence) == (None, "spot", 0.0)


async def test_the_recommendation_follows_from_what_was_told_last(agent: OneAgent) -> None:
    await agent.decides()
    told = await agent.recommendation()
    assert (told.recommendation, told.target_pool) == (Recommendation.SWITCH, THERE)
    assert (told.target_type, told.savings_impact) == ("spot", 0.0006)
    assert told.will_auto_execute
    assert agent.scene.emitted == []


async def test_the_recommendation_goes_by_the_on_demand_price_that_was_told_last(
    agent: OneAgent,
) -> None:
    for ondemand, expected in ((0.0110, Recommendation.STAY), (0.0416, Recommendation.SWITCH)):
        assert (await agent.decides(ondemand=ondemand)).recommendation is expected
        assert (await agent.recommendation()).recommendation is expected
    other = OneAgent(agent.scene, client_id=agent.state.client_id)
    await other.is_known()
    await other.decides(ondemand=0.0)
    assert (await agent.recommendation()).recommendation is Recommendation.SWITCH
    about = {"agent_id": agent.id, "client_id": agent.state.client_id}
    await agent.scene.handle(
        example(AgentReportedPrice, **about, ondemand_price=0.0110, last_heartbeat_at=clock.now())
    )
    assert (await agent.recommendation()).recommendation is Recommendation.STAY


async def test_an_agent_of_another_type_has_another_on_demand_price(agent: OneAgent) -> None:
    await agent.decides(ondemand=0.0110)
    await agent.changes(instance_type="m5.large")
    assert (await agent.recommendation()).outcome == "no-data"


async def test_where_an_agent_says_it_runs_counts_until_the_registry_tells_of_a_move(
    agent: OneAgent,
) -> None:
    await agent.decides(current_pool="us-east-1c-pool-1")
    assert (await agent.recommendation()).target_pool == THERE
    await agent.changes(current_pool_id=THERE, instance_id="i-next")
    assert (await agent.recommendation()).recommendation is Recommendation.STAY


async def test_a_beat_from_before_a_decide_request_moves_nobody(agent: OneAgent) -> None:
    heard_at = clock.now()
    await agent.decides(current_pool="us-east-1c-pool-1")
    about = {"agent_id": agent.state.agent_id, "client_id": agent.state.client_id}
    beat = example(
        AgentCameOnline, **about, current_pool_id="us-east-1d-pool-1", last_heartbeat_at=heard_at
    )
    await agent.scene.handle(beat)
    assert (await agent.recommendation()).target_pool == THERE


async def test_the_recommendation_shows_with_auto_switch_off(agent: OneAgent) -> None:
    await agent.decides()
    await agent.changes(config={"auto_switch_enabled": False})
    told = await agent.recommendation()
    assert told.recommendation is Recommendation.SWITCH
    assert not told.will_auto_execute


async def test_a_report_is_enough_for_a_recommendation(agent: OneAgent) -> None:
    await agent.reports({HERE: 0.0104, THERE: 0.0098})
    told = await agent.recommendation()
    assert (told.recommendation, told.target_pool) == (Recommendation.SWITCH, THERE)


async def test_another_clients_prices_are_not_known(agent: OneAgent, decided: Scene) -> None:
    stranger = OneAgent(decided)
    await stranger.reports({HERE: 0.0104, THERE: 0.0098})
    assert (await agent.recommendation()).outcome == "no-data"


async def test_an_old_price_counts_no_more(agent: OneAgent) -> None:
    await agent.decides()
    later(hours=25)
    assert (await agent.recommendation()).outcome == "no-data"


async def test_a_heartbeat_from_elsewhere_counts_more_than_an_older_request(
    agent: OneAgent,
) -> None:
    await agent.decides(current_pool="us-east-1c-pool-1")
    beat = example(
        AgentReportedChange,
        agent_id=agent.id,
        client_id=agent.state.client_id,
        current_pool_id=HERE,
        spot_price=0.0114,
        last_heartbeat_at=clock.now(),
    )
    await agent.scene.handle(beat)
    assert (await agent.recommendation()).savings_impact == 0.0016


@pytest.mark.parametrize("instance_type", ["c7i.metal-24xl", "u7i-12tb.224xlarge"])
async def test_a_decision_and_a_pricing_report_know_the_same_pools(
    decided: Scene, instance_type: str
) -> None:
    here, there = (pool_name(instance_type, az) for az in ("us-east-1a", "us-east-1b"))
    agent = OneAgent(decided, instance_type=instance_type, current_pool_id=here)
    await agent.is_known()
    await agent.reports({there: 0.0098}, instance_type=instance_type, region="us-east-1")
    await agent.decides({there: 0.0098})
    rows = await decided.db.raw.fetch(
        "select pool_id, pool_group from pools where client_id = $1", agent.state.client_id
    )
    group = f"{instance_type}.us-east-1"
    assert sorted(map(tuple, rows)) == [(here, group), (there, group)]
