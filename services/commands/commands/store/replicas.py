"""Replicas: those that live, and those that were."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Uuid, bindparam, func, insert, or_, select, update

from chassis.query import LIMIT, SINCE, Connection, Query, given, given_all, named
from commands.rules.standby import Standby
from commands.store.rows import AGENT, Row, of_agent
from commands.tables import commands, replicas
from spotkeeper_contracts.replicas import Replica, ReplicaKind, ReplicaStatus

_replica = bindparam("replica_id", type_=Uuid)
_changing = (
    *("status", "pool_id", "az", "instance_id", "sync_percentage", "price_usd_per_hour"),
    *("command_id", "error", "updated_at", "launched_at", "ended_at"),
)

_ADD = Query(insert(replicas).values(given_all(replicas)))
_FIND = Query(select(replicas).where(of_agent(replicas), replicas.c.id == _replica))
_listed = (
    select(replicas, func.count().over().label("total"))
    .where(of_agent(replicas))
    .order_by(replicas.c.ended_at.is_not(None), replicas.c.created_at.desc(), replicas.c.id.desc())
    .limit(LIMIT)
    .subquery()
)
_LISTED = Query(select(_listed).order_by(_listed.c.created_at.desc(), _listed.c.id.desc()))
_LIVE = Query(
    select(
        replicas,
        commands.c.status.label("command_status"),
        commands.c.expires_at.label("command_expires_at"),
    )
    .outerjoin(commands, commands.c.id == replicas.c.command_id)
    .where(of_agent(replicas), replicas.c.ended_at.is_(None))
    .order_by(replicas.c.created_at, replicas.c.id)
)
_SAVE = Query(
    update(replicas)
    .where(replicas.c.agent_id == AGENT, replicas.c.id == _replica)
    .values(given(replicas, *_changing))
)
_LAST_FAILURE = Query(
    select(replicas.c.ended_at)
    .where(
        of_agent(replicas),
        replicas.c.kind == ReplicaKind.MANUAL.value,
        replicas.c.status == ReplicaStatus.FAILED.value,
    )
    .order_by(replicas.c.ended_at.desc())
    .limit(1)
)
_LAUNCHED = Query(
    select(replicas).where(
        of_agent(replicas),
        replicas.c.launched_at.is_not(None),
        or_(replicas.c.ended_at.is_(None), replicas.c.ended_at > SINCE),
    )
)

AT_MOST = 500
"""So many replicas of an agent are listed: those that live, then the newest."""


async def add(db: Connection, row: Row) -> None:
    """Keep a new replica."""
    await _ADD.run(db, **named(row))


async def replica(db: Connection, agent_id: UUID, client_id: UUID, replica_id: UUID) -> Row | None:
    """One replica of the agent."""
    return await _FIND.row(db, agent_id=agent_id, client_id=client_id, replica_id=replica_id)


async def listed(db: Connection, agent_id: UUID, client_id: UUID) -> tuple[Sequence[Row], int]:
    """The agent's replicas, those that ended too, newest first; and how many there are in all."""
    rows = await _LISTED.rows(db, agent_id=agent_id, client_id=client_id, limit=AT_MOST)
    return rows, rows[0]["total"] if rows else 0


async def live(db: Connection, agent_id: UUID, client_id: UUID) -> Sequence[Row]:
    """The agent's replicas that have not ended, each with the status of its command."""
    return await _LIVE.rows(db, agent_id=agent_id, client_id=client_id)


async def save(db: Connection, row: Row) -> None:
    """Keep a replica as it stands now."""
    changing = {name: row[name] for name in _changing}
    await _SAVE.run(db, agent_id=row["agent_id"], replica_id=row["id"], **named(changing))


async def last_failure(db: Connection, agent_id: UUID, client_id: UUID) -> datetime | None:
    """When a manual replica of the agent failed last."""
    at: datetime | None = await _LAST_FAILURE.value(db, agent_id=agent_id, client_id=client_id)
    return at


async def launched(
    db: Connection, agent_id: UUID, client_id: UUID, *, since: datetime
) -> Sequence[Row]:
    """The agent's replicas that had an instance at some time after `since`."""
    return await _LAUNCHED.rows(db, agent_id=agent_id, client_id=client_id, since=since)


def standby_of(row: Row) -> Standby:
    """What the rules are to know of a live replica."""
    return Standby(
        id=row["id"],
        kind=ReplicaKind(row["kind"]),
        status=ReplicaStatus(row["status"]),
        is_kept=row["is_kept"],
        instance_id=row["instance_id"],
        created_at=row["created_at"],
    )


def replica_of(row: Row) -> Replica:
    """The replica as everyone may know it."""
    own = {"replica_id": row["id"]}
    told = {name: row[name] for name in Replica.model_fields.keys() - own.keys()}
    return Replica.model_validate(own | told)
