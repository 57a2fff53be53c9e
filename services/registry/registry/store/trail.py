"""The audit trail and the notifications."""

from collections.abc import Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, bindparam, insert, select

from chassis.pages import Position
from chassis.query import LIMIT, Connection, Query, behind, given_all, named
from registry.store.states import Row
from registry.tables import notifications, system_events

_event = insert(system_events).values(given_all(system_events))
_ADD = Query(_event)
_ADD_AND_NOTIFY = Query(
    insert(notifications)
    .values(
        id=bindparam("notification_id", type_=Uuid),
        client_id=bindparam("new_client_id", type_=Uuid),
        agent_id=bindparam("new_agent_id", type_=Uuid),
        kind=bindparam("new_event_type", type_=Text),
        message=bindparam("new_message", type_=Text),
        created_at=bindparam("new_created_at", type_=DateTime(timezone=True)),
    )
    .add_cte(_event.cte("event"))
)
_LIST = Query(
    select(system_events)
    .where(
        system_events.c.agent_id == bindparam("agent_id", type_=Uuid),
        system_events.c.client_id == bindparam("client_id", type_=Uuid),
        behind(system_events.c.created_at, system_events.c.id),
    )
    .order_by(system_events.c.created_at.desc(), system_events.c.id.desc())
    .limit(LIMIT)
)


async def add_event(db: Connection, *, notification_id: UUID | None, **columns: Any) -> None:
    """Write one line of the audit trail, and leave it as a notification if that has an id."""
    line = named(columns)
    if notification_id is None:
        await _ADD.run(db, **line)
    else:
        await _ADD_AND_NOTIFY.run(db, **line, notification_id=notification_id)


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
