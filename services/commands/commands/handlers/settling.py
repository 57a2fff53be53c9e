"""What follows by itself: from the clock, from the agent's state, from one thing for another.

Each handler changes its own matter and lets `settle` bring the rest about; the sweep does the same
for agents whom only the clock concerns. So every consequence has one place, and one order: time
ends commands, a lost command its replica, a lost replica its emergency, and so on.
"""

from collections.abc import Sequence
from datetime import datetime, timedelta

from chassis.transaction import Tx
from commands.handlers.following import (
    end_replicas,
    follow_emergencies,
    followed_at,
    keep_manual_replicas,
    named_until,
    needed_by,
)
from commands.handlers.found import Held, held
from commands.handlers.orders import finish
from commands.rules import lifecycle
from commands.rules.lifecycle import Order
from commands.store import contexts, queue, replicas
from commands.store.rows import Row
from spotkeeper_contracts.commands import CommandQueue, CommandStatus, CommandType

AGENTS_AT_ONCE = 100
AGAIN_AFTER = timedelta(minutes=1)
"""When an agent is looked at again that could not be settled, which is a bug."""


async def settle_due(partitions: Sequence[int], tx: Tx) -> bool:
    """Settle the agents of these partitions whom the clock concerns; tells whether more are due."""
    rows = await contexts.due(tx.db, partitions, at=tx.now, limit=AGENTS_AT_ONCE)
    for row in rows:
        if not await tx.apart(settle(held(row), tx)):
            await contexts.postpone(tx.db, row["agent_id"], at=tx.now + AGAIN_AFTER)
    return len(rows) == AGENTS_AT_ONCE


async def settle(agent: Held, tx: Tx) -> None:
    """Bring about what follows, tell of the queue if it changed, and note when to look again."""
    rows, looks = await _bring_about(agent, tx)
    await _tell(agent, [queue.order_of(row) for row in rows], looks, tx)


async def catch_up(agent: Held, tx: Tx) -> None:
    """Bring about what follows from the past, for a handler that judges by how things stand.

    Nothing is told of it before the handler comes to `settle`.
    """
    await _bring_about(agent, tx)


async def _bring_about(agent: Held, tx: Tx) -> tuple[list[Row], list[datetime]]:
    """Take each consequence in its turn; the commands that stay open, and when to look again."""
    rows = await _end_what_is_over(agent, tx)
    writes = tx.db.writes
    live: Sequence[Row] = await end_replicas(agent, tx)
    still_open = await follow_emergencies(agent, live, tx)
    if tx.db.writes != writes:
        live = await replicas.live(tx.db, agent.id, agent.client_id)
    looks = followed_at(still_open, tx.now) + named_until(live)
    looks += await keep_manual_replicas(agent, live, needed_by(still_open), tx)
    launches = any(row["command_type"] == CommandType.CREATE_REPLICA for row in rows)
    if launches or tx.db.writes != writes:
        rows = await _end_launches_that_are_over(agent, tx)
    return rows, looks


async def _end_what_is_over(agent: Held, tx: Tx) -> list[Row]:
    """End commands that time or the agent's state has overtaken; those that stay open.

    One that somebody has in hand is left to its report, as long as its agent exists.
    """
    left = []
    for row in await queue.open_commands(tx.db, agent.id, agent.client_id):
        order = queue.order_of(row)
        objection = lifecycle.objection(order, agent.state)
        untouched = order.status is CommandStatus.QUEUED or agent.state.deleted
        if lifecycle.is_over(order, tx.now):
            await finish(row, CommandStatus.EXPIRED, tx)
        elif objection is not None and untouched:
            await finish(row, CommandStatus.CANCELLED, tx, detail=objection)
        else:
            left.append(row)
    return left


async def _end_launches_that_are_over(agent: Held, tx: Tx) -> list[Row]:
    """End commands whose replica is launched, or is wanted no more; those that stay open."""
    left = []
    live = {row["id"]: row for row in await replicas.live(tx.db, agent.id, agent.client_id)}
    for row in await queue.open_commands(tx.db, agent.id, agent.client_id):
        order = queue.order_of(row)
        replica = None if order.replica_id is None else live.get(order.replica_id)
        if order.command_type is not CommandType.CREATE_REPLICA:
            left.append(row)
        elif replica is None:
            await finish(row, CommandStatus.CANCELLED, tx, detail="replica_ended")
        elif replica["instance_id"] is not None:
            await finish(row, CommandStatus.SUCCEEDED, tx, detail="replica_launched")
        else:
            left.append(row)
    return left


async def _tell(agent: Held, orders: list[Order], looks: list[datetime], tx: Tx) -> None:
    """Tell of the queue if it is another than was told, and note when to look at it again."""
    known = agent.row
    priorities = [
        order.priority for order in orders if lifecycle.is_deliverable(order, agent.state, tx.now)
    ]
    highest = max(priorities, default=None)
    due_at = min([*lifecycle.next_changes(orders, tx.now), *looks], default=None)
    is_told = (known["deliverable"], known["highest_priority"]) == (len(priorities), highest)
    if is_told and known["due_at"] == due_at:
        return
    revision = known["queue_revision"] + (not is_told)
    await contexts.settle(
        tx.db,
        agent.id,
        queue_revision=revision,
        deliverable=len(priorities),
        highest_priority=highest,
        due_at=due_at,
    )
    if not is_told:
        tx.emit(
            CommandQueue(
                agent_id=agent.id,
                client_id=agent.client_id,
                revision=revision,
                deliverable=len(priorities),
                highest_priority=highest,
            )
        )
