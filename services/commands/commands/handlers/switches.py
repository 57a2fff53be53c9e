"""Switches that were made: kept, listed, and added up in money."""

from collections.abc import Mapping, Sequence
from datetime import datetime

from chassis.pages import Pages
from chassis.transaction import Tx
from commands.handlers.found import Held, agent_as_told, home_of
from commands.handlers.orders import cancel_overtaken, finish
from commands.handlers.settling import settle
from commands.rules import savings
from commands.rules.savings import Flow, Rate, Stay
from commands.store import pools, queue, replicas
from commands.store import switches as store
from commands.store.rows import Row
from spotkeeper_contracts.commands import CommandStatus, CommandType, Trigger
from spotkeeper_contracts.instances import Instance
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.switches import (
    GetSwitchStatistics,
    ListSwitches,
    RecordSwitch,
    StatisticsAnswer,
    SwitchCompleted,
    SwitchDetail,
    SwitchPage,
    SwitchPricing,
    SwitchReport,
    SwitchTiming,
)
from spotkeeper_contracts.values import PurchaseMode

PAGES = Pages("switches", at="completed_at")


async def record_switch(request: RecordSwitch, tx: Tx) -> Done:
    """Keep a switch that the registry made true, and end the command that asked for it."""
    agent = await agent_as_told(request.agent, tx)
    report, left_at = request.report, _left_at(agent, request, tx)
    await store.end_stays(tx.db, agent.id, at=request.completed_at, unless_on=None)
    await store.add(
        tx.db,
        id=request.switch_id,
        agent_id=agent.id,
        client_id=agent.client_id,
        command_id=report.command_id,
        trigger=report.trigger.value,
        downtime_seconds=report.downtime_seconds,
        completed_at=request.completed_at,
        ended_at=left_at,
        agent_deleted_at=left_at if agent.state.deleted else None,
        meter_at=savings.metered_next(request.completed_at, tx.now),
        **report.model_dump(mode="json", include={"old_instance", "new_instance"}),
        **report.model_dump(mode="json", include={"pricing", "timing"}),
    )
    for row in await queue.open_commands(tx.db, agent.id, agent.client_id):
        if _asked_for(row, report):
            await finish(row, CommandStatus.SUCCEEDED, tx, by=tx.actor, detail="switch_reported")
    await cancel_overtaken(agent, tx)
    told = ("command_id", "trigger", "old_instance", "new_instance", "pricing", "downtime_seconds")
    tx.emit(
        SwitchCompleted(
            agent_id=agent.id,
            client_id=agent.client_id,
            switch_id=request.switch_id,
            epoch=request.agent.epoch,
            at=request.completed_at,
            **{name: getattr(report, name) for name in told},
        )
    )
    await settle(agent, tx)
    return Done(revision=request.agent.revision)


async def list_switches(request: ListSwitches, tx: Tx) -> SwitchPage:
    """A page of switches, newest first, each with what it promised and what it has brought."""
    rows = await store.page(
        tx.db,
        request.agent_id,
        request.client_id,
        before=PAGES.position(request.cursor),
        limit=request.limit + 1,
    )
    shown = rows[: request.limit]
    stays = await stays_of(shown, tx)
    items = [_detail_of(row, stay, tx.now) for row, stay in zip(shown, stays, strict=True)]
    return SwitchPage(items=items, next_cursor=PAGES.next_cursor(rows, shown=len(items)))


async def get_switch_statistics(request: GetSwitchStatistics, tx: Tx) -> StatisticsAnswer:
    """The agent's switches in figures, up to now."""
    rows = await store.all_switches(tx.db, request.agent_id, request.client_id)
    stays = await stays_of(rows, tx)
    triggers = [row["trigger"] for row in rows]
    realised = sum(realised_by(row, stay, tx.now) for row, stay in zip(rows, stays, strict=True))
    downtimes = [row["downtime_seconds"] for row in rows if row["downtime_seconds"] is not None]
    return StatisticsAnswer(
        decisions=request.decisions,
        switches_executed=len(rows),
        automatic=triggers.count(Trigger.AUTOMATIC),
        manual=triggers.count(Trigger.MANUAL),
        avg_downtime_seconds=sum(downtimes) / len(downtimes) if downtimes else 0.0,
        total_savings_generated=savings.in_cents(realised),
        as_of=tx.now,
    )


