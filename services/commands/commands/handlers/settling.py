"""What follows by itself: from the clock, from the agent's state, from one thing for another.

Each handler changes its own matter and lets `settle` bring the rest about; the sweep does the same
for agents whom only the clock concerns. So every consequence has one place, and one order.
"""

from collections.abc import Sequence

from chassis.transaction import Tx
from commands.handlers import orders
from commands.handlers.found import Held, held
from commands.rules import lifecycle
from commands.rules.lifecycle import Order
from commands.store import contexts, queue
from spotkeeper_contracts.commands import CommandQueue, CommandStatus

AGENTS_AT_ONCE = 100


async def sweep(partitions: Sequence[int], tx: Tx) -> bool:
    """Settle the agents of these partitions whom the clock concerns; tells whether more are due."""
    rows = await contexts.due(tx.db, partitions, at=tx.now, limit=AGENTS_AT_ONCE)
    for row in rows:
        await settle(held(row), tx)
    return len(rows) == AGENTS_AT_ONCE


async def settle(agent: Held, tx: Tx) -> None:
    """Bring about what follows, tell of the queue if it changed, and note when to look again."""
    open_orders = await _end_what_is_over(agent, tx)
    await _tell(agent, open_orders, tx)


async def _end_what_is_over(agent: Held, tx: Tx) -> list[Order]:
    """End commands that time or the agent's state has overtaken; those that stay open.

    One that somebody has in hand is left to its report, as long as its agent exists.
    """
    left = []
    for row in await queue.open_commands(tx.db, agent.id, agent.client_id):
        order = queue.order_of(row)
        objection = lifecycle.objection(order, agent.state)
        untouched = order.status is CommandStatus.QUEUED or agent.state.deleted
        if lifecycle.is_over(order, tx.now):
            await orders.finish(row, CommandStatus.EXPIRED, tx)
        elif objection is not None and untouched:
            await orders.finish(row, CommandStatus.CANCELLED, tx, detail=objection)
        else:
            left.append(order)
    return left


async def _tell(agent: Held, open_orders: list[Order], tx: Tx) -> None:
    known = agent.row
    priorities = [
        order.priority
        for order in open_orders
        if lifecycle.is_deliverable(order, agent.state, tx.now)
    ]
    highest = max(priorities, default=None)
    due_at = lifecycle.next_change(open_orders, tx.now)
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
