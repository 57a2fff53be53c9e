"""Emergencies: what is done when AWS warns, how each ends, and what the status tells of it."""

from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene
from commands.invariants import violations
from spotkeeper_contracts.emergencies import EmergencyClosed, EmergencyOpened
from spotkeeper_contracts.instances import RetireInstance
from spotkeeper_contracts.replicas import PromoteInstance
from tests.commands.fleet import MANUAL, OneAgent, later


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


async def test_an_agent_without_emergencies_says_so(agent: OneAgent) -> None:
    status = await agent.emergencies()
    assert status.model_dump(exclude={"revision"}) == {
        "emergency_mode_active": False,
        "last_emergency_event": None,
        "emergency_replicas_count": 0,
        "termination_notices_24h": 0,
    }


async def test_a_recommendation_makes_one_replica(agent: OneAgent) -> None:
    action, id = await agent.rebalance()
    assert action == "replica_created"
    [opened] = agent.emitted(EmergencyOpened)
    assert (opened.replica_id, opened.instance_id) == (id, agent.state.instance_id)
    assert (opened.expires_at - opened.at).total_seconds() == 7200
    assert await agent.rebalance() == (action, id)
    assert agent.commands.emitted == []

    [replica] = await agent.replicas()
    assert (replica.replica_id, replica.kind) == (id, "emergency")
    [command] = await agent.lease()
    assert (command.command_type, command.priority) == ("create_replica", 100)
    assert command.parameters.trigger == "emergency"
    assert (command.expires_at - command.created_at).total_seconds() == 900
    told = await agent.last_event()
    assert told == (True, "rebalance_recommendation", "emergency_replica_created", "pending")
    assert (await agent.emergencies()).emergency_replicas_count == 1


@pytest.mark.parametrize("status", ["syncing", "ready"])
async def test_a_launched_replica_is_the_answer_to_a_recommendation(
    agent: OneAgent, status: str
) -> None:
    id = (await agent.replica()).replica_id
    await agent.says(id, status, instance_id="i-replica")
    assert await agent.rebalance() == ("replica_ready", id)
    assert await agent.rebalance() == ("replica_ready", id)
    assert agent.commands.emitted == []
    assert await agent.last_event() == (
        True,
        "rebalance_recommendation",
        "replica_ready",
        "pending",
    )


async def test_an_emergency_replica_that_is_launched_is_ready(agent: OneAgent) -> None:
    _, id = await agent.rebalance()
    assert id is not None
    await agent.says(id, "syncing", instance_id="i-replica")
    assert await agent.rebalance() == ("replica_ready", id)


@pytest.mark.parametrize("setting", ["auto_create_replica", "enabled"])
async def test_a_recommendation_may_be_answered_with_nothing(agent: OneAgent, setting: str) -> None:
    await agent.changes(config={setting: False})
    opens, closes = [], []
    for _ in range(3):
        assert await agent.rebalance() == ("no_action", None)
        opens += agent.emitted(EmergencyOpened)
        closes += agent.emitted(EmergencyClosed)
    [opened], [closed] = opens, closes
    assert (opened.action_taken, closed.outcome) == ("no_action", "none")
    assert opened.emergency_id == closed.emergency_id
    assert await agent.last_event() == (False, "rebalance_recommendation", "no_action", "none")
    rows = await agent.commands.db.raw.fetch("select 1 from emergencies")
    assert len(rows) == 1
    assert await agent.replicas() == []


async def test_the_moment_of_the_last_recommendation_is_kept(agent: OneAgent) -> None:
    before = clock.now()
    await agent.rebalance()
    at = await agent.commands.db.raw.fetchval(
        "select last_rebalance_recommendation_at from agent_contexts where agent_id = $1", agent.id
    )
    assert before <= at <= clock.now()


async def test_an_emergency_ends_by_itself_and_its_replica_with_it(agent: OneAgent) -> None:
    _, id = await agent.rebalance()
    assert id is not None
    await agent.says(id, "ready", instance_id="i-replica")
    later(hours=1, minutes=59)
    await agent.commands.sweep()
    assert (await agent.last_event())[0]
    later(hours=2, seconds=1)
    await agent.commands.sweep()
    assert [closed.outcome for closed in agent.emitted(EmergencyClosed)] == ["expired"]
    assert [order.instance.instance_id for order in agent.emitted(RetireInstance)] == ["i-replica"]
    assert (await agent.emergencies()).emergency_replicas_count == 0
    assert (await agent.last_event())[0] is False
    assert await violations(agent.commands.db.raw) == {}


async def test_an_operators_replica_outlives_the_emergency(agent: OneAgent) -> None:
    replica = await agent.launched()
    await agent.rebalance()
    later(hours=2, seconds=1)
    await agent.commands.sweep()
    assert [closed.outcome for closed in agent.emitted(EmergencyClosed)] == ["expired"]
    assert await agent.replicas() == [replica]


async def test_a_recommendation_after_one_that_is_over_begins_anew(agent: OneAgent) -> None:
    _, first = await agent.rebalance()
    later(hours=2, seconds=1)
    action, second = await agent.rebalance()
    assert action == "replica_created"
    assert second not in (first, None)
    assert {r.replica_id: r.status for r in await agent.replicas()}[UUID(str(first))] == "failed"
    assert await violations(agent.commands.db.raw) == {}


