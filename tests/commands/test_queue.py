"""The command queue: what is delivered to whom and when, and how each command ends."""

from datetime import timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.commands import (
    CancelCommand,
    CommandDelivered,
    CommandFinished,
    CommandQueued,
    CommandStarted,
    LeaseCommands,
    ListCommands,
    ReportExecution,
)
from spotkeeper_contracts.presence import AgentReportedChange
from tests.commands.fleet import OneAgent, later


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


async def test_a_queued_switch_is_fetched_with_its_conditions(agent: OneAgent) -> None:
    id = await agent.queue(target_pool="pool-b", max_price=0.02, priority=75)
    [queued] = agent.emitted(CommandQueued)
    assert agent.told_of_queue() == (1, 75)

    [command] = await agent.lease()
    assert command == queued.command
    assert (command.command_id, command.target_pool) == (id, "pool-b")
    assert command.parameters.expected_instance_id == agent.state.instance_id
    assert command.parameters.expected_pool == agent.state.current_pool_id
    assert (command.parameters.epoch, command.parameters.max_price) == (1, 0.02)
    assert (command.expires_at - command.created_at).total_seconds() == 3600
    assert command.parameters.not_after == command.expires_at
    assert [event.command for event in agent.emitted(CommandDelivered)] == [command]
    assert agent.told_of_queue() == (0, None)


async def test_a_switch_expects_its_agent_in_the_pool_that_the_decision_named(
    agent: OneAgent,
) -> None:
    await agent.queue(expected_pool="us-east-1a-pool-9")
    [command] = await agent.lease()
    assert command.parameters.expected_pool == "us-east-1a-pool-9"


async def test_the_most_urgent_comes_first_and_of_equals_the_oldest(agent: OneAgent) -> None:
    normal, first, second = [await agent.queue(priority=p) for p in (25, 75, 75)]
    assert agent.told_of_queue() == (3, 75)
    assert [command.command_id for command in await agent.lease(limit=2)] == [first, second]
    assert agent.told_of_queue() == (1, 25)
    assert [command.command_id for command in await agent.lease()] == [normal]


async def test_a_fetched_command_is_offered_again_when_its_lease_is_over(agent: OneAgent) -> None:
    id = await agent.queue()
    await agent.lease()
    assert await agent.lease() == []
    later(seconds=61)
    await agent.commands.sweep()
    assert agent.told_of_queue() == (1, 75)
    assert [command.command_id for command in await agent.lease()] == [id]
    [detail] = await agent.history()
    assert [step.status for step in detail.transitions] == ["queued", "delivered", "delivered"]


async def test_a_stuck_command_is_in_nobodys_way(agent: OneAgent) -> None:
    stuck = await agent.queue(priority=100)
    await agent.lease()
    other = await agent.queue(priority=25)
    assert [command.command_id for command in await agent.lease()] == [other]
    assert await agent.status(stuck) == "delivered"


@pytest.mark.parametrize(
    ("said", "end"), [("success", "succeeded"), ("failed", "failed"), ("partial", "partial")]
)
async def test_what_the_agent_says_is_the_end(agent: OneAgent, said: str, end: str) -> None:
    id = await agent.queue()
    await agent.lease()
    await agent.report(id, said, message="a word", duration_seconds=42.5)
    [finished] = agent.emitted(CommandFinished)
    assert (finished.status, finished.actor) == (end, "operator:test")
    assert finished.duration_seconds == 42.5
    [detail] = await agent.history()
    assert (detail.status, detail.message) == (end, "a word")

    await agent.report(id, said)
    assert not agent.commands.emitted
    other = {"success": "failed"}.get(said, "success")
    refused = await agent.refusal(ReportExecution, command_id=id, status=other)
    assert refused == "ALREADY_FINISHED"


async def test_a_command_of_another_agent_is_unknown(agent: OneAgent, commands: Scene) -> None:
    id = await agent.queue()
    stranger = OneAgent(commands)
    for kind in (ReportExecution, CancelCommand):
        assert await stranger.refusal(kind, command_id=id) == "COMMAND_NOT_FOUND"
    other_client = {"client_id": UUID(int=8)}
    assert await agent.ask(ListCommands, cursor=None, **other_client) == await stranger.ask(
        ListCommands, cursor=None
    )


async def test_a_cancelled_command_is_delivered_to_nobody(agent: OneAgent) -> None:
    id = await agent.queue()
    await agent.ask(CancelCommand, command_id=id)
    assert agent.told_of_queue() == (0, None)
    assert await agent.lease() == []
    steps = (await agent.history())[0].transitions
    await agent.ask(CancelCommand, command_id=id)
    assert (await agent.history())[0].transitions == steps
    assert await agent.refusal(ReportExecution, command_id=id) == "ALREADY_FINISHED"


@pytest.mark.parametrize(
    ("trigger", "life_minutes"), [("automatic", 60), ("manual", 60), ("emergency", 15)]
)
async def test_a_command_expires(agent: OneAgent, trigger: str, life_minutes: int) -> None:
    id = await agent.queue(trigger=trigger)
    later(minutes=life_minutes - 1)
    await agent.commands.sweep()
    assert await agent.status(id) == "queued"
    later(minutes=life_minutes + 1)
    assert await agent.lease() == []
    await agent.commands.sweep()
    assert [event.status for event in agent.emitted(CommandFinished)] == ["expired"]
    assert agent.told_of_queue() == (0, None)
    await agent.commands.sweep()
    assert not agent.commands.emitted


