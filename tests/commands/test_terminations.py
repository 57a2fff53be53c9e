"""Notices of termination whose replica comes too late, or cannot take over."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

import pytest

from chassis import clock
from chassis.testing import Scene
from commands.invariants import violations
from commands.rules import emergencies
from commands.rules.emergencies import Action, Outcome, Threat
from spotkeeper_contracts.emergencies import EmergencyChanged, EmergencyClosed, EmergencyOpened
from spotkeeper_contracts.replicas import (
    DeleteReplica,
    PromoteInstance,
    RecordPromotion,
    Replica,
    ReportReplicaStatus,
)
from tests.commands.fleet import HOME, OneAgent, later
from tests.commands.fleet import agent as state_of_agent

NOW = datetime(2026, 1, 1, tzinfo=UTC)
PENDING = Threat(
    action=Action.PROMOTION_PENDING,
    instance_id=HOME,
    expires_at=NOW + timedelta(hours=2),
    ends_at=NOW,
    replica_status=None,
    replica_instance_id=None,
    command_status=None,
)


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


@pytest.mark.parametrize(
    ("seconds_left", "known", "goes_on_demand"),
    [
        (61, {}, False),
        (60, {}, True),
        (-5, {}, True),
        (60, {"replica_instance_id": "i-replica"}, False),
        (60, {"action": Action.REPLICA_PROMOTED}, False),
    ],
)
def test_a_launch_is_waited_for_while_there_is_time_to_move(
    seconds_left: int, known: dict[str, Any], goes_on_demand: bool
) -> None:
    ends_at = NOW + timedelta(seconds=seconds_left)
    one, state = replace(PENDING, ends_at=ends_at, **known), state_of_agent()
    found = emergencies.should_go_on_demand(one, Outcome.PENDING, state, NOW)
    assert found is goes_on_demand


def test_a_notice_of_an_end_that_is_over_leaves_two_minutes() -> None:
    late = NOW - timedelta(days=1)
    assert emergencies.end_of(late, NOW) == NOW + timedelta(minutes=2)
    assert emergencies.end_of(NOW + timedelta(seconds=9), NOW) == NOW + timedelta(seconds=9)
    assert emergencies.end_of(None, NOW) is None


async def test_a_replica_that_is_launched_too_late_is_not_waited_for(agent: OneAgent) -> None:
    await agent.replica()
    assert (await agent.notice()).action_taken == "promotion_pending"
    later(seconds=59)
    await agent.commands.sweep()
    assert (await agent.notice()).action_taken == "promotion_pending"
    later(seconds=61)
    await agent.commands.sweep()
    [switch] = [c for c in await agent.lease() if c.command_type == "switch"]
    answer = await agent.notice()
    assert (answer.action_taken, answer.command_id) == ("switch_to_ondemand", switch.command_id)


async def test_that_a_late_launch_is_waited_for_no_more_is_told(agent: OneAgent) -> None:
    replica = await agent.replica()
    await agent.notice()
    [opened] = agent.emitted(EmergencyOpened)
    later(seconds=61)
    await agent.commands.sweep()
    [changed] = agent.emitted(EmergencyChanged)
    [switch] = [c for c in await agent.lease() if c.command_type == "switch"]
    assert (changed.agent_id, changed.client_id) == (agent.id, agent.state.client_id)
    assert (changed.emergency_id, changed.action_taken) == (
        opened.emergency_id,
        "switch_to_ondemand",
    )
    assert (changed.replica_id, changed.command_id) == (replica.replica_id, switch.command_id)


async def test_that_a_pending_promotion_begins_is_told_before_it_ends(agent: OneAgent) -> None:
    replica = await agent.replica()
    await agent.notice()
    assert agent.emitted(EmergencyChanged) == []
    await agent.says(replica.replica_id, "syncing", instance_id="i-replica")
    [changed] = agent.emitted(EmergencyChanged)
    assert (changed.action_taken, changed.command_id) == ("replica_promoted", None)
    assert agent.emitted(EmergencyClosed) == []


async def test_a_notice_that_leaves_no_time_is_answered_at_once(agent: OneAgent) -> None:
    await agent.replica()
    soon = clock.now() + timedelta(seconds=30)
    assert (await agent.notice(termination_time=soon)).action_taken == "switch_to_ondemand"


async def refused(agent: OneAgent, order: Any, *, former: str | None = HOME) -> Any:
    """Let the registry refuse an order to promote; the answer of who recorded that."""
    assert isinstance(order, PromoteInstance)
    return await agent.ask(
        RecordPromotion,
        replica_id=order.replica_id,
        former_instance_id=former,
        emergency_id=order.emergency_id,
        termination=True,
        refused="The new instance is zombie",
    )


@pytest.mark.parametrize("former", [HOME, "i-since", None])
async def test_a_promotion_that_cannot_be_is_no_answer_to_a_notice(
    agent: OneAgent, former: str | None
) -> None:
    replica = await agent.launched()
    answer = await refused(agent, await agent.notice(), former=former)
    [command] = await agent.lease()
    assert (answer.action_taken, answer.command_id) == ("switch_to_ondemand", command.command_id)
    [failed] = await agent.replicas()
    assert (failed.replica_id, failed.status) == (replica.replica_id, "failed")
    assert failed.error == "The new instance is zombie"


async def test_an_agent_that_has_left_by_itself_keeps_its_replica(agent: OneAgent) -> None:
    replica = await agent.launched()
    order = await agent.notice()
    assert isinstance(order, PromoteInstance)
    assert order.threatened_instance_id == agent.state.instance_id
    await agent.changes(instance_id="i-elsewhere", epoch=2)
    answer = await agent.ask(
        RecordPromotion,
        replica_id=order.replica_id,
        former_instance_id="i-elsewhere",
        emergency_id=order.emergency_id,
        termination=True,
        refused="The agent has moved to i-elsewhere already",
    )
    assert (answer.action_taken, answer.replica_id, answer.command_id) == ("no_action", None, None)
    assert (await agent.emergencies()).emergency_mode_active is False
    [kept] = await agent.replicas()
    assert (kept.replica_id, kept.status) == (replica.replica_id, replica.status)
    assert await agent.lease() == []


async def test_a_replica_that_is_taking_over_is_neither_deleted_nor_failed(
    agent: OneAgent,
) -> None:
    id = (await agent.launched()).replica_id
    await agent.notice()
    assert await agent.refusal(DeleteReplica, replica_id=id) == "REPLICA_ENDED"
    failed = {"replica_id": id, "status": "failed"}
    assert await agent.refusal(ReportReplicaStatus, **failed) == "REPLICA_ENDED"
    assert [replica.status for replica in await agent.replicas()] == ["ready"]


async def two_replicas(agent: OneAgent) -> tuple[Replica, Replica]:
    """The one that a notice waits for, and another that is to be launched as well."""
    first, second = await agent.replica(), await agent.replica()
    answer = await agent.notice()
    assert (answer.action_taken, answer.replica_id) == ("promotion_pending", first.replica_id)
    return first, second


@pytest.mark.parametrize("status", ["syncing", "ready"])
async def test_whichever_replica_is_launched_first_takes_over(agent: OneAgent, status: str) -> None:
    _, second = await two_replicas(agent)
    await agent.says(second.replica_id, status, instance_id="i-second")
    [order] = agent.emitted(PromoteInstance)
    [changed] = agent.emitted(EmergencyChanged)
    assert (order.replica_id, order.emergency_id) == (second.replica_id, changed.emergency_id)
    assert (changed.action_taken, changed.replica_id) == ("replica_promoted", second.replica_id)
    repeated = await agent.notice()
    assert isinstance(repeated, PromoteInstance)
    assert repeated.replica_id == second.replica_id
    await agent.promoted(order)
    assert (await agent.last_event())[1:] == ("termination_notice", "replica_promoted", "success")
    assert await violations(agent.commands.db.raw) == {}


async def test_a_disabled_agent_is_promoted_to_no_other_replica(agent: OneAgent) -> None:
    _, second = await two_replicas(agent)
    await agent.changes(config={"enabled": False})
    await agent.says(second.replica_id, "ready", instance_id="i-second")
    assert agent.emitted(PromoteInstance) == []


async def test_a_replica_that_is_lost_while_it_takes_over_is_replaced_by_another(
    agent: OneAgent,
) -> None:
    await agent.launched("i-first")
    second = await agent.launched("i-second")
    await agent.notice()
    await agent.instance_ends("i-first")
    [order] = agent.emitted(PromoteInstance)
    assert order.replica_id == second.replica_id
    assert [command.command_type for command in await agent.lease()] == []
    assert (await agent.last_event())[1:] == ("termination_notice", "replica_promoted", "pending")


async def test_a_notice_whose_promotion_cannot_be_is_answered_by_that_of_another(
    agent: OneAgent,
) -> None:
    await agent.launched("i-first")
    second = await agent.launched("i-second")
    answer = await refused(agent, await agent.notice())
    assert isinstance(answer, PromoteInstance)
    assert (answer.replica_id, answer.termination) == (second.replica_id, True)
    [order] = agent.emitted(PromoteInstance)
    assert order.emergency_id == answer.emergency_id
    answer = await refused(agent, answer)
    [command] = await agent.lease()
    assert (answer.action_taken, answer.command_id) == ("switch_to_ondemand", command.command_id)
    assert await violations(agent.commands.db.raw) == {}


async def test_a_notice_of_an_earlier_end_leaves_less_time_to_wait(agent: OneAgent) -> None:
    await agent.replica()
    later_end, end = (clock.now() + timedelta(seconds=left) for left in (600, 30))
    assert (await agent.notice(termination_time=later_end)).action_taken == "promotion_pending"
    answer = await agent.notice(termination_time=end)
    [switch] = [c for c in await agent.lease() if c.command_type == "switch"]
    assert (answer.action_taken, answer.command_id) == ("switch_to_ondemand", switch.command_id)
    assert await agent.notice(termination_time=later_end) == answer
