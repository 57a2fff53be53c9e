"""Switches that were made, and the times that agents stayed where they went."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, func, insert, or_, select, update

from chassis.pages import Position
from chassis.query import AT, LIMIT, Connection, Query, behind, given, given_all, named
from commands.store.rows import AGENT, PARTITIONS, Row, of_agent
from commands.tables import agent_contexts, switches, zombies

_ADD = Query(insert(switches).values(given_all(switches, but=["settled_savings"])))
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
    kept_if_refused=True,
)
_LOSE_AGENT = Query(
    update(switches)
    .where(switches.c.agent_id == AGENT, switches.c.agent_deleted_at.is_(None))
    .values(agent_deleted_at=func.greatest(switches.c.completed_at, AT)),
    kept_if_refused=True,
)
# Of two moments, or of the one that is known, the earlier.
_old_gone_at = func.least(zombies.c.terminated_at, switches.c.agent_deleted_at)
_switch = select(switches, _old_gone_at.label("old_gone_at")).outerjoin(
    zombies,
    (zombies.c.agent_id == switches.c.agent_id)
    & (zombies.c.instance_id == switches.c.old_instance["instance_id"].astext),
)
_ALL = Query(_switch.where(of_agent(switches)).order_by(switches.c.completed_at))
_DUE = Query(
    select(switches.c.agent_id, switches.c.client_id)
    .join(agent_contexts, agent_contexts.c.agent_id == switches.c.agent_id)
    .where(agent_contexts.c.partition == PARTITIONS, switches.c.meter_at <= AT)
    .group_by(switches.c.agent_id, switches.c.client_id)
    .order_by(func.min(switches.c.meter_at))
    .limit(LIMIT)
)
_DUE_SWITCHES = Query(
    _switch.where(of_agent(switches), switches.c.meter_at <= AT).order_by(switches.c.completed_at)
)
_METER_AGAIN = Query(
    update(switches)
    .where(switches.c.id == bindparam("switch_id", type_=Uuid))
    .values(given(switches, "meter_at"))
)
_SETTLE = Query(
    update(switches)
    .where(switches.c.id == bindparam("switch_id", type_=Uuid))
    .values(given(switches, "settled_savings"))
    .values(meter_at=None)
)
_METER_ALL = Query(
    update(switches)
    .where(switches.c.agent_id == AGENT, switches.c.meter_at.is_not(None))
    .values(meter_at=AT),
    kept_if_refused=True,
)
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


async def lose_agent(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """The agent was deleted: nobody can tell any more that an instance which it left is gone."""
    await _LOSE_AGENT.run(db, agent_id=agent_id, at=at)


async def due(
    db: Connection, partitions: Sequence[int], *, at: datetime, limit: int
) -> Sequence[Row]:
    """Agents of these partitions with a switch that is to be metered, the longest due first."""
    return await _DUE.rows(db, partitions=list(partitions), at=at, limit=limit)


async def due_switches(
    db: Connection, agent_id: UUID, client_id: UUID, *, at: datetime
) -> Sequence[Row]:
    """The agent's switches that are to be metered, each with when the old instance was gone."""
    return await _DUE_SWITCHES.rows(db, agent_id=agent_id, client_id=client_id, at=at)


async def meter_again(db: Connection, switch_id: UUID, *, at: datetime) -> None:
    """Meter the switch then."""
    await _METER_AGAIN.run(db, switch_id=switch_id, **named({"meter_at": at}))


async def settle(db: Connection, switch_id: UUID, savings: float) -> None:
    """Keep what the switch has brought in USD, whatever is heard of it from now on."""
    await _SETTLE.run(db, switch_id=switch_id, **named({"settled_savings": savings}))


async def meter_all(db: Connection, agent_id: UUID, *, at: datetime) -> None:
    """Meter those of the agent's switches then that are not settled."""
    await _METER_ALL.run(db, agent_id=agent_id, at=at)


async def all_switches(db: Connection, agent_id: UUID, client_id: UUID) -> Sequence[Row]:
    """All switches of an agent, each with the moment at which the old instance was gone.

    It counts as gone, at the latest, when its agent was deleted.
    """
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