def _left_at(agent: Held, request: RecordSwitch, tx: Tx) -> datetime | None:
    """When the agent left where it switched to, if that was heard of before the switch itself."""
    if home_of(agent.state) == request.report.new_instance.instance_id:
        return None
    return max(request.completed_at, agent.row["moved_at"] or tx.told_at)


def _asked_for(row: Row, report: SwitchReport) -> bool:
    """Whether the command asked for the reported switch, which may not name its command."""
    if row["command_type"] != CommandType.SWITCH:
        return False
    if report.command_id is not None:
        return bool(row["id"] == report.command_id)
    new = report.new_instance
    there = new.mode is PurchaseMode.ONDEMAND or row["target_pool"] == new.spot_pool
    return bool(there and row["target_mode"] == new.mode)


async def stays_of(rows: Sequence[Row], tx: Tx) -> list[Stay]:
    """The stays that switches led to, with the prices and replicas of their time."""
    if not rows:
        return []
    since: datetime = min(row["completed_at"] for row in rows)
    instances = (Instance(**row[end]) for row in rows for end in ("old_instance", "new_instance"))
    wanted = {key for key in map(_key_of, instances) if key is not None}
    client_id = rows[0]["client_id"]
    prices = await pools.prices(tx.db, client_id, wanted, since=since)
    standby = [
        Flow(
            rate=[(row["launched_at"], row["price_usd_per_hour"])],
            since=row["launched_at"],
            until=row["ended_at"],
        )
        for row in await replicas.launched(tx.db, rows[0]["agent_id"], client_id, since=since)
    ]
    return [_stay(row, prices, standby) for row in rows]


def _stay(
    row: Row,
    prices: Mapping[pools.Key, Sequence[tuple[datetime, float]]],
    standby: Sequence[Flow],
) -> Stay:
    pricing = SwitchPricing(**row["pricing"])
    completed_at: datetime = row["completed_at"]
    settled_at = savings.settled_at(row["ended_at"], row["old_gone_at"])

    def rate(instance: Instance, reported: float | None) -> Rate:
        key = _key_of(instance)
        if key is None:
            return [(completed_at, pricing.on_demand)]
        known = prices.get(key, ())
        return savings.rate_since(completed_at, reported, known, until=settled_at)

    return Stay(
        completed_at=completed_at,
        ended_at=row["ended_at"],
        old_price=rate(Instance(**row["old_instance"]), pricing.old_spot),
        new_price=rate(Instance(**row["new_instance"]), pricing.new_spot),
        old_gone_at=row["old_gone_at"],
        replicas=[flow for flow in standby if flow.until is None or flow.until > completed_at],
        downtime_seconds=row["downtime_seconds"] or 0.0,
        ondemand_price=pricing.on_demand,
    )


def _key_of(instance: Instance) -> pools.Key | None:
    """The spot pool that the instance runs in, if it does."""
    pool_id = instance.spot_pool
    return None if pool_id is None else (instance.instance_type, instance.region, pool_id)


def realised_by(row: Row, stay: Stay, now: datetime) -> float:
    """What a switch has brought in USD so far, or what it was settled with."""
    settled: float | None = row["settled_savings"]
    if settled is not None:
        return settled
    return savings.realised(stay, since=stay.completed_at, until=now)


def _detail_of(row: Row, stay: Stay, now: datetime) -> SwitchDetail:
    return SwitchDetail(
        switch_id=row["id"],
        command_id=row["command_id"],
        trigger=row["trigger"],
        old_instance=row["old_instance"],
        new_instance=row["new_instance"],
        pricing=SwitchPricing(**row["pricing"]),
        timing=SwitchTiming(**row["timing"]),
        downtime_seconds=row["downtime_seconds"],
        promised_savings_per_hour=savings.promised(
            stay.old_price, stay.new_price, stay.completed_at
        ),
        realised_savings=realised_by(row, stay, now),
        is_settled=stay.is_settled,
        timestamp=row["completed_at"],
    )