@pytest.mark.parametrize("setting", ["auto_switch_enabled", "enabled"])
async def test_a_closed_gate_cancels_what_saves_money(agent: OneAgent, setting: str) -> None:
    manual, automatic = [await agent.queue(trigger=t) for t in ("manual", "automatic")]
    emergency = await agent.queue(trigger="emergency", priority=100)
    await agent.changes(config={setting: False})
    ends = {event.command.command_id: event for event in agent.emitted(CommandFinished)}
    assert ends.keys() == {manual, automatic}
    assert {(e.status, e.detail) for e in ends.values()} == {("cancelled", "gate_closed")}
    assert agent.told_of_queue() == (1, 100)
    assert [command.command_id for command in await agent.lease()] == [emergency]


async def test_the_gate_is_looked_at_anew_when_a_command_is_fetched(agent: OneAgent) -> None:
    id = await agent.queue()
    closed = agent.state.config.model_copy(update={"auto_switch_enabled": False})
    newer = agent.state.model_copy(update={"revision": 2, "config": closed})
    answer = await agent.ask(LeaseCommands, agent=newer)
    assert answer.commands == []
    assert await agent.status(id) == "cancelled"


async def test_a_question_that_nobody_waits_for_any_more_takes_no_command(agent: OneAgent) -> None:
    id = await agent.queue(trigger="emergency")
    answer_by = clock.now() + timedelta(seconds=10)
    later(seconds=11)
    answer = await agent.ask(LeaseCommands, answer_by=answer_by)
    assert (answer.commands, await agent.status(id)) == ([], "queued")
    answer = await agent.ask(LeaseCommands, answer_by=clock.now() + timedelta(seconds=10))
    assert [command.command_id for command in answer.commands] == [id]


async def test_an_older_state_does_not_open_the_gate_again(agent: OneAgent) -> None:
    before = agent.state
    await agent.changes(config={"auto_switch_enabled": False})
    await agent.commands.handle(before)
    agent.state = before
    id = await agent.queue()
    assert await agent.status(id) == "cancelled"


async def test_a_switch_that_was_meant_for_another_instance_is_superseded(agent: OneAgent) -> None:
    id = await agent.queue(trigger="emergency")
    await agent.changes(instance_id="i-another", epoch=2)
    assert await agent.status(id) == "queued"
    later(seconds=3)  # Nobody has recorded a switch or a promotion.
    await agent.commands.sweep()
    [finished] = agent.emitted(CommandFinished)
    assert (finished.command.command_id, finished.detail) == (id, "superseded")


async def test_a_command_in_hand_is_left_to_its_report(agent: OneAgent) -> None:
    id = await agent.queue()
    await agent.lease()
    await agent.changes(instance_id="i-another", epoch=2, config={"enabled": False})
    later(seconds=61)
    await agent.commands.sweep()
    assert agent.told_of_queue() is None
    await agent.report(id)
    assert await agent.status(id) == "succeeded"


async def test_an_agent_that_says_it_switches_carries_its_command_out(agent: OneAgent) -> None:
    id = await agent.queue()
    change = example(
        AgentReportedChange,
        agent_id=agent.id,
        client_id=agent.state.client_id,
        status="switching",
    )
    await agent.commands.handle(change)
    assert not agent.commands.emitted
    await agent.lease()
    await agent.commands.handle(change)
    assert [event.command.command_id for event in agent.emitted(CommandStarted)] == [id]
    assert await agent.status(id) == "executing"


async def test_a_deleted_agent_has_no_commands(agent: OneAgent) -> None:
    ids = [await agent.queue(), await agent.queue()]
    await agent.lease(limit=1)
    await agent.changes(deleted=True)
    assert [await agent.status(id) for id in ids] == ["cancelled", "cancelled"]
    assert await agent.refusal(LeaseCommands) == "AGENT_DELETED"


async def test_pages_hold_every_command_once(agent: OneAgent) -> None:
    ids = [await agent.queue() for _ in range(5)]
    seen: list[UUID] = []
    cursor: Any = None
    while True:
        page = await agent.ask(ListCommands, cursor=cursor, limit=2)
        seen += [command.command_id for command in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert seen == ids[::-1]
    await agent.ask(CancelCommand, command_id=ids[0])
    assert [c.command_id for c in await agent.history(status="cancelled")] == [ids[0]]


async def test_the_sweep_leaves_other_partitions_alone(agent: OneAgent) -> None:
    await agent.queue()
    later(hours=2)
    row = await agent.commands.db.raw.fetchrow(
        "select partition from agent_contexts where agent_id = $1", agent.id
    )
    assert row is not None
    others = [partition for partition in range(12) if partition != row["partition"]]
    assert await agent.commands.sweep(others) is False
    assert not agent.commands.emitted
    assert await agent.commands.sweep([row["partition"]]) is False
    assert agent.emitted(CommandFinished)


async def test_an_agent_that_cannot_be_settled_holds_nobody_up(
    agent: OneAgent, commands: Scene
) -> None:
    broken = OneAgent(commands)
    for each in (broken, agent):
        await each.queue()
    await commands.db.raw.execute(
        "update commands set command_type = 'unheard of' where agent_id = $1", broken.id
    )
    later(hours=2)
    assert await commands.sweep() is False
    assert {told.agent_id for told in agent.emitted(CommandFinished)} == {agent.id}
    await commands.sweep()
    assert not commands.emitted, "the guilty one is not looked at again at once"


async def test_a_new_agent_has_nothing_to_fetch(commands: Scene) -> None:
    assert await OneAgent(commands).lease() == []


async def test_a_switch_was_meant_for_the_instance_that_the_gate_saw(agent: OneAgent) -> None:
    seen = agent.state
    await agent.changes(instance_id="i-new", epoch=seen.epoch + 1)
    moved, agent.state = agent.state, seen
    await agent.queue()
    agent.state = moved
    assert await agent.lease() == []
    assert [detail.status for detail in await agent.history()] == ["cancelled"]
