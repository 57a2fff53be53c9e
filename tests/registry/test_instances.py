"""Zombies: listed when their wait is over and nobody lives on them, until they are gone."""

from datetime import timedelta
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.agents import AgentState, DeleteAgent
from spotkeeper_contracts.clients import CreateClient, DeleteClient
from spotkeeper_contracts.instances import (
    InstanceBecameZombie,
    InstanceTerminated,
    ListInstancesToTerminate,
    ReportCleanup,
    ReportTermination,
    RetireInstance,
    TerminationFailed,
    TerminationReason,
)
from spotkeeper_contracts.replicas import Replica, ReplicaChanged, ReplicaStatus
from tests.registry.fleet import OneAgent, instance

FIRST, SECOND = "i-first", "i-second"
WAIT = timedelta(seconds=300)


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    """An agent that has switched, so that its first instance is a zombie."""
    agent = OneAgent(registry)
    await agent.register(FIRST)
    await agent.report(FIRST, SECOND, timing={"old_terminated_at": None})
    return agent


async def test_a_zombie_is_listed_when_its_wait_is_over(agent: OneAgent) -> None:
    clock.move(WAIT - timedelta(seconds=5))
    assert await agent.to_terminate() == []
    clock.move(WAIT + timedelta(seconds=1))
    (listed,) = (await agent.ask(ListInstancesToTerminate)).instances
    assert (listed.instance_id, listed.reason, listed.age_hours) == (
        FIRST,
        "zombie_instance",
        0.1,
    )
    assert abs(listed.terminate_after - clock.now()) <= timedelta(seconds=2)


async def test_nothing_is_listed_while_the_agent_may_not_terminate(agent: OneAgent) -> None:
    await agent.change(auto_terminate_enabled=False)
    clock.move(WAIT * 2)
    assert await agent.to_terminate() == []


async def test_what_another_agent_lives_on_is_never_listed(
    agent: OneAgent, registry: Scene
) -> None:
    clock.move(WAIT * 2)
    assert await agent.to_terminate() == [FIRST]
    stranger = OneAgent(registry, client_id=UUID(int=8))
    await stranger.register(FIRST)
    assert await agent.to_terminate() == []
    assert await stranger.to_terminate() == []


async def test_what_is_anothers_is_not_listed_for_one_who_names_it(
    agent: OneAgent, registry: Scene
) -> None:
    owner = OneAgent(registry, client_id=UUID(int=8))
    await owner.register("i-owned")
    clock.move(timedelta(seconds=1))
    for named in ("i-owned", "i-replica"):
        await agent.ask(RetireInstance, instance=instance(named))
    told = example(Replica, status=ReplicaStatus.READY, instance_id="i-replica")
    about = {"agent_id": owner.id, "client_id": owner.client_id}
    await registry.handle(example(ReplicaChanged, **about, replica=told))
    await owner.report("i-owned", "i-next", timing={"old_terminated_at": None})
    clock.move(WAIT * 3)
    assert await agent.to_terminate() == [FIRST]
    assert await owner.to_terminate() == ["i-owned"]


async def test_a_deleted_agent_holds_back_nothing_that_another_left_behind(registry: Scene) -> None:
    gone, agent = OneAgent(registry), OneAgent(registry)
    await gone.register(FIRST)
    await gone.ask(DeleteAgent)
    await agent.register(FIRST)
    await agent.report(FIRST, SECOND, timing={"old_terminated_at": None})
    clock.move(WAIT * 2)
    assert await agent.to_terminate() == [FIRST]
    assert await gone.register(FIRST) == "revived"
    assert await agent.to_terminate() == []


async def test_an_agent_of_a_deleted_client_holds_nothing_back(
    agent: OneAgent, registry: Scene
) -> None:
    client_id = clock.new_id()
    await registry.handle(example(CreateClient, client_id=client_id, token_hash="f" * 64))
    await OneAgent(registry, client_id=client_id).register(FIRST)
    clock.move(WAIT * 2)
    assert await agent.to_terminate() == []
    await registry.handle(DeleteClient(client_id=client_id))
    assert await agent.to_terminate() == [FIRST]


