"""Replicas: ordered, reported, promoted, given up, and kept standing in manual mode."""

from typing import Any

import pytest

from chassis import clock
from chassis.testing import Scene, example
from commands.invariants import violations
from spotkeeper_contracts.agents import AgentPromoted
from spotkeeper_contracts.commands import CommandFinished, CommandQueued
from spotkeeper_contracts.instances import RetireInstance
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import (
    ChangeReplica,
    CreateReplica,
    DeleteReplica,
    PromoteInstance,
    PromoteReplica,
    ReplicaChanged,
    ReportReplicaStatus,
    ReportReplicaSync,
)
from tests.commands.fleet import MANUAL, OneAgent, later

LIVE = ("launching", "syncing", "ready")


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


async def live(agent: OneAgent) -> list[str]:
    """Where its live replicas stand."""
    return [r.status.value for r in await agent.replicas() if r.status in LIVE]


async def test_an_ordered_replica_is_launched_by_a_command(agent: OneAgent) -> None:
    replica = await agent.replica()
    assert (replica.kind, replica.status, replica.instance_id) == ("manual", "launching", None)
    assert (replica.pool_id, replica.az) == ("t3.medium.us-east-1b", "us-east-1b")
    [command] = await agent.lease()
    assert command.command_id == replica.command_id
    assert (command.command_type, command.target_pool) == ("create_replica", replica.pool_id)
    assert (command.target_mode, command.priority) == ("spot", 75)
    assert command.parameters.replica_id == replica.replica_id


async def test_a_replica_syncs_until_it_holds_enough_data(agent: OneAgent) -> None:
    id = (await agent.replica()).replica_id
    assert await agent.refusal(ReportReplicaSync, replica_id=id) == "NOT_LAUNCHED"
    syncing = await agent.says(id, "syncing", instance_id="i-replica")
    assert (syncing.status, syncing.instance_id) == ("syncing", "i-replica")
    [finished] = agent.emitted(CommandFinished)
    assert (finished.status, finished.detail) == ("succeeded", "replica_launched")

    for percentage, status in ((60.0, "syncing"), (95.0, "ready"), (40.0, "ready")):
        answer = await agent.ask(ReportReplicaSync, replica_id=id, sync_percentage=percentage)
        assert (answer.replica.sync_percentage, answer.replica.status) == (percentage, status)
        assert [event.replica for event in agent.emitted(ReplicaChanged)] == [answer.replica]


async def test_the_same_report_again_changes_nothing(agent: OneAgent) -> None:
    replica = await agent.launched()
    again = await agent.says(replica.replica_id, "ready", instance_id="i-replica")
    assert again == replica
    assert agent.commands.emitted == []


async def test_a_replica_without_an_instance_is_neither_ready_nor_promoted(agent: OneAgent) -> None:
    id = (await agent.replica()).replica_id
    nothing = {"replica_id": id, "instance_id": None}
    assert await agent.refusal(ReportReplicaStatus, status="ready", **nothing) == "NOT_LAUNCHED"
    assert await agent.refusal(PromoteReplica, replica_id=id) == "NOT_LAUNCHED"


async def test_an_instance_has_one_part_in_an_agent(agent: OneAgent) -> None:
    await agent.launched("i-replica")
    id = (await agent.replica()).replica_id
    await agent.instance_ends("i-gone")
    for taken in ("i-replica", agent.state.instance_id, "i-gone"):
        fields = {"replica_id": id, "status": "syncing", "instance_id": taken}
        assert await agent.refusal(ReportReplicaStatus, **fields) == "INSTANCE_IN_USE"
        order = {"pool_id": None, "instance_id": taken}
        assert await agent.refusal(CreateReplica, **order) == "INSTANCE_IN_USE"


async def test_a_superseded_instance_does_not_stand_by(agent: OneAgent) -> None:
    about = {"agent_id": agent.id, "client_id": agent.state.client_id}
    told = {"previous_instance_id": "i-former", "previous_instance_status": "superseded"}
    await agent.commands.handle(example(AgentPromoted, **about, **told))
    order = {"pool_id": None, "instance_id": "i-former"}
    assert await agent.refusal(CreateReplica, **order) == "INSTANCE_IN_USE"


async def test_a_replica_whose_instance_is_there_needs_no_command(agent: OneAgent) -> None:
    replica = await agent.replica(instance_id="i-there", pool_id="t3.medium.us-east-1c")
    assert (replica.status, replica.az) == ("syncing", "us-east-1c")
    assert await agent.lease() == []


