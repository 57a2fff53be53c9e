"""Commands and the steps of their lives."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import (
    DateTime,
    Insert,
    Text,
    Update,
    Uuid,
    bindparam,
    func,
    insert,
    literal_column,
    or_,
    select,
    update,
)

from chassis.pages import Position
from chassis.query import AT, IDS, LIMIT, Connection, Query, behind, given, given_all, named
from commands.rules.lifecycle import Order
from commands.store.rows import AGENT, Row, of_agent
from commands.tables import command_transitions, commands
from spotkeeper_contracts.commands import Command, CommandStatus, CommandType, Preconditions

_command = bindparam("command_id", type_=Uuid)
_status = bindparam("status", type_=Text)
_report = ("message", "error", "duration_seconds", "result")


def _with_step(change: Insert | Update) -> Query:
    """The change of commands, and the step that each takes by it, in one statement."""
    changed = change.returning(commands.c.id).cte("changed")
    step = (
        select(func.coalesce(func.max(command_transitions.c.seq), 0) + 1)
        .where(command_transitions.c.command_id == changed.c.id)
        .scalar_subquery()
    )
    actor, detail = bindparam("actor", type_=Text), bindparam("detail", type_=Text)
    return Query(
        insert(command_transitions).from_select(
            ["command_id", "seq", "status", "at", "actor", "detail"],
            select(changed.c.id, step, _status, AT, actor, detail),
        )
    )


_ADD = _with_step(
    insert(commands).values(
        given_all(commands, but=("status", "lease_until", "ended_at", *_report))
        | {"status": _status}
    )
)
_FIND = Query(select(commands).where(of_agent(commands), commands.c.id == _command))
_OPEN = Query(select(commands).where(of_agent(commands), commands.c.ended_at.is_(None)))
_RETARGET = Query(
    update(commands)
    .where(
        commands.c.agent_id == AGENT,
        commands.c.id == _command,
        commands.c.status == CommandStatus.QUEUED.value,
    )
    .values(target_pool=bindparam("pool_id", type_=Text))
)
_HAND_OUT = _with_step(
    update(commands)
    .where(commands.c.agent_id == AGENT, commands.c.id == IDS)
    .values(status=_status, lease_until=bindparam("until", type_=DateTime(timezone=True)))
)
_END = _with_step(
    update(commands)
    .where(commands.c.agent_id == AGENT, commands.c.id == _command)
    .values(status=_status, ended_at=AT, lease_until=None)
    .values(given(commands, *_report))
)
_PAGE = Query(
    select(commands)
    .where(
        of_agent(commands),
        or_(_status.is_(None), commands.c.status == _status),
        behind(commands.c.created_at, commands.c.id),
    )
    .order_by(commands.c.created_at.desc(), commands.c.id.desc())
    .limit(LIMIT)
)
_TRANSITIONS = Query(
    select(command_transitions)
    .where(command_transitions.c.command_id == IDS)
    .order_by(literal_column("command_id"), literal_column("seq"))
)


async def add(db: Connection, *, actor: str, **columns: Any) -> None:
    """Queue a command."""
    step = _step(CommandStatus.QUEUED, at=columns["created_at"], by=actor)
    await _ADD.run(db, **named(columns), **step)


async def retarget(db: Connection, agent_id: UUID, command_id: UUID, pool_id: str) -> None:
    """Send whoever fetches the command to another pool; if it was fetched before, nothing is."""
    await _RETARGET.run(db, agent_id=agent_id, command_id=command_id, pool_id=pool_id)


async def command(db: Connection, agent_id: UUID, client_id: UUID, command_id: UUID) -> Row | None:
    """One command of the agent."""
    return await _FIND.row(db, agent_id=agent_id, client_id=client_id, command_id=command_id)


async def open_commands(db: Connection, agent_id: UUID, client_id: UUID) -> Sequence[Row]:
    """The agent's commands that have not ended."""
    return await _OPEN.rows(db, agent_id=agent_id, client_id=client_id)


async def hand_out(
    db: Connection,
    agent_id: UUID,
    ids: Sequence[UUID],
    status: CommandStatus,
    *,
    until: datetime | None,
    at: datetime,
    by: str,
) -> None:
    """Let the agent have commands until then."""
    step = _step(status, at=at, by=by)
    await _HAND_OUT.run(db, agent_id=agent_id, ids=list(ids), until=until, **step)


async def end(
    db: Connection,
    agent_id: UUID,
    command_id: UUID,
    status: CommandStatus,
    *,
    at: datetime,
    by: str,
    detail: str | None = None,
    **report: Any,
) -> None:
    """Bring a command to its end; `report` is what its agent says of it."""
    told = {name: report.get(name) for name in _report}
    step = _step(status, at=at, by=by, detail=detail)
    await _END.run(db, agent_id=agent_id, command_id=command_id, **named(told), **step)


async def page(
    db: Connection,
    agent_id: UUID,
    client_id: UUID,
    *,
    status: str | None,
    before: Position | None,
    limit: int,
) -> Sequence[Row]:
    """An agent's commands, newest first."""
    return await _PAGE.rows(
        db,
        agent_id=agent_id,
        client_id=client_id,
        status=status,
        before=before and before.at,
        before_id=before and before.id,
        limit=limit,
    )


async def transitions(db: Connection, ids: Sequence[UUID]) -> dict[UUID, list[Row]]:
    """The steps of commands, each command's in their order."""
    found: dict[UUID, list[Row]] = {id: [] for id in ids}
    for row in await _TRANSITIONS.rows(db, ids=list(ids)):
        found[row["command_id"]].append(row)
    return found


def order_of(row: Row) -> Order:
    """What the rules are to know of a command."""
    told = Preconditions.model_validate(row["parameters"])
    return Order(
        id=row["id"],
        command_type=CommandType(row["command_type"]),
        status=CommandStatus(row["status"]),
        priority=row["priority"],
        trigger=told.trigger,
        replica_id=told.replica_id,
        expected_instance_id=told.expected_instance_id,
        created_at=row["created_at"],
        expires_at=row["expires_at"],
        lease_until=row["lease_until"],
    )


def fields_of(row: Row) -> dict[str, Any]:
    """A command's fields as everyone may know them."""
    own = {"command_id": row["id"]}
    return own | {name: row[name] for name in Command.model_fields.keys() - own.keys()}


def _step(
    status: CommandStatus, *, at: datetime, by: str, detail: str | None = None
) -> dict[str, Any]:
    return {"status": status.value, "at": at, "actor": by, "detail": detail}
