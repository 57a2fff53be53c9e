"""What the fleet saw: counted once, at its moment, and for its client alone."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from decision.store import evidence
from spotkeeper_contracts.decisions import Recommendation
from spotkeeper_contracts.pools import PoolState
from spotkeeper_contracts.presence import AgentReportedChange
from spotkeeper_contracts.values import AgentStatus, PurchaseMode
from tests.decision.fleet import GROUP, HERE, THERE, OneAgent, later


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


async def notices(agent: OneAgent, pool_id: str = HERE) -> list[int]:
    """Interruptions in a pool within 1, 6, 24 and 168 hours."""
    return await _seen(agent, pool_id, evidence.NOTICES)


async def hours_run(agent: OneAgent, pool_id: str = HERE) -> list[float]:
    """Hours that instances ran in a pool, in the same windows."""
    return await _seen(agent, pool_id, evidence.HOURS)


async def _seen(agent: OneAgent, pool_id: str, names: list[str]) -> list[Any]:
    db, client_id = agent.scene.db, agent.state.client_id
    rows = await evidence.known_pools(db, client_id, [GROUP], at=clock.now())
    found = [[row[name] for name in names] for row in rows if row["pool_id"] == pool_id]
    return found[0] if found else [0] * len(names)


async def test_a_notice_and_the_end_of_its_instance_are_one_interruption(agent: OneAgent) -> None:
    await agent.is_noticed()
    await agent.is_noticed()
    await agent.scene.handle(agent.terminated())
    assert await notices(agent) == [1, 1, 1, 1]


async def test_an_interruption_counts_where_the_agent_itself_says_that_it_runs(
    agent: OneAgent,
) -> None:
    await agent.decides(current_pool="us-east-1a-pool-9")
    later(hours=2)
    await agent.is_noticed()
    assert await notices(agent, "us-east-1a-pool-9") == [1, 1, 1, 1]
    assert await notices(agent) == [0, 0, 0, 0]
    assert await hours_run(agent, "us-east-1a-pool-9") == pytest.approx([1, 2, 2, 2], abs=0.01)
    assert sum(await hours_run(agent)) == pytest.approx(0, abs=0.01)


async def test_the_end_that_is_told_before_its_notice_is_the_same_interruption(
    agent: OneAgent,
) -> None:
    await agent.scene.handle(agent.terminated())
    await agent.is_noticed(at=clock.now() - timedelta(hours=2))
    assert await notices(agent) == [0, 1, 1, 1]


async def test_windows_end(agent: OneAgent) -> None:
    await agent.is_noticed()
    later(hours=1, seconds=1)
    assert await notices(agent) == [0, 1, 1, 1]
    later(hours=24, seconds=1)
    assert await notices(agent) == [0, 0, 0, 1]
    later(hours=168, seconds=1)
    assert await notices(agent) == [0, 0, 0, 0]


@pytest.mark.parametrize("reason", ["manual", "system"])
async def test_an_instance_that_was_ended_in_order_is_no_interruption(
    agent: OneAgent, reason: str
) -> None:
    await agent.scene.handle(agent.terminated(reason=reason))
    assert await notices(agent) == [0, 0, 0, 0]


async def test_on_demand_instances_say_nothing_of_pools(agent: OneAgent) -> None:
    await agent.scene.handle(agent.terminated(mode="ondemand", pool_id=None))
    assert await notices(agent) == [0, 0, 0, 0]


async def test_a_recommendation_to_leave_is_no_interruption(agent: OneAgent) -> None:
    await agent.opens("rebalance_recommendation")
    assert await notices(agent) == [0, 0, 0, 0]


async def test_hours_are_counted_while_an_instance_runs(agent: OneAgent) -> None:
    later(hours=10)
    assert await hours_run(agent) == pytest.approx([1, 6, 10, 10], abs=0.01)
    await agent.changes(current_pool_id=THERE, instance_id="i-next")
    later(hours=12)
    assert await hours_run(agent) == pytest.approx([0, 4, 10, 10], abs=0.01)
    assert await hours_run(agent, THERE) == pytest.approx([1, 2, 2, 2], abs=0.01)


@pytest.mark.parametrize(
    "state",
    [
        {"status": AgentStatus.OFFLINE},
        {"deleted": True},
        {"current_mode": PurchaseMode.ONDEMAND},
    ],
)
async def test_an_instance_that_is_gone_runs_no_more(
    agent: OneAgent, state: dict[str, object]
) -> None:
    later(hours=3)
    await agent.changes(**state)
    later(hours=9)
    assert await hours_run(agent) == pytest.approx([0, 0, 3, 3], abs=0.01)


async def test_a_state_that_comes_late_changes_nothing(agent: OneAgent) -> None:
    old = agent.state
    await agent.changes(current_pool_id=THERE, instance_id="i-next")
    await agent.scene.handle(old)
    later(hours=2)
    assert await hours_run(agent) == pytest.approx([0, 0, 0, 0], abs=0.01)


async def test_another_clients_fleet_is_no_evidence(agent: OneAgent, decided: Scene) -> None:
    stranger = OneAgent(decided, client_id=UUID(int=1))
    await stranger.is_known()
    await stranger.is_noticed()
    assert await notices(agent) == [0, 0, 0, 0]


async def test_notices_raise_the_risk_of_the_pool_and_its_siblings(
    agent: OneAgent, decided: Scene
) -> None:
    calm = (await agent.decides({THERE: 0.0098, "us-east-1c-pool": 0.0099})).risk_score
    for _ in range(5):
        other = OneAgent(decided, client_id=agent.state.client_id, current_pool_id=THERE)
        await other.is_known()
        await other.is_noticed()
    answer = await agent.decides({THERE: 0.0098, "us-east-1c-pool": 0.0099})
    decision = await agent.explained()
    risk = {choice.pool_id: choice.risk_1h for choice in decision.choices}
    assert risk[THERE] > risk["us-east-1c-pool"] > calm
    assert answer.target_pool != THERE


async def test_a_decision_knows_nothing_of_what_came_later(agent: OneAgent, decided: Scene) -> None:
    before = await agent.decides()
    other = OneAgent(decided, client_id=agent.state.client_id, current_pool_id=THERE)
    await other.is_known()
    await other.is_noticed(at=clock.now() + timedelta(hours=1))
    await agent.reports({THERE: 0.05}, timestamp=clock.now() - timedelta(days=20))
    after = await agent.decides()
    assert after.risk_score == pytest.approx(before.risk_score, rel=0.01)
    assert after.target_pool == before.target_pool


async def test_a_price_told_twice_of_one_moment_is_kept_once(agent: OneAgent) -> None:
    moment = clock.now() - timedelta(minutes=5)
    assert await agent.reports({HERE: 0.0104, THERE: 0.0098}, timestamp=moment) == 2
    assert await agent.reports({HERE: 0.0104, THERE: 0.0098}, timestamp=moment) == 0
    assert await agent.kept_prices() == [0.0098]


async def test_a_late_price_does_not_become_the_present_one(agent: OneAgent) -> None:
    await agent.reports({HERE: 0.0104, THERE: 0.0098})
    assert await agent.reports({THERE: 0.001}, timestamp=clock.now() - timedelta(hours=1)) == 1
    assert await agent.kept_prices() == [0.001, 0.0098]
    assert (await agent.recommendation()).savings_impact == 0.0006


async def test_a_price_from_the_future_is_one_of_now(agent: OneAgent) -> None:
    await agent.reports({HERE: 0.0104})
    await agent.reports({THERE: 0.0098}, timestamp=clock.now() + timedelta(days=2))
    assert (await agent.recommendation()).target_pool == THERE


async def test_a_decide_request_keeps_prices_that_changed(agent: OneAgent) -> None:
    for price in (0.0098, 0.0098, 0.0097):
        await agent.decides({THERE: price})
    assert await agent.kept_prices() == [0.0098, 0.0097]
    later(hours=2)
    await agent.decides({THERE: 0.0097})
    assert await agent.kept_prices() == [0.0098, 0.0097, 0.0097]


async def test_heartbeats_bring_prices(agent: OneAgent) -> None:
    beat = example(
        AgentReportedChange,
        agent_id=agent.id,
        client_id=agent.state.client_id,
        current_pool_id=HERE,
        spot_price=0.0104,
        last_heartbeat_at=clock.now(),
    )
    await agent.scene.handle(beat)
    assert await agent.kept_prices(HERE) == [0.0104]
    assert (await agent.recommendation()).outcome is None


@pytest.mark.parametrize("price", [-1.0, float("nan"), float("inf"), 1001.0])
async def test_a_heartbeat_with_no_price_brings_none(agent: OneAgent, price: float) -> None:
    beat = example(AgentReportedChange, agent_id=agent.id, client_id=agent.state.client_id)
    await agent.scene.handle(beat.model_copy(update={"spot_price": price}))
    assert await agent.kept_prices("t3.medium.us-east-1a") == []


async def test_pools_are_told_of_when_they_are_news(agent: OneAgent) -> None:
    await agent.reports({THERE: 0.0098})
    await agent.scene.sweep()
    [told] = [one for one in agent.emitted(PoolState) if one.pool_id == THERE]
    assert (told.price_usd_per_hour, told.ondemand_usd_per_hour) == (0.0098, 0.0416)
    assert (told.az, told.client_id) == ("us-east-1b", agent.state.client_id)
    assert told.risk_1h < 1e-3
    await agent.scene.sweep()
    assert agent.emitted(PoolState) == []
    later(minutes=10)
    await agent.reports({THERE: 0.0099})
    await agent.scene.sweep()
    assert [one.price_usd_per_hour for one in agent.emitted(PoolState)] == [0.0099]


async def test_prices_in_the_report_of_a_switch_are_prices_of_their_pools(agent: OneAgent) -> None:
    await agent.reports({HERE: 0.0104, THERE: 0.0098})
    later(minutes=1)
    pricing = {"old_spot": 0.0200, "new_spot": 0.0097, "on_demand": 0.0416}
    await agent.switches(THERE, trigger="manual", az="us-east-1b", pricing=pricing)
    assert await agent.kept_prices(HERE) + await agent.kept_prices(THERE) == [
        0.0104,
        0.02,
        0.0098,
        0.0097,
    ]
    later(minutes=2)
    assert await agent.reports({HERE: 0.0104}) == 1


async def test_a_notice_is_told_as_risk(agent: OneAgent) -> None:
    await agent.decides()
    await agent.scene.sweep()
    before = {one.pool_id: one.risk_1h for one in agent.emitted(PoolState)}
    later(seconds=5)
    await agent.is_noticed()
    await agent.scene.sweep()
    after = {one.pool_id: one.risk_1h for one in agent.emitted(PoolState)}
    assert after[HERE] > before[HERE]
    assert after[THERE] > before[THERE]


async def test_a_known_history_needs_no_prior_for_confidence(agent: OneAgent) -> None:
    moment = clock.now()
    for hours in range(30, 0, -3):
        price = 0.0098 if hours % 2 else 0.0099
        await agent.reports({THERE: price}, timestamp=moment - timedelta(hours=hours))
    await agent.scene.sweep()
    answer = await agent.decides()
    assert "no history" not in answer.reason


@pytest.mark.parametrize("uptime_hours", [2, 24])
async def test_a_notice_to_another_agent_drives_nobody_to_a_pool_like_its_own(
    decided: Scene, uptime_hours: float
) -> None:
    """In pools of one price, of which only that one had a notice."""
    here, *others = (f"p3.2xlarge.us-east-1{zone}" for zone in "acdf")
    agent = OneAgent(decided, instance_type="p3.2xlarge", current_pool_id=here)
    other = OneAgent(
        decided,
        client_id=agent.state.client_id,
        instance_type="p3.2xlarge",
        current_pool_id=others[-1],
    )
    for one in (agent, other):
        await one.is_known()
    await other.is_noticed()
    answer = await agent.decides(
        dict.fromkeys(others, 0.918), price=0.918, ondemand=3.06, uptime_hours=uptime_hours
    )
    assert answer.recommendation is Recommendation.STAY
    own, noticed = [await agent.gate("risk_threshold", pool_id) for pool_id in (here, others[-1])]
    assert noticed.value > own.value
