"""The audit trail and the notifications."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Uuid, bindparam, insert, or_, select, tuple_

from chassis.query import Connection, Query
from registry.store.pages import Position
from registry.store.states import Row
from registry.tables import notifications, system_events

_ADD = Query(
    insert(system_events).values(
        {c.name: bindparam(f"new_{c.name}", type_=c.type) for c in system_events.c}
    )
)
_NOTIFY = Query(
    insert(notifications).values(
        {c.name: bindparam(f"new_{c.name}", type_=c.type) for c in notifications.c}
    )
)
_before = bindparam("before", type_=DateTime(timezone=True))
_LIST = Query(
    select(system_events)
    .where(
        system_events.c.agent_id == bindparam("agent_id", type_=Uuid),
        system_events.c.client_id == bindparam("client_id", type_=Uuid),
        or_(
            _before.is_(None),
            tuple_(system_events.c.created_at, system_events.c.id)
            < tuple_(_before, bindparam("before_id", type_=Uuid)),
        ),
    )
    .order_by(system_events.c.created_at.desc(), system_events.c.id.desc())
    .limit(bindparam("limit"))
)


async def add_event(db: Connection, **columns: Any) -> None:
    """Write one line of the audit trail."""
    await _ADD.run(db, **{f"new_{name}": value for name, value in columns.items()})


async def add_notification(
    db: Connection,
    id: UUID,
    *,
    client_id: UUID,
    agent_id: UUID | None,
    kind: str,
    message: str,
    at: datetime,
) -> None:
    """Leave word for the client."""
    await _NOTIFY.run(
        db,
        new_id=id,
        new_client_id=client_id,
        new_agent_id=agent_id,
        new_kind=kind,
        new_message=message,
        new_created_at=at,
    )


async def page(
    db: Connection, agent_id: UUID, client_id: UUID, *, before: Position | None, limit: int
) -> Sequence[Row]:
    """An agent's trail, newest first."""
    return await _LIST.rows(
        db,
        agent_id=agent_id,
        client_id=client_id,
        before=before and before.at,
        before_id=before and before.id,
        limit=limit,
    )
