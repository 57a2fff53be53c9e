"""Moves under way: switches that the gate let through, and replicas that live."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, bindparam, delete, or_, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, Connection, Query, given_all, named
from registry.store.states import Row
from registry.tables import open_moves, switch_reports

SWITCH, REPLICA = "switch", "replica"

_id = bindparam("agent_id", type_=Uuid)
_move = bindparam("move_id", type_=Uuid)

_OPEN_SWITCHES = Query(
    select(open_moves).where(
        open_moves.c.agent_id == _id,
        open_moves.c.kind == SWITCH,
        open_moves.c.finished_at.is_(None),
        open_moves.c.expires_at > AT,
    )
)
_opened = insert(open_moves).values(given_all(open_moves, but=("finished_at",)))
_OPEN = Query(
    _opened.on_conflict_do_update(
        index_elements=["id"],
        set_={
            "instance_id": _opened.excluded.instance_id,
            "expires_at": _opened.excluded.expires_at,
        },
    )
)
_FINISH = Query(
    update(open_moves)
    .where(open_moves.c.id == _move, open_moves.c.agent_id == _id)
    .values(finished_at=AT, expires_at=bindparam("until", type_=DateTime(timezone=True)))
)
_CLOSE = Query(delete(open_moves).where(open_moves.c.id == _move, open_moves.c.agent_id == _id))
_CLOSE_SWITCHES = Query(
    delete(open_moves).where(open_moves.c.agent_id == _id, open_moves.c.kind == SWITCH)
)
_CLOSE_ALL = Query(delete(open_moves).where(open_moves.c.agent_id == _id))

_command = bindparam("command_id", type_=Uuid)
_old = bindparam("old_instance_id", type_=Text)
_new = bindparam("new_instance_id", type_=Text)
_REPORTED = Query(
    select(switch_reports.c.id)
    .where(
        switch_reports.c.agent_id == _id,
        or_(
            switch_reports.c.command_id == _command,
            (switch_reports.c.old_instance_id == _old) & (switch_reports.c.new_instance_id == _new),
        ),
    )
    .limit(1)
)
_REMEMBER = Query(insert(switch_reports).values(given_all(switch_reports)))


async def open_switches(db: Connection, agent_id: UUID, *, at: datetime) -> Sequence[Row]:
    """The agent's switches whose commands have not ended: of an emergency, and another."""
    return await _OPEN_SWITCHES.rows(db, agent_id=agent_id, at=at)


async def open_move(db: Connection, **columns: Any) -> None:
    """Keep a move; one that is known gets its instance and its expiry anew."""
    await _OPEN.run(db, **named(columns))


async def finish(
    db: Connection, agent_id: UUID, move_id: UUID, *, at: datetime, until: datetime
) -> None:
    """The move's command has succeeded; until then its report may come."""
    await _FINISH.run(db, agent_id=agent_id, move_id=move_id, at=at, until=until)


async def close(db: Connection, agent_id: UUID, move_id: UUID) -> None:
    """Forget a move that is over."""
    await _CLOSE.run(db, agent_id=agent_id, move_id=move_id)


async def close_switches(db: Connection, agent_id: UUID) -> None:
    """Forget the switches of an agent: it has moved, and each was meant for where it was."""
    await _CLOSE_SWITCHES.run(db, agent_id=agent_id)


async def close_all(db: Connection, agent_id: UUID) -> None:
    """Forget all moves of an agent."""
    await _CLOSE_ALL.run(db, agent_id=agent_id)


async def is_reported(
    db: Connection, agent_id: UUID, command_id: UUID | None, *, old: str, new: str
) -> bool:
    """Whether this switch was reported before: under its command, or as this pair of instances."""
    id = await _REPORTED.value(
        db, agent_id=agent_id, command_id=command_id, old_instance_id=old, new_instance_id=new
    )
    return id is not None


async def remember_report(db: Connection, **columns: Any) -> None:
    """Keep a reported switch, so that a repeat of it is known."""
    await _REMEMBER.run(db, **named(columns))
