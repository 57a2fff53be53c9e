"""The command queue: filled by the gate, emptied by agents, watched by operators."""

from dataclasses import replace

from chassis.pages import Pages, fitting
from chassis.transaction import Tx
from commands import metrics
from commands.handlers.found import agent_to_change
from commands.handlers.orders import command_of, finish, queue_command
from commands.handlers.settling import settle
from commands.rules import lifecycle
from commands.store import queue as store
from commands.store.rows import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.commands import (
    CancelCommand,
    CommandDelivered,
    CommandDetail,
    CommandPage,
    CommandQueuedAnswer,
    CommandsLeased,
    CommandStatus,
    CommandType,
    LeaseCommands,
    ListCommands,
    QueueSwitch,
    ReportExecution,
    Transition,
    WithdrawSwitch,
)
from spotkeeper_contracts.message import Done

PAGES = Pages("commands", at="created_at")


async def queue_switch(request: QueueSwitch, tx: Tx) -> CommandQueuedAnswer:
    """Queue a switch that the registry let through, for the agent that it looked at.

    If that has moved since, the switch was not meant for it as it is now.
    """
    agent = await agent_to_change(request, tx)
    await queue_command(
        replace(agent, state=request.agent),
        tx,
        command_id=request.command_id,
        command_type=CommandType.SWITCH,
        trigger=request.trigger,
        priority=request.priority,
        target_pool=request.target_pool,
        target_mode=request.target_mode,
        reason=request.reason,
        confidence=request.confidence,
        max_price=request.max_price,
        expected_pool=request.expected_pool,
    )
    await settle(agent, tx)
    return CommandQueuedAnswer(command_id=request.command_id)


async def lease_commands(request: LeaseCommands, tx: Tx) -> CommandsLeased:
    """Hand out the most urgent commands that nobody has in hand.

    What the agent's state speaks against by now is cancelled instead. A question that waited too
    long gets none: its answer would be dropped, and the lease keep the commands from everybody.
    """
    if request.answer_by is not None and tx.now > request.answer_by:
        return CommandsLeased(commands=[])
    agent = await agent_to_change(request, tx)
    rows = {row["id"]: row for row in await store.open_commands(tx.db, agent.id, agent.client_id)}
    orders = lifecycle.by_urgency(store.order_of(row) for row in rows.values())
    free = [order for order in orders if lifecycle.is_free(order, tx.now)]
    if not free:
        return CommandsLeased(commands=[])

    objections = {order.id: lifecycle.objection(order, agent.state) for order in free}
    for id, objection in objections.items():
        if objection is not None:
            await finish(rows[id], CommandStatus.CANCELLED, tx, detail=objection)
    leased = [id for id, objection in objections.items() if objection is None][: request.limit]
    await _hand_out([rows[id] for id in leased], tx)
    await settle(agent, tx)
    return CommandsLeased(commands=[command_of(rows[id]) for id in leased])


async def report_execution(request: ReportExecution, tx: Tx) -> Done:
    """Take what the agent says of a command for its end."""
    agent = await agent_to_change(request, tx)
    row = _found(
        await store.command(tx.db, request.agent_id, request.client_id, request.command_id)
    )
    status = lifecycle.END_OF[request.status]
    if not lifecycle.is_repeat(CommandStatus(row["status"]), status):
        told = request.model_dump(include={"message", "error", "duration_seconds", "result"})
        await finish(row, status, tx, by=tx.actor, **told)
        await settle(agent, tx)
    return Done()


async def cancel_command(request: CancelCommand, tx: Tx) -> Done:
    """Take a command back, whoever has it in hand; a repeat changes nothing."""
    agent = await agent_to_change(request, tx)
    row = _found(
        await store.command(tx.db, request.agent_id, request.client_id, request.command_id)
    )
    if not lifecycle.is_repeat(CommandStatus(row["status"]), CommandStatus.CANCELLED):
        await finish(row, CommandStatus.CANCELLED, tx, by=tx.actor)
        await settle(agent, tx)
    return Done()


async def withdraw_switch(request: WithdrawSwitch, tx: Tx) -> Done:
    """Take a switch back that a later decision of the loop does not want; what is fetched stays."""
    agent = await agent_to_change(request, tx)
    row = await store.command(tx.db, request.agent_id, request.client_id, request.command_id)
    if row is None or not lifecycle.may_be_withdrawn(store.order_of(row)):
        return Done()
    if (row["target_mode"], row["target_pool"]) != (request.unless_mode, request.unless_pool):
        await finish(row, CommandStatus.CANCELLED, tx, by=tx.actor, detail="decided_anew")
        await settle(agent, tx)
    return Done()


async def list_commands(request: ListCommands, tx: Tx) -> CommandPage:
    """A page of commands, newest first."""
    rows = await store.page(
        tx.db,
        request.agent_id,
        request.client_id,
        status=request.status and request.status.value,
        before=PAGES.position(request.cursor),
        limit=request.limit + 1,
    )
    shown = rows[: request.limit]
    steps = await store.transitions(tx.db, [row["id"] for row in shown])
    items = fitting([_detail_of(row, steps[row["id"]]) for row in shown])
    return CommandPage(items=items, next_cursor=PAGES.next_cursor(rows, shown=len(items)))


async def _hand_out(rows: list[Row], tx: Tx) -> None:
    if not rows:
        return
    await store.hand_out(
        tx.db,
        rows[0]["agent_id"],
        [row["id"] for row in rows],
        CommandStatus.DELIVERED,
        until=tx.now + tx.settings.lease,
        at=tx.now,
        by=tx.actor,
    )
    for row in rows:
        if row["status"] == CommandStatus.QUEUED:
            waited = tx.now - row["created_at"]
            tx.count(metrics.DELIVERY_SECONDS.observe, waited.total_seconds())
        tx.emit(
            CommandDelivered(
                agent_id=row["agent_id"],
                client_id=row["client_id"],
                command=command_of(row),
                at=tx.now,
            )
        )


def _found(row: Row | None) -> Row:
    if row is None:
        raise Refused("COMMAND_NOT_FOUND", "Command not found", 404)
    return row


def _detail_of(row: Row, steps: list[Row]) -> CommandDetail:
    told = {name: row[name] for name in ("status", "reason", "confidence", "message", "error")}
    return CommandDetail(
        **store.fields_of(row),
        **told,
        transitions=[Transition.model_validate(dict(step)) for step in steps],
        timestamp=row["created_at"],
    )
