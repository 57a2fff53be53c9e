"""Notices of termination: who takes over, who goes on demand, and what a repeat gets."""

from datetime import timedelta

import pytest

from chassis import clock
from chassis.testing import Scene
from commands.invariants import violations
from spotkeeper_contracts.commands import CancelCommand, CommandFinished
from spotkeeper_contracts.emergencies import EmergencyClosed, EmergencyOpened
from spotkeeper_contracts.replicas import DeleteReplica, PromoteInstance
from tests.commands.fleet import OneAgent, later


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


async def test_a_notice_promotes_a_replica_that_is_there(agent: OneAgent) -> None:
    replica = await agent.launched()
    order = await agent.notice()
    assert isinstance(order, PromoteInstance)
    assert (order.replica_id, order.termination) == (replica.replica_id, True)
    assert order.instance.instance_id == "i-replica"
    assert (await agent.last_event())[1:] == ("termination_notice", "replica_promoted", "pending")

    repeated = await agent.notice()
    assert repeated == order
    answer = await agent.promoted(order)
    assert (answer.action_taken, answer.replica_id) == ("replica_promoted", replica.replica_id)
    assert (await agent.last_event())[0] is False
    assert (await agent.last_event())[3] == "success"
    assert (await agent.emergencies()).termination_notices_24h == 1


async def test_a_notice_promotes_a_replica_as_soon_as_it_is_there(agent: OneAgent) -> None:
    replica = await agent.replica()
    answer = await agent.notice()
    assert (answer.action_taken, answer.replica_id) == ("promotion_pending", replica.replica_id)
    assert await agent.notice() == answer
    await agent.says(replica.replica_id, "syncing", instance_id="i-replica")
    [order] = agent.emitted(PromoteInstance)
    await agent.promoted(order)
    assert (await agent.last_event())[1:] == ("termination_notice", "replica_promoted", "success")


async def test_a_notice_without_a_replica_sends_the_agent_on_demand(agent: OneAgent) -> None:
    await agent.changes(config={"auto_switch_enabled": False})
    answer = await agent.notice()
    assert (answer.action_taken, answer.replica_id) == ("switch_to_ondemand", None)
    assert await agent.notice() == answer
    [command] = await agent.lease()
    assert command.command_id == answer.command_id
    assert (command.command_type, command.target_mode) == ("switch", "ondemand")
    assert (command.target_pool, command.priority) == (None, 100)
    assert command.parameters.trigger == "emergency"
    await agent.report(command.command_id)
    assert (await agent.last_event())[0] is False
    assert (await agent.last_event())[2:] == ("switch_to_ondemand", "success")


async def test_who_is_on_its_way_on_demand_gets_no_replica_as_well(agent: OneAgent) -> None:
    await agent.notice()
    assert await agent.rebalance() == ("no_action", None)
    [command] = await agent.lease()
    assert command.command_type == "switch"
    assert (await agent.last_event())[1:] == ("termination_notice", "switch_to_ondemand", "pending")
    await agent.report(command.command_id, status="failed")
    assert (await agent.rebalance())[0] == "replica_created"


@pytest.mark.parametrize("how", ["deleted", "failed", "gone"])
async def test_a_notice_has_an_answer_even_if_the_replica_is_lost(
    agent: OneAgent, how: str
) -> None:
    if how == "gone":
        replica = await agent.launched()
        await agent.notice()
        await agent.instance_ends("i-replica")
    else:
        replica = await agent.replica()
        await agent.notice()
        if how == "deleted":
            await agent.ask(DeleteReplica, replica_id=replica.replica_id)
        else:
            await agent.says(replica.replica_id, "failed")
    [command] = await agent.lease()
    assert (command.command_type, command.target_mode) == ("switch", "ondemand")
    answer = await agent.notice()
    assert (answer.action_taken, answer.command_id) == ("switch_to_ondemand", command.command_id)
    assert (await agent.last_event())[1:] == ("termination_notice", "switch_to_ondemand", "pending")
    assert await violations(agent.commands.db.raw) == {}


async def test_a_disabled_agent_is_left_alone_until_it_is_enabled(agent: OneAgent) -> None:
    await agent.changes(config={"enabled": False})
    told = []
    for _ in range(2):
        answer = await agent.notice()
        assert (answer.action_taken, answer.replica_id) == ("no_action", None)
        assert answer.command_id is None
        told += [event.action_taken for event in agent.emitted(EmergencyOpened)]
    assert told == ["no_action"]
    assert await agent.last_event() == (False, "termination_notice", "no_action", "none")
    await agent.changes(config={"enabled": True})
    assert (await agent.notice()).action_taken == "switch_to_ondemand"
    assert (await agent.emergencies()).termination_notices_24h == 1


async def test_a_notice_of_another_instance_changes_nothing_but_a_replica_there(
    agent: OneAgent,
) -> None:
    await agent.launched("i-replica")
    assert (await agent.notice(instance_id="i-other")).action_taken == "no_action"
    assert [r.status for r in await agent.replicas()] == ["ready"]
    assert (await agent.notice(instance_id="i-replica")).action_taken == "no_action"
    assert [r.status for r in await agent.replicas()] == ["failed"]