@pytest.mark.parametrize("superseded", [False, True])
async def test_an_agent_that_has_moved_on_holds_back_no_home_of_another(
    registry: Scene, superseded: bool
) -> None:
    former, agent = OneAgent(registry), OneAgent(registry)
    await former.register(FIRST)
    if superseded:
        await former.register("i-third")
    else:
        await former.report(FIRST, "i-third", timing={"old_terminated_at": None})
    clock.move(timedelta(seconds=1))
    await agent.register(FIRST)
    await agent.report(FIRST, SECOND, timing={"old_terminated_at": None})
    clock.move(WAIT * 2)
    assert await agent.to_terminate() == [FIRST]
    await agent.terminated(FIRST)
    assert await former.to_terminate() == ([] if superseded else [FIRST])


async def test_a_superseded_instance_is_not_retired(agent: OneAgent) -> None:
    await agent.register("i-third")
    await agent.ask(RetireInstance, instance=instance(SECOND))
    assert agent.emitted == []
    assert (await agent.statuses())[SECOND] == "superseded"


async def test_a_terminated_instance_is_gone_for_good(agent: OneAgent) -> None:
    clock.move(WAIT * 2)
    await agent.terminated(FIRST)
    assert agent.emitted == [InstanceTerminated]
    assert await agent.to_terminate() == []
    await agent.terminated(FIRST)
    assert agent.emitted == []
    assert await agent.register(FIRST) == "zombie-rejected"


async def test_a_failed_attempt_is_tried_again_after_five_minutes(agent: OneAgent) -> None:
    clock.move(WAIT * 2)
    await agent.terminated(FIRST, success=False, error="no permission")
    assert agent.emitted == [TerminationFailed]
    assert await agent.to_terminate() == []
    clock.move(WAIT * 2 + timedelta(minutes=5, seconds=1))
    assert await agent.to_terminate() == [FIRST]


async def test_an_unknown_instance_is_refused(agent: OneAgent) -> None:
    code = await agent.refusal(ReportTermination, instance_id="i-unknown")
    assert code == "INSTANCE_NOT_FOUND"


async def test_a_replicas_instance_is_reported_gone_without_having_registered(
    agent: OneAgent,
) -> None:
    told = example(Replica, status=ReplicaStatus.SYNCING, instance_id="i-replica")
    about = {"agent_id": agent.id, "client_id": agent.client_id}
    await agent.registry.handle(example(ReplicaChanged, **about, replica=told))
    assert (await agent.statuses())["i-replica"] == "standby"
    await agent.terminated("i-replica", reason=TerminationReason.AWS_TERMINATION)
    assert agent.emitted == [InstanceTerminated]
    await agent.registry.handle(example(ReplicaChanged, **about, replica=told))
    assert (await agent.statuses())["i-replica"] == "terminated"


async def test_an_agent_whose_primary_aws_took_waits_for_the_next(agent: OneAgent) -> None:
    epoch = (await agent.state()).epoch
    await agent.terminated(SECOND, reason=TerminationReason.AWS_TERMINATION)
    assert agent.emitted == [InstanceTerminated, AgentState]
    assert (await agent.state()).instance_id is None
    assert await agent.register("i-third") == "promoted"
    assert (await agent.state()).epoch == epoch + 1


async def test_a_retired_replica_is_left_behind_unless_it_is_the_primary(
    agent: OneAgent,
) -> None:
    await agent.ask(RetireInstance, instance=instance("i-replica"))
    assert agent.emitted == [InstanceBecameZombie]
    assert (await agent.statuses())["i-replica"] == "zombie"
    await agent.ask(RetireInstance, instance=instance(SECOND))
    assert agent.emitted == []
    assert (await agent.statuses())[SECOND] == "primary"
    clock.move(WAIT * 2)
    reasons = {
        i.instance_id: i.reason for i in (await agent.ask(ListInstancesToTerminate)).instances
    }
    assert reasons == {FIRST: "zombie_instance", "i-replica": "replica_retired"}


async def test_a_cleanup_report_is_a_line_of_the_trail(agent: OneAgent) -> None:
    await agent.ask(ReportCleanup, summary={"severity": "any", "removed": 3})
    row = await agent.registry.db.raw.fetchrow(
        "select event_type, data from system_events order by created_at desc, id desc limit 1"
    )
    assert row is not None
    assert row["event_type"] == "cleanup_reported"
    assert row["data"] == {"summary": {"severity": "any", "removed": 3}}
