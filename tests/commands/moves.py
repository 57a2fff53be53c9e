"""An agent that moves, as the registry hands its switches on, and the switches that are kept."""

from datetime import datetime
from typing import Any

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.switches import (
    GetSwitchStatistics,
    ListSwitches,
    RecordSwitch,
    StatisticsAnswer,
    SwitchDetail,
    SwitchReport,
)
from tests.commands.fleet import OneAgent

A, B, C = (f"us-east-1{letter}" for letter in "abc")
PRICING = {"old_spot": 0.10, "new_spot": 0.04, "on_demand": 0.40}


def instance(id: str, az: str, **changes: Any) -> Instance:
    """A spot instance in a zone's pool."""
    return example(Instance, instance_id=id, az=az, pool_id=f"t3.medium.{az}", **changes)


async def move(
    agent: OneAgent, to: str = "i-1", az: str = B, *, at: datetime | None = None, **told: Any
) -> None:
    """Let the registry make a reported switch true, and hand it on to be recorded."""
    former = instance(agent.state.instance_id or "", agent.state.az)
    new = told.pop("new_instance", None) or instance(to, az)
    agent.state = agent.state.model_copy(
        update={
            "instance_id": to,
            "az": az,
            "current_pool_id": new.pool_id,
            "epoch": agent.state.epoch + 1,
            "revision": agent.state.revision + 1,
        }
    )
    fields = {"command_id": None, "old_instance": former, "new_instance": new}
    fields |= {"pricing": PRICING, "trigger": "manual", "downtime_seconds": None, **told}
    report = example(SwitchReport, **fields)
    completed_at = at or clock.now()
    await agent.ask(
        RecordSwitch, switch_id=clock.new_id(), report=report, completed_at=completed_at
    )


async def listed(agent: OneAgent) -> list[SwitchDetail]:
    """Its switches, newest first."""
    items: list[SwitchDetail] = (await agent.ask(ListSwitches, cursor=None)).items
    return items


async def figures(agent: OneAgent) -> StatisticsAnswer:
    """Its statistics."""
    answer = await agent.ask(GetSwitchStatistics)
    assert isinstance(answer, StatisticsAnswer)
    return answer


async def prices_read(commands: Scene) -> int:
    """How many rows of prices were read so far, needed or not."""
    count: int = await commands.db.raw.fetchval(
        "select seq_tup_read + idx_tup_fetch from pg_stat_xact_user_tables"
        " where relname = 'pool_prices' and schemaname = current_schema()"
    )
    return count
