"""The gate of switches, and what a reported switch or a promotion makes true."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentPromoted, AgentState
from spotkeeper_contracts.commands import (
    CommandFinished,
    CommandQueued,
    CommandQueuedAnswer,
    CommandStatus,
    QueueSwitch,
    Trigger,
)
from spotkeeper_contracts.instances import (
    InstanceBecameZombie,
    InstanceTerminated,
    TerminationReason,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import (
    PromoteInstance,
    RecordPromotion,
    Replica,
    ReplicaChanged,
    ReplicaStatus,
)
from spotkeeper_contracts.switches import IssueSwitch, RecordSwitch
from tests.registry.fleet import CLIENT, OneAgent, instance

FIRST, SECOND = "i-first", "i-second"


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    agent = OneAgent(registry)
    await agent.register(FIRST)
    return agent


async def test_the_gate_hands_a_switch_on_with_the_state_it_was_let_through_by(
    agent: OneAgent,
) -> None:
    queued = await agent.issue()
    assert isinstance(queued, QueueSwitch)
    assert queued.agent == await agent.state()
    assert (queued.priority, queued.trigger) == (75, Trigger.MANUAL)


async def test_the_gate_says_no_in_the_documented_words(agent: OneAgent) -> None:
    await agent.change(enabled=False)
    assert await agent.refusal(IssueSwitch) == "AGENT_DISABLED"
    await agent.change(auto_switch_enabled=False)
    assert await agent.refusal(IssueSwitch) == "AUTO_SWITCH_DISABLED"
    await agent.change(enabled=True, auto_switch_enabled=True, emergency_rebalance_only=True)
    assert await agent.refusal(IssueSwitch, trigger="automatic") == "AUTO_SWITCH_DISABLED"
    await agent.change(auto_switch_enabled=True, enabled=True)
    pool = (await agent.state()).current_pool_id
    assert (
        await agent.refusal(IssueSwitch, target_pool=pool, target_mode="spot")
        == "ALREADY_ON_TARGET"
    )


async def test_the_pool_that_a_switch_leaves_is_handed_on(agent: OneAgent) -> None:
    told = {"target_pool": "pool-b", "target_mode": "spot", "expected_pool": "pool-a"}
    queued = await agent.ask(IssueSwitch, **told)
    assert isinstance(queued, QueueSwitch)
    assert queued.expected_pool == "pool-a"


async def test_one_switch_at_a_time(agent: OneAgent) -> None:
    queued = await agent.issue("pool-b")
    again = await agent.issue("pool-b")
    assert again == CommandQueuedAnswer(command_id=queued.command_id)
    assert (
        await agent.refusal(IssueSwitch, target_pool="pool-c", target_mode="spot")
        == "SWITCH_IN_PROGRESS"
    )


@pytest.mark.parametrize("status", [CommandStatus.CANCELLED, CommandStatus.SUCCEEDED])
async def test_the_gate_opens_again_when_the_command_has_ended(
    agent: OneAgent, status: CommandStatus
) -> None:
    queued = await agent.issue("pool-b")
    await agent.registry.handle(finished(agent, queued.command_id, status))
    other = await agent.issue("pool-c")
    assert other.command_id != queued.command_id


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(CommandStatus.SUCCEEDED, "standby"), (CommandStatus.FAILED, "promoted")],
)
async def test_a_newcomer_stands_by_until_a_successful_switch_is_reported(
    agent: OneAgent, status: CommandStatus, outcome: str
) -> None:
    queued = await agent.issue("pool-b")
    assert await agent.register("i-early") == "standby"
    await agent.registry.handle(finished(agent, queued.command_id, status))
    assert await agent.register(SECOND) == outcome


async def test_a_report_without_a_command_ends_every_open_switch(agent: OneAgent) -> None:
    await agent.issue("pool-b")
    await agent.report(FIRST, SECOND)
    assert await agent.register("i-third") == "promoted"


def finished(agent: OneAgent, command_id: UUID, status: CommandStatus) -> CommandFinished:
    command = {"command_id": command_id, "command_type": "switch"}
    return example(
        CommandFinished, agent_id=agent.id, client_id=CLIENT, command=command, status=status
    )


async def test_a_reported_switch_moves_the_agent_and_leaves_the_old_instance_behind(
    agent: OneAgent,
) -> None:
    before = await agent.state()
    record = await agent.report(FIRST, SECOND, timing={"old_terminated_at": None})
    assert isinstance(record, RecordSwitch)
    assert agent.emitted == [AgentPromoted, InstanceBecameZombie, AgentState]
    state = await agent.state()
    assert (state.instance_id, state.epoch) == (SECOND, before.epoch + 1)
    assert (state.current_pool_id, state.az) == ("pool-b", "us-east-1b")
    assert record.agent == state
    assert await agent.statuses() == {FIRST: "zombie", SECOND: "primary"}


@pytest.mark.parametrize(("auto_terminate", "status"), [(True, "terminated"), (False, "zombie")])
async def test_an_old_instance_that_has_ended_is_gone_if_it_might_end_by_itself(
    agent: OneAgent, auto_terminate: bool, status: str
) -> None:
    await agent.change(auto_terminate_enabled=auto_terminate)
    await agent.report(FIRST, SECOND, timing={"old_terminated_at": clock.now()})
    assert (await agent.statuses())[FIRST] == status
    assert (InstanceTerminated in agent.emitted) == auto_terminate


async def test_a_repeated_report_changes_nothing_and_a_stale_one_is_refused(
    agent: OneAgent,
) -> None:
    command_id = clock.new_id()
    await agent.report(FIRST, SECOND, command_id=command_id)
    state = await agent.state()
    assert await agent.report(FIRST, SECOND) == Done(revision=state.revision)
    assert await agent.report(FIRST, "i-x", command_id=command_id) == Done(revision=state.revision)
    assert agent.registry.emitted == []
    with pytest.raises(Refused, match="STALE_REPORT"):
        await agent.report(FIRST, "i-third")
    with pytest.raises(Refused, match="STALE_REPORT"):
        await agent.report(SECOND, FIRST)
    assert await agent.state() == state


async def test_a_switch_that_aws_interrupts_is_reported_all_the_same(agent: OneAgent) -> None:
    queued = await agent.issue("pool-b")
    assert await agent.register(SECOND) == "standby"
    await agent.terminated(FIRST, reason=TerminationReason.AWS_TERMINATION)
    with pytest.raises(Refused, match="STALE_REPORT"):
        await agent.report("i-never", SECOND, command_id=queued.command_id)
    timing = {"old_terminated_at": clock.now()}
    await agent.report(FIRST, SECOND, command_id=queued.command_id, timing=timing)
    assert agent.emitted == [AgentPromoted, AgentState]
    assert await agent.statuses() == {FIRST: "terminated", SECOND: "primary"}


async def test_without_an_open_switch_a_lost_agent_waits_for_its_registration(
    agent: OneAgent,
) -> None:
    await agent.terminated(FIRST, reason=TerminationReason.AWS_TERMINATION)
    with pytest.raises(Refused, match="STALE_REPORT"):
        await agent.report(FIRST, SECOND)


async def test_a_registration_after_a_loss_ends_what_was_meant_for_the_lost(
    agent: OneAgent,
) -> None:
    await agent.issue("pool-b")
    await agent.terminated(FIRST, reason=TerminationReason.AWS_TERMINATION)
    assert await agent.register(SECOND) == "promoted"
    other = await agent.issue("pool-c")
    assert isinstance(other, QueueSwitch)


async def test_a_standby_becomes_primary_by_the_report(agent: OneAgent) -> None:
    queued = await agent.issue("pool-b")
    assert await agent.register(SECOND) == "standby"
    await agent.report(FIRST, SECOND, command_id=queued.command_id)
    assert (await agent.statuses())[SECOND] == "primary"
    assert await agent.register(SECOND) == "updated"
    assert await agent.register(FIRST) == "zombie-rejected"


async def test_an_emergency_switch_lets_its_newcomer_stand_by(agent: OneAgent) -> None:
    command = {"command_type": "switch", "parameters": {"trigger": "emergency"}}
    event = example(CommandQueued, agent_id=agent.id, client_id=CLIENT, command=command)
    await agent.registry.handle(event)
    fresh = clock.now() < event.command.expires_at
    assert await agent.register(SECOND) == ("standby" if fresh else "promoted")


async def test_each_of_two_open_switches_is_answered_with_its_own(agent: OneAgent) -> None:
    queued = await agent.issue("pool-b")
    told = {"trigger": "emergency", "not_after": clock.now() + timedelta(minutes=15)}
    command: dict[str, Any] = {"command_type": "switch", "parameters": told, "target_pool": None}
    command |= {"target_mode": "ondemand", "expires_at": told["not_after"]}
    event = example(CommandQueued, agent_id=agent.id, client_id=CLIENT, command=command)
    await agent.registry.handle(event)
    emergency = event.command.command_id
    assert await agent.issue("pool-b") == CommandQueuedAnswer(command_id=queued.command_id)
    assert await agent.issue(None, "ondemand") == CommandQueuedAnswer(command_id=emergency)
    told = {"target_pool": "pool-c", "target_mode": "spot"}
    assert await agent.refusal(IssueSwitch, **told) == "SWITCH_IN_PROGRESS"


async def test_a_replicas_instance_stands_by_as_long_as_the_replica_lives(agent: OneAgent) -> None:
    await agent.registry.handle(replica(agent, ReplicaStatus.LAUNCHING, None))
    assert await agent.register("i-any") == "standby"
    await agent.registry.handle(replica(agent, ReplicaStatus.READY, SECOND))
    assert await agent.register(SECOND) == "standby"
    await agent.registry.handle(replica(agent, ReplicaStatus.FAILED, SECOND))
    assert await agent.register(SECOND) == "promoted"


REPLICA = UUID(int=9)


def replica(agent: OneAgent, status: ReplicaStatus, instance_id: str | None) -> ReplicaChanged:
    told = example(Replica, replica_id=REPLICA, status=status, instance_id=instance_id)
    return example(ReplicaChanged, agent_id=agent.id, client_id=CLIENT, replica=told)


def promotion(agent: OneAgent, **changes: Any) -> PromoteInstance:
    return PromoteInstance(
        agent_id=agent.id,
        client_id=CLIENT,
        replica_id=REPLICA,
        **{"instance": instance(SECOND), **changes},
    )


@pytest.mark.parametrize(("demote", "status"), [(True, "zombie"), (False, "superseded")])
async def test_a_promotion_makes_a_replicas_instance_the_primary(
    agent: OneAgent, demote: bool, status: str
) -> None:
    record = await agent.registry.handle(promotion(agent, epoch=1, demote_old_primary=demote))
    assert isinstance(record, RecordPromotion)
    assert (record.former_instance_id, record.agent.epoch) == (FIRST, 2)
    assert await agent.statuses() == {FIRST: status, SECOND: "primary"}


async def test_a_promotion_of_another_epoch_or_of_a_zombie_is_refused(agent: OneAgent) -> None:
    assert await agent.refusal(PromoteInstance, epoch=2) == "STALE_EPOCH"
    await agent.report(FIRST, SECOND)
    zombie = {"instance": instance(FIRST), "epoch": None}
    assert await agent.refusal(PromoteInstance, **zombie) == "STALE_REPORT"


async def test_an_emergency_hears_of_a_promotion_that_cannot_be(agent: OneAgent) -> None:
    await agent.report(FIRST, SECOND)
    emergency = {"emergency_id": UUID(int=5), "termination": True}
    record = await agent.registry.handle(promotion(agent, instance=instance(FIRST), **emergency))
    assert isinstance(record, RecordPromotion)
    assert (record.refused, record.termination) == ("The new instance is zombie", True)
    assert (await agent.state()).instance_id == SECOND


async def test_a_rescue_comes_too_late_for_an_agent_that_has_moved(agent: OneAgent) -> None:
    await agent.report(FIRST, "i-third")
    emergency = {"emergency_id": UUID(int=5), "termination": True, "threatened_instance_id": FIRST}
    record = await agent.registry.handle(promotion(agent, **emergency))
    assert isinstance(record, RecordPromotion)
    assert record.refused == "The agent has moved to i-third already"
    assert (await agent.state()).instance_id == "i-third"
    record = await agent.registry.handle(
        promotion(agent, **{**emergency, "threatened_instance_id": "i-third"})
    )
    assert isinstance(record, RecordPromotion)
    assert record.refused is None
    assert (await agent.state()).instance_id == SECOND


async def test_a_repeated_promotion_is_only_recorded_again(agent: OneAgent) -> None:
    await agent.registry.handle(promotion(agent))
    record = await agent.registry.handle(promotion(agent))
    assert isinstance(record, RecordPromotion)
    assert agent.registry.emitted == []
