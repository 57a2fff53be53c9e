"""Switches that were made: recorded, listed, and added up in money as the hours pass."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.commands import CommandFinished
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.switches import (
    DecisionStatistics,
    GetSwitchStatistics,
    ListSwitches,
    SwitchCompleted,
)
from tests.commands.fleet import OneAgent, later
from tests.commands.moves import A, B, C, figures, listed, move


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands, instance_id="i-0", az=A)


async def test_a_recorded_switch_ends_its_command_and_is_told(agent: OneAgent) -> None:
    command_id = await agent.queue(target_pool=f"t3.medium.{B}")
    await agent.lease()
    await move(agent, command_id=command_id, trigger="manual", downtime_seconds=12.0)
    [finished] = agent.emitted(CommandFinished)
    assert (finished.command.command_id, finished.status) == (command_id, "succeeded")
    [completed] = agent.emitted(SwitchCompleted)
    assert (completed.command_id, completed.epoch) == (command_id, 2)
    assert (completed.old_instance.instance_id, completed.new_instance.instance_id) == (
        "i-0",
        "i-1",
    )
    [switch] = await listed(agent)
    assert (switch.switch_id, switch.downtime_seconds) == (completed.switch_id, 12.0)
    assert switch.promised_savings_per_hour == pytest.approx(0.06)


@pytest.mark.parametrize(
    ("target_pool", "target_mode", "end"),
    [(f"t3.medium.{B}", "spot", "succeeded"), (f"t3.medium.{C}", "spot", "cancelled"),
     (None, "ondemand", "cancelled")],
)  # fmt: skip
async def test_a_switch_that_names_no_command_ends_the_one_that_asked_for_it(
    agent: OneAgent, target_pool: str | None, target_mode: str, end: str
) -> None:
    await agent.queue(target_pool=target_pool, target_mode=target_mode)
    await agent.lease()
    await move(agent)
    assert [event.status for event in agent.emitted(CommandFinished)] == [end]


async def test_a_switch_reported_before_its_command_was_fetched_ends_it_as_done(
    agent: OneAgent,
) -> None:
    command_id = await agent.queue(target_pool=f"t3.medium.{B}")
    before = agent.state
    await agent.changes(instance_id="i-1", az=B, current_pool_id=f"t3.medium.{B}", epoch=2)
    assert agent.emitted(CommandFinished) == []
    moved, agent.state = agent.state, before
    await move(agent, command_id=command_id)
    assert agent.state.revision == moved.revision
    assert [event.status for event in agent.emitted(CommandFinished)] == ["succeeded"]


async def test_a_switch_from_a_lost_instance_ends_its_command_as_done(agent: OneAgent) -> None:
    command_id = (await agent.notice()).command_id
    await agent.changes(instance_id=None)
    await agent.instance_ends("i-0", was_primary=True)
    before = agent.state.model_copy(update={"instance_id": "i-0"})
    await agent.changes(instance_id="i-1", epoch=2)
    assert agent.emitted(CommandFinished) == []
    agent.state = before
    new = example(Instance, instance_id="i-1", mode="ondemand", pool_id=None)
    await move(agent, command_id=command_id, new_instance=new, trigger="emergency")
    [finished] = agent.emitted(CommandFinished)
    assert (finished.status, finished.detail) == ("succeeded", "switch_reported")
    assert (await agent.last_event())[2:] == ("switch_to_ondemand", "success")


async def test_a_switch_report_ends_no_other_kind_of_command(agent: OneAgent) -> None:
    replica = await agent.replica()
    assert replica.command_id is not None
    await move(agent, command_id=replica.command_id)
    assert await agent.status(replica.command_id) == "queued"


async def test_a_switch_on_demand_ends_the_command_for_it(agent: OneAgent) -> None:
    await agent.notice()
    new = example(Instance, instance_id="i-1", mode="ondemand", pool_id=None)
    await move(agent, new_instance=new, trigger="emergency")
    assert [event.status for event in agent.emitted(CommandFinished)] == ["succeeded"]
    status = await agent.emergencies()
    assert (status.emergency_mode_active, status.termination_notices_24h) == (False, 1)


async def test_savings_accrue_as_the_hours_pass(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    for hours in (0, 1, 10):
        later(hours=hours)
        [switch] = await listed(agent)
        assert switch.realised_savings == pytest.approx(0.06 * hours, abs=1e-3)
        assert (await figures(agent)).total_savings_generated == pytest.approx(
            0.06 * hours, abs=0.006
        )
    assert switch.is_settled is False


async def test_an_old_instance_costs_money_until_it_is_gone(agent: OneAgent) -> None:
    await move(agent)
    later(hours=10)
    assert (await listed(agent))[0].realised_savings == pytest.approx(-0.40, abs=1e-3)
    await agent.instance_ends("i-0", at=clock.now() - timedelta(hours=8))
    assert (await listed(agent))[0].realised_savings == pytest.approx(0.40, abs=1e-3)


async def test_savings_follow_the_prices_of_both_pools(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    later(hours=2)
    await agent.pool(A, 0.20)
    later(hours=3)
    await agent.pool(B, 0.25)
    later(hours=4)
    [switch] = await listed(agent)
    assert switch.realised_savings == pytest.approx(2 * 0.06 + 0.16 - 0.05, abs=1e-3)
    assert switch.promised_savings_per_hour == pytest.approx(0.06)


async def test_the_prices_of_another_client_are_another_matter(agent: OneAgent) -> None:
    await move(agent)
    await agent.instance_ends("i-0")
    await agent.pool(A, 9.0, client_id=UUID(int=8))
    later(hours=1)
    assert (await listed(agent))[0].realised_savings == pytest.approx(0.06, abs=1e-3)


async def test_replicas_and_downtime_are_charged(agent: OneAgent) -> None:
    await agent.pool(C, 0.03)
    await agent.replica(instance_id="i-replica", pool_id=f"t3.medium.{C}")
    await move(agent, downtime_seconds=60.0)
    await agent.instance_ends("i-0")
    downtime = 60 / 3600 * 0.40 * 6
    later(hours=10)
    [switch] = await listed(agent)
    assert switch.realised_savings == pytest.approx(0.60 - 0.30 - downtime, abs=1e-3)


async def test_statistics_count_by_trigger_and_hand_the_decisions_on(agent: OneAgent) -> None:
    nothing = await figures(agent)
    assert (nothing.switches_executed, nothing.avg_downtime_seconds) == (0, 0.0)
    assert nothing.total_savings_generated == 0.0
    await move(agent, "i-1", trigger="automatic", downtime_seconds=10.0)
    await move(agent, "i-2", trigger="manual", downtime_seconds=20.0)
    await move(agent, "i-3", trigger="emergency", downtime_seconds=None)
    decisions = DecisionStatistics(total_decisions=7, switches_recommended=3)
    answer = await agent.ask(GetSwitchStatistics, decisions=decisions)
    assert (answer.switches_executed, answer.automatic, answer.manual) == (3, 1, 1)
    assert answer.avg_downtime_seconds == 15.0
    assert answer.decisions == decisions
    assert clock.now() - answer.as_of < timedelta(minutes=1)


async def test_pages_hold_every_switch_once(agent: OneAgent) -> None:
    for number in range(1, 6):
        await move(agent, f"i-{number}", (A, B)[number % 2])
    seen: list[datetime] = []
    cursor: Any = None
    while True:
        page = await agent.ask(ListSwitches, cursor=cursor, limit=2)
        seen += [switch.timestamp for switch in page.items]
        cursor = page.next_cursor
        if cursor is None:
            break
    assert len(seen) == 5
    assert seen == sorted(seen, reverse=True)


async def test_another_clients_switches_are_not_listed(agent: OneAgent) -> None:
    await move(agent)
    other = {"client_id": UUID(int=8)}
    assert (await agent.ask(ListSwitches, cursor=None, **other)).items == []
    assert (await agent.ask(GetSwitchStatistics, **other)).switches_executed == 0