async def test_a_promotion_is_the_registrys_to_make(agent: OneAgent) -> None:
    replica = await agent.launched()
    switch = await agent.queue()
    order = await agent.ask(PromoteReplica, replica_id=replica.replica_id, epoch=1)
    assert isinstance(order, PromoteInstance)
    assert (order.instance.instance_id, order.epoch) == ("i-replica", 1)
    assert (order.demote_old_primary, order.termination) == (True, False)

    answer = await agent.promoted(order)
    assert (answer.replica.status, answer.revision) == ("promoted", agent.state.revision)
    ends = {e.command.command_id: e.detail for e in agent.emitted(CommandFinished)}
    assert ends == {switch: "superseded"}
    again = await agent.ask(PromoteReplica, replica_id=replica.replica_id, epoch=1)
    assert again.replica.status == "promoted"
    assert await agent.refusal(DeleteReplica, replica_id=replica.replica_id) == "REPLICA_ENDED"


async def test_a_replica_given_another_instance_while_it_is_promoted_leaves_that_behind(
    agent: OneAgent,
) -> None:
    replica = await agent.launched("i-promoted")
    order = await agent.ask(PromoteReplica, replica_id=replica.replica_id, epoch=1)
    await agent.says(replica.replica_id, "ready", instance_id="i-later")
    answer = await agent.promoted(order)
    assert (answer.replica.status, answer.replica.instance_id) == ("promoted", "i-promoted")
    assert [told.instance.instance_id for told in agent.emitted(RetireInstance)] == ["i-later"]


async def test_a_replica_on_the_primary_is_promoted_whoever_tells_first(agent: OneAgent) -> None:
    replica = await agent.launched()
    await agent.changes(instance_id="i-replica", epoch=2)
    later(seconds=3)
    await agent.commands.sweep()
    [changed] = agent.emitted(ReplicaChanged)
    assert (changed.replica.replica_id, changed.replica.status) == (replica.replica_id, "promoted")
    assert await violations(agent.commands.db.raw) == {}


async def test_one_that_syncs_is_not_promoted_if_it_must_hold_all(agent: OneAgent) -> None:
    id = (await agent.replica()).replica_id
    await agent.says(id, "syncing", instance_id="i-replica")
    fields = {"replica_id": id, "epoch": None}
    assert await agent.refusal(PromoteReplica, wait_for_sync=True, **fields) == "NOT_SYNCED"
    order = await agent.ask(PromoteReplica, wait_for_sync=False, demote_old_primary=False, **fields)
    assert (order.epoch, order.demote_old_primary) == (None, False)


@pytest.mark.parametrize("is_launched", [True, False])
async def test_a_replica_that_is_given_up_leaves_its_instance(
    agent: OneAgent, is_launched: bool
) -> None:
    replica = await (agent.launched() if is_launched else agent.replica())
    answer = await agent.ask(DeleteReplica, replica_id=replica.replica_id)
    ends = [(event.status, event.detail) for event in agent.emitted(CommandFinished)]
    if is_launched:
        assert isinstance(answer, RetireInstance)
        assert answer.instance.instance_id == "i-replica"
    else:
        assert answer == Done()
        assert ends == [("cancelled", "replica_ended")]
    [ended] = await agent.replicas()
    assert ended.status == "terminated"
    assert await agent.ask(DeleteReplica, replica_id=replica.replica_id) == Done()


async def test_a_replica_that_moves_leaves_its_instance_behind(agent: OneAgent) -> None:
    replica = await agent.launched("i-first")
    change = {"pool_id": "t3.medium.us-east-1c", "instance_id": "i-second"}
    answer = await agent.ask(ChangeReplica, replica_id=replica.replica_id, **change)
    assert (answer.replica.pool_id, answer.replica.instance_id) == tuple(change.values())
    assert answer.replica.az == "us-east-1c"
    [retired] = agent.emitted(RetireInstance)
    assert retired.instance.instance_id == "i-first"
    order = {"pool_id": None, "instance_id": "i-first"}
    assert await agent.refusal(CreateReplica, **order) == "INSTANCE_IN_USE"
    await agent.ask(ChangeReplica, replica_id=replica.replica_id, **change)
    assert agent.commands.emitted == []


@pytest.mark.parametrize("fetched", [False, True])
async def test_a_replica_that_is_to_be_elsewhere_is_launched_there(
    agent: OneAgent, fetched: bool
) -> None:
    replica = await agent.replica(pool_id="t3.medium.us-east-1b")
    if fetched:
        await agent.lease()
        later(minutes=2)
    change = {"pool_id": "t3.medium.us-east-1c", "instance_id": None}
    await agent.ask(ChangeReplica, replica_id=replica.replica_id, **change)
    [command] = await agent.lease()
    assert command.target_pool == ("t3.medium.us-east-1b" if fetched else change["pool_id"])


