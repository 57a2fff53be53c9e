"""Switches that were made, and the times that agents stayed where they went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, bindparam, func, insert, or_, select, update

from chassis.pages import Position
from chassis.query import AT, LIMIT, Connection, Query, behind, given_all, named
from commands.store.rows import AGENT, Row, of_agent
from commands.tables import switches, zombies

_ADD = Query(insert(switches).values(given_all(switches)))
# What is learned of an agent stays true although the request that told it is refused.
_END_STAYS = Query(
    update(switches)
    .where(
        switches.c.agent_id == AGENT,
        or_(switches.c.ended_at.is_(None), switches.c.ended_at > AT),
        switches.c.new_instance["instance_id"].astext.is_distinct_from(
            bindparam("instance_id", type_=Text)
        ),
    )
    .values(ended_at=func.greatest(switches.c.completed_at, AT)),
    writes=False,
)
_switch = select(switches, zombies.c.terminated_at.label("old_gone_at")).outerjoin(
    zombies,
    (zombies.c.agent_id == switches.c.agent_id)
    & (zombies.c.instance_id == switches.c.old_instance["instance_id"].astext),
)
_ALL = Query(_switch.where(of_agent(switches)).order_by(switches.c.completed_at))
_PAGE = Query(
    _switch.where(
        of_agent(switches),
        behind(switches.c.completed_at, switches.c.id),
    )
    .order_by(switches.c.completed_at.desc(), switches.c.id.desc())
    .limit(LIMIT)
)


async def add(db: Connection, **columns: Any) -> None:
    """Keep a switch that was made."""
    await _ADD.run(db, **named(columns))


async def end_stays(db: Connection, agent_id: UUID, *, at: datetime, unless_on: str | None) -> None:
    """By then the agent had left the instances that it had switched to, unless one is its own."""
    await _END_STAYS.run(db, agent_id=agent_id, at=at, instance_id=unless_on)


async def all_switches(db: Connection, agent_id: UUID, client_id: UUID) -> Sequence[Row]:
    """All switches of an agent, each with the moment at which the old instance was gone."""
    return await _ALL.rows(db, agent_id=agent_id, client_id=client_id)


async def page(
    db: Connection, agent_id: UUID, client_id: UUID, *, before: Position | None, limit: int
) -> Sequence[Row]:
    """The same, newest first."""
    return await _PAGE.rows(
        db,
        agent_id=agent_id,
        client_id=client_id,
        before=before and before.at,
        before_id=before and before.id,
        limit=limit,
    )
