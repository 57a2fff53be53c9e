"""Telling what switches have brought in money so far: often at first, hourly later."""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.transaction import Tx
from commands.handlers.switches import realised_by, stays_of
from commands.rules import savings
from commands.rules.savings import Stay
from commands.store import switches as store
from commands.store.rows import Row
from spotkeeper_contracts.switches import SavingsMetered

AGENTS_AT_ONCE = 20
"""Few, as the lane's messages wait meanwhile, and each may have a long history."""

AGAIN_AFTER = timedelta(hours=1)
"""When an agent's switches are metered again that could not be, which is a bug."""


async def meter_due(partitions: Sequence[int], tx: Tx) -> bool:
    """Meter the switches of these partitions that are due; tells whether more are."""
    agents = await store.due(tx.db, partitions, at=tx.now, limit=AGENTS_AT_ONCE)
    for agent in agents:
        if not await tx.apart(_meter(agent, tx)):
            await store.meter_all(tx.db, agent["agent_id"], at=tx.now + AGAIN_AFTER)
    return len(agents) == AGENTS_AT_ONCE


async def _meter(agent: Row, tx: Tx) -> None:
    """Tell of those of an agent's switches that are due, oldest first."""
    rows = await store.due_switches(tx.db, agent["agent_id"], agent["client_id"], at=tx.now)
    for row, stay in zip(rows, await stays_of(rows, tx), strict=True):
        told = _told(row, stay, tx.now)
        tx.emit(told)
        if told.is_settled:
            await store.settle(tx.db, row["id"], told.realised_savings)
        else:
            again = savings.metered_next(stay.completed_at, tx.now)
            await store.meter_again(tx.db, row["id"], at=again)


def _told(row: Row, stay: Stay, now: datetime) -> SavingsMetered:
    until = now if stay.ended_at is None else min(stay.ended_at, now)
    return SavingsMetered(
        agent_id=row["agent_id"],
        client_id=row["client_id"],
        switch_id=row["id"],
        trigger=row["trigger"],
        completed_at=stay.completed_at,
        metered_hours=max(until - stay.completed_at, timedelta()) / timedelta(hours=1),
        realised_savings=realised_by(row, stay, now),
        is_settled=stay.is_settled,
        at=now,
    )
