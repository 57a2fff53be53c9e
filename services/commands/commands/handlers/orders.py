"""The steps of a command's life, each kept and told."""

from typing import Any
from uuid import UUID

from chassis.transaction import Tx
from commands import metrics
from commands.handlers.found import Held
from commands.rules import lifecycle
from commands.store import queue
from commands.store.rows import Row
from spotkeeper_contracts.commands import (
    Command,
    CommandFinished,
    CommandQueued,
    CommandStatus,
    CommandType,
    Preconditions,
    Priority,
    Trigger,
)
from spotkeeper_contracts.values import PurchaseMode

SYSTEM = "system:commands"


async def queue_command(
    agent: Held,
    tx: Tx,
    *,
    command_id: UUID,
    command_type: CommandType,
    trigger: Trigger,
    priority: int,
    target_pool: str | None,
    target_mode: PurchaseMode,
    replica_id: UUID | None = None,
    reason: str | None = None,
    confidence: float | None = None,
    max_price: float | None = None,
    expected_pool: str | None = None,
) -> None:
    """Let a command wait for the agent, on the conditions that hold now.

    `expected_pool` is its pool as it names it itself, if that is known better than by its state.
    """
    expires_at = tx.now + tx.settings.command_life(trigger)
    parameters = Preconditions(
        trigger=trigger,
        replica_id=replica_id,
        expected_instance_id=agent.state.instance_id,
        expected_pool=expected_pool or agent.state.current_pool_id,
        max_price=max_price,
        not_after=expires_at,
        epoch=agent.state.epoch,
    )
    command = Command(
        command_id=command_id,
        command_type=command_type,
        target_pool=target_pool,
        target_mode=target_mode,
        priority=priority,
        created_at=tx.now,
        expires_at=expires_at,
        terminate_wait_seconds=agent.state.config.terminate_wait_seconds,
        request_id=tx.request_id,
        parameters=parameters,
    )
    columns = command.model_dump(exclude={"command_id"}) | {
        "id": command_id,
        "agent_id": agent.id,
        "client_id": agent.client_id,
        "parameters": parameters.model_dump(mode="json"),
        "reason": reason,
        "confidence": confidence,
    }
    await queue.add(tx.db, actor=tx.actor, **columns)
    tx.emit(CommandQueued(agent_id=agent.id, client_id=agent.client_id, command=command, at=tx.now))


async def queue_emergency_switch(agent: Held, tx: Tx) -> UUID:
    """Tell the agent to go where nothing is interrupted: on demand. Returns the command's id."""
    command_id = tx.new_id()
    await queue_command(
        agent,
        tx,
        command_id=command_id,
        command_type=CommandType.SWITCH,
        trigger=Trigger.EMERGENCY,
        priority=Priority.EMERGENCY,
        target_pool=None,
        target_mode=PurchaseMode.ONDEMAND,
        reason="termination_notice",
    )
    return command_id


async def finish(
    row: Row,
    status: CommandStatus,
    tx: Tx,
    *,
    by: str = SYSTEM,
    detail: str | None = None,
    **report: Any,
) -> None:
    """Bring an open command to its end; `report` is what its agent says of it."""
    assert lifecycle.may_become(CommandStatus(row["status"]), status)
    await queue.end(
        tx.db, row["agent_id"], row["id"], status, at=tx.now, by=by, detail=detail, **report
    )
    tx.count(metrics.COMMANDS_FINISHED.labels(row["command_type"], status.value).inc)
    tx.emit(
        CommandFinished(
            agent_id=row["agent_id"],
            client_id=row["client_id"],
            command=command_of(row),
            at=tx.now,
            status=status,
            actor=by,
            detail=detail,
            duration_seconds=report.get("duration_seconds"),
        )
    )


async def cancel_overtaken(agent: Held, tx: Tx) -> None:
    """Cancel what the agent as it is now speaks against, even if the agent has it in hand."""
    for row in await queue.open_commands(tx.db, agent.id, agent.client_id):
        objection = lifecycle.objection(queue.order_of(row), agent.state)
        if objection is not None:
            await finish(row, CommandStatus.CANCELLED, tx, detail=objection)


def command_of(row: Row) -> Command:
    """The command as its agent fetches it."""
    return Command.model_validate(queue.fields_of(row))