async def test_an_emergency_is_over_once_the_agent_lives_elsewhere(agent: OneAgent) -> None:
    _, id = await agent.rebalance()
    assert id is not None
    await agent.says(id, "ready", instance_id="i-replica")
    await agent.changes(instance_id="i-elsewhere", epoch=2)
    later(seconds=3)
    await agent.commands.sweep()
    assert [closed.outcome for closed in agent.emitted(EmergencyClosed)] == ["success"]
    assert [r.status for r in await agent.replicas()] == ["terminated"]


async def test_a_launch_that_fails_ends_its_emergency(agent: OneAgent) -> None:
    _, id = await agent.rebalance()
    assert id is not None
    await agent.says(id, "failed", error="no capacity")
    assert (await agent.last_event())[3] == "failed"
    action, another = await agent.rebalance()
    assert (action, another == id) == ("replica_created", False)


@pytest.mark.parametrize(
    ("risks", "pool"),
    [
        ({}, "t3.medium.us-east-1b"),
        ({"b": (0.3, 0.01), "c": (0.1, 0.02)}, "t3.medium.us-east-1c"),
        ({"b": (0.1, 0.01), "c": (0.1, 0.02)}, "t3.medium.us-east-1b"),
        ({"a": (0.0, 0.0), "c": (0.9, 0.9)}, "t3.medium.us-east-1c"),
    ],
)
async def test_a_replica_lies_where_interruptions_are_the_rarest(
    agent: OneAgent, risks: dict[str, tuple[float, float]], pool: str
) -> None:
    for zone, (risk, price) in risks.items():
        az = f"us-east-1{zone}"
        await agent.pool(az, price, risk_1h=risk)
    await agent.rebalance()
    assert [replica.pool_id for replica in await agent.replicas()] == [pool]


async def test_a_deleted_agent_has_no_emergencies(agent: OneAgent) -> None:
    await agent.rebalance()
    await agent.notice()
    await agent.changes(deleted=True)
    outcomes: list[Any] = [closed.outcome for closed in agent.emitted(EmergencyClosed)]
    assert outcomes == ["expired", "expired"]
    assert await violations(agent.commands.db.raw) == {}


async def test_a_kept_replica_that_an_emergency_relies_on_stands_until_that_is_over(
    agent: OneAgent,
) -> None:
    await agent.changes(config=MANUAL)
    [kept] = await agent.replicas()
    await agent.says(kept.replica_id, "ready", instance_id="i-kept")
    assert await agent.rebalance() == ("replica_ready", kept.replica_id)
    await agent.changes(config={"manual_replica_enabled": False})
    assert await agent.rebalance() == ("replica_ready", kept.replica_id)
    assert [r.status for r in await agent.replicas()] == ["ready"]
    assert await violations(agent.commands.db.raw) == {}

    later(hours=2, seconds=1)
    await agent.commands.sweep()
    assert [closed.outcome for closed in agent.emitted(EmergencyClosed)] == ["expired"]
    assert [order.instance.instance_id for order in agent.emitted(RetireInstance)] == ["i-kept"]
    assert await violations(agent.commands.db.raw) == {}


async def test_a_kept_replica_that_a_notice_waits_for_is_still_launched(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL)
    [kept] = await agent.replicas()
    assert (await agent.notice()).replica_id == kept.replica_id
    await agent.changes(config={"manual_replica_enabled": False})
    assert [command.command_id for command in await agent.lease()] == [kept.command_id]
    await agent.says(kept.replica_id, "syncing", instance_id="i-kept")
    [order] = agent.emitted(PromoteInstance)
    await agent.promoted(order)
    assert (await agent.last_event())[1:] == ("termination_notice", "replica_promoted", "success")
    assert await violations(agent.commands.db.raw) == {}


@pytest.mark.parametrize("status", ["launching", "ready"])
async def test_a_recommendation_right_after_a_move_is_about_the_new_instance(
    agent: OneAgent, status: str
) -> None:
    _, first = await agent.rebalance()
    assert first is not None
    if status == "ready":
        await agent.says(first, "ready", instance_id="i-first")
    await agent.changes(instance_id="i-elsewhere", epoch=2)
    action, second = await agent.rebalance()
    assert (action, second == first) == ("replica_created", False)
    assert [r.replica_id for r in await agent.replicas(status="launching")] == [second]
    assert await agent.last_event() == (
        True,
        "rebalance_recommendation",
        "emergency_replica_created",
        "pending",
    )
    assert await violations(agent.commands.db.raw) == {}


async def test_a_switch_that_the_former_instance_was_told_of_answers_for_it_alone(
    agent: OneAgent,
) -> None:
    await agent.notice()
    await agent.changes(instance_id="i-elsewhere", epoch=2)
    action, id = await agent.rebalance()
    assert (action, id is None) == ("replica_created", False)
    [command] = await agent.lease()
    assert (command.command_type, command.parameters.replica_id) == ("create_replica", id)
    assert agent.told_of_queue() == (0, None)
    assert await violations(agent.commands.db.raw) == {}


async def test_an_emergency_that_nothing_is_done_about_is_found(agent: OneAgent) -> None:
    await agent.rebalance()
    broken = "update replicas set status = 'failed', ended_at = now() where agent_id = $1"
    await agent.commands.db.raw.execute(broken, agent.id)
    found = await violations(agent.commands.db.raw)
    assert [*found] == ["an open emergency has a live replica or an open command"]