async def test_another_agents_replica_is_unknown(agent: OneAgent, commands: Scene) -> None:
    id = (await agent.launched()).replica_id
    stranger = OneAgent(commands)
    changing: list[Any] = [ChangeReplica, DeleteReplica, PromoteReplica, ReportReplicaSync]
    for kind in changing:
        assert await stranger.refusal(kind, replica_id=id) == "REPLICA_NOT_FOUND"
    assert await stranger.replicas() == []


async def test_a_replica_whose_launch_came_to_nothing_has_failed(agent: OneAgent) -> None:
    replica = await agent.replica()
    assert replica.command_id is not None
    await agent.report(replica.command_id, "failed", error="no capacity")
    [failed] = await agent.replicas()
    assert (failed.status, failed.error) == ("failed", "The command to launch it ended as failed")


async def test_a_launch_that_nobody_makes_fails_with_its_command(agent: OneAgent) -> None:
    await agent.replica()
    later(hours=1, seconds=1)
    await agent.commands.sweep()
    assert [r.status for r in await agent.replicas()] == ["failed"]


async def test_a_launch_whose_instance_nobody_names_fails_in_the_end(agent: OneAgent) -> None:
    replica = await agent.replica()
    assert replica.command_id is not None
    await agent.report(replica.command_id, "success")
    assert await live(agent) == ["launching"]
    later(hours=1, seconds=1)
    await agent.commands.sweep()
    [failed] = await agent.replicas(status="failed")
    assert "no instance" in str(failed.error)


async def test_a_replica_fails_with_its_instance(agent: OneAgent) -> None:
    await agent.launched()
    await agent.instance_ends("i-other")
    assert await live(agent) == ["ready"]
    await agent.instance_ends("i-replica")
    [failed] = await agent.replicas()
    assert (failed.status, failed.error) == ("failed", "Its instance was terminated")
    assert agent.emitted(RetireInstance) == []


async def test_a_deleted_agents_replicas_are_left_behind(agent: OneAgent) -> None:
    await agent.launched()
    await agent.replica()
    await agent.changes(deleted=True)
    assert [order.instance.instance_id for order in agent.emitted(RetireInstance)] == ["i-replica"]
    assert {r.status for r in await agent.replicas()} == {"terminated"}
    assert await violations(agent.commands.db.raw) == {}


async def test_manual_mode_keeps_replicas_standing(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL)
    assert await live(agent) == ["launching"]
    await agent.changes(config={"replica_count": 3})
    assert await live(agent) == ["launching"] * 3
    await agent.changes(config={"replica_count": 2})
    assert await live(agent) == ["launching"] * 2
    await agent.changes(config={"manual_replica_enabled": False})
    assert await live(agent) == []
    assert await agent.lease() == []


async def test_manual_mode_replaces_what_is_promoted_or_given_up(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL)
    [first] = await agent.replicas(status="launching")
    await agent.says(first.replica_id, "ready", instance_id="i-first")
    await agent.promoted(await agent.ask(PromoteReplica, replica_id=first.replica_id, epoch=None))
    assert len(agent.emitted(CommandQueued)) == 1
    [second] = await agent.replicas(status="launching")

    await agent.ask(DeleteReplica, replica_id=second.replica_id)
    [third] = await agent.replicas(status="launching")
    assert third.replica_id not in (first.replica_id, second.replica_id)
    assert await violations(agent.commands.db.raw) == {}


async def test_manual_mode_tries_again_when_a_launch_failed_after_a_pause(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL)
    [first] = await agent.replicas()
    await agent.says(first.replica_id, "failed", error="no capacity")
    assert await live(agent) == []
    later(seconds=61)
    await agent.commands.sweep()
    assert await live(agent) == ["launching"]


async def test_an_ordered_replica_stands_beside_the_kept_ones(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL)
    ordered = await agent.replica()
    assert await live(agent) == ["launching"] * 2
    await agent.changes(config={"manual_replica_enabled": False})
    assert [r.replica_id for r in await agent.replicas(status="launching")] == [ordered.replica_id]


async def test_a_disabled_agent_keeps_what_stands_and_creates_nothing(agent: OneAgent) -> None:
    await agent.changes(config=MANUAL | {"enabled": False})
    assert await live(agent) == []
    await agent.changes(config={"enabled": True})
    assert await live(agent) == ["launching"]
    assert clock.now() >= (await agent.replicas())[0].created_at