@pytest.mark.parametrize("primary", ["i-first", None])
async def test_the_replica_that_ends_itself_is_no_rescue(
    agent: OneAgent, primary: str | None
) -> None:
    await agent.launched("i-first")
    second = await agent.launched("i-second")
    await agent.changes(instance_id=primary)
    order = await agent.notice(instance_id="i-first")
    assert isinstance(order, PromoteInstance)
    assert order.replica_id == second.replica_id


async def test_the_primary_itself_is_no_replica_that_is_ready(agent: OneAgent) -> None:
    await agent.launched("i-replica")
    await agent.changes(instance_id="i-replica")
    assert (await agent.rebalance())[0] != "replica_ready"


async def test_notices_are_counted_for_a_day(agent: OneAgent) -> None:
    await agent.notice(instance_id="i-other")
    await agent.notice()
    assert (await agent.emergencies()).termination_notices_24h == 2
    await agent.rebalance()
    assert (await agent.emergencies()).termination_notices_24h == 2
    later(hours=24, seconds=1)
    assert (await agent.emergencies()).termination_notices_24h == 0


async def test_an_emergency_switch_that_nobody_makes_fails(agent: OneAgent) -> None:
    await agent.notice()
    later(minutes=15, seconds=1)
    await agent.commands.sweep()
    assert [event.status for event in agent.emitted(CommandFinished)] == ["expired"]
    assert [closed.outcome for closed in agent.emitted(EmergencyClosed)] == ["failed"]


@pytest.mark.parametrize("how", ["failed", "cancelled", "expired"])
async def test_a_notice_given_again_is_met_anew_if_nothing_came_of_the_first(
    agent: OneAgent, how: str
) -> None:
    first = await agent.notice()
    if how == "failed":
        await agent.lease()
        await agent.report(first.command_id, status="failed")
    elif how == "cancelled":
        await agent.ask(CancelCommand, command_id=first.command_id)
    else:
        later(minutes=15, seconds=1)
        await agent.commands.sweep()
    second = await agent.notice()
    assert second.action_taken == "switch_to_ondemand"
    assert [command.command_id for command in await agent.lease()] == [second.command_id]
    assert second.command_id != first.command_id
    assert (await agent.last_event())[1:] == ("termination_notice", "switch_to_ondemand", "pending")
    assert (await agent.emergencies()).termination_notices_24h == 1


async def test_a_replica_that_is_there_by_now_is_the_answer_to_a_notice_given_again(
    agent: OneAgent,
) -> None:
    first = await agent.notice()
    await agent.lease()
    await agent.report(first.command_id, status="failed")
    replica = await agent.launched()
    order = await agent.notice()
    assert isinstance(order, PromoteInstance)
    assert order.replica_id == replica.replica_id


async def test_a_notice_whose_switch_is_made_is_not_met_anew(agent: OneAgent) -> None:
    first = await agent.notice()
    await agent.lease()
    await agent.report(first.command_id)
    assert await agent.notice() == first
    assert await agent.lease() == []


async def test_another_notice_to_an_agent_that_came_back_is_met_anew(agent: OneAgent) -> None:
    before, end = agent.state.instance_id, clock.now() + timedelta(minutes=2)
    first = await agent.notice(termination_time=end)
    await agent.lease()
    await agent.report(first.command_id)
    await agent.changes(instance_id="i-elsewhere")
    await agent.changes(instance_id=before)
    assert await agent.notice(termination_time=end) == first
    second = await agent.notice(termination_time=end + timedelta(hours=1))
    assert [command.command_id for command in await agent.lease()] == [second.command_id]


async def test_a_revived_agent_is_saved_as_a_new_one_is(agent: OneAgent) -> None:
    first = await agent.notice()
    await agent.changes(deleted=True)
    await agent.changes(deleted=False, epoch=2)
    second = await agent.notice()
    assert [command.command_id for command in await agent.lease()] == [second.command_id]
    assert second.command_id != first.command_id


async def test_another_notice_of_an_instance_counts_from_its_own_moment(agent: OneAgent) -> None:
    end = clock.now() + timedelta(minutes=2)
    first = await agent.notice(termination_time=end)
    await agent.lease()
    await agent.report(first.command_id)
    later(hours=25)
    assert (await agent.emergencies()).termination_notices_24h == 0
    await agent.notice(termination_time=end + timedelta(hours=25))
    assert (await agent.emergencies()).termination_notices_24h == 1


@pytest.mark.parametrize("is_known", [False, True])
async def test_a_promotion_that_waits_is_over_once_the_agent_has_left_by_itself(
    agent: OneAgent, is_known: bool
) -> None:
    threatened = agent.state.instance_id
    await agent.replica()
    assert (await agent.notice()).action_taken == "promotion_pending"
    await agent.changes(instance_id="i-elsewhere", epoch=2)
    if is_known:
        later(seconds=3)
        await agent.commands.sweep()
    answer = await agent.notice(instance_id=threatened)
    assert (answer.action_taken, answer.replica_id, answer.command_id) == ("no_action", None, None)
