"""Instances that were left behind or superseded, as the registry tells of them."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, bindparam, func, select
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, Connection, Query
from commands.store.rows import AGENT, CLIENT, of_agent
from commands.tables import zombies

_instance = bindparam("instance_id", type_=Text)
_FIND = Query(select(zombies.c.since).where(of_agent(zombies), zombies.c.instance_id == _instance))
_left = insert(zombies).values(agent_id=AGENT, client_id=CLIENT, instance_id=_instance, since=AT)
_LEAVE = Query(_left.on_conflict_do_nothing())
_TERMINATE = Query(
    _left.values(terminated_at=AT).on_conflict_do_update(
        index_elements=["agent_id", "instance_id"],
        set_={"terminated_at": func.coalesce(zombies.c.terminated_at, AT)},
    )
)


async def leave(
    db: Connection, agent_id: UUID, client_id: UUID, instance_id: str, *, at: datetime
) -> None:
    """The instance is left behind or superseded, and costs money until it is gone."""
    await _LEAVE.run(db, agent_id=agent_id, client_id=client_id, instance_id=instance_id, at=at)


async def is_left(db: Connection, agent_id: UUID, client_id: UUID, instance_id: str) -> bool:
    """Whether the instance was left behind or superseded, be it gone or not."""
    found = await _FIND.row(db, agent_id=agent_id, client_id=client_id, instance_id=instance_id)
    return found is not None


async def terminate(
    db: Connection, agent_id: UUID, client_id: UUID, instance_id: str, *, at: datetime
) -> None:
    """The instance is gone."""
    await _TERMINATE.run(db, agent_id=agent_id, client_id=client_id, instance_id=instance_id, at=at)
