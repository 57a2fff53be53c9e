"""Emergencies, and the notices that AWS gave."""

from collections.abc import Sequence
from datetime import datetime
from typing import Any
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, and_, bindparam, func, insert, select, update
from sqlalchemy.dialects.postgresql import insert as upsert

from chassis.query import AT, Connection, Query, given, given_all, named
from commands.rules import emergencies as rules
from commands.rules.emergencies import Action, Outcome, Threat
from commands.store.rows import AGENT, Row, of_agent
from commands.tables import commands, emergencies, replicas, termination_notices
from spotkeeper_contracts.commands import CommandStatus
from spotkeeper_contracts.replicas import ReplicaStatus

_emergency = bindparam("emergency_id", type_=Uuid)
_instance = bindparam("instance_id", type_=Text)
_measures = (
    replicas.c.status.label("replica_status"),
    replicas.c.instance_id.label("replica_instance_id"),
    commands.c.status.label("command_status"),
    termination_notices.c.termination_time,
)
_OF_NOTICE = ("action", "replica_id", "command_id", "closed_at", "outcome")

_ADD = Query(insert(emergencies).values(given_all(emergencies)))
_OPEN = Query(
    select(emergencies, *_measures)
    .outerjoin(replicas, replicas.c.id == emergencies.c.replica_id)
    .outerjoin(commands, commands.c.id == emergencies.c.command_id)
    .outerjoin(
        termination_notices,
        and_(
            termination_notices.c.agent_id == emergencies.c.agent_id,
            termination_notices.c.emergency_id == emergencies.c.id,
        ),
    )
    .where(of_agent(emergencies), emergencies.c.closed_at.is_(None))
    .order_by(emergencies.c.opened_at, emergencies.c.id)
)
_FIND = Query(select(emergencies).where(of_agent(emergencies), emergencies.c.id == _emergency))
_LAST = Query(
    select(emergencies)
    .where(of_agent(emergencies))
    .order_by(emergencies.c.opened_at.desc(), emergencies.c.id.desc())
    .limit(1)
)
_ACT = Query(
    update(emergencies)
    .where(emergencies.c.agent_id == AGENT, emergencies.c.id == _emergency)
    .values(given(emergencies, "action", "replica_id", "command_id"))
)
_CLOSE = Query(
    update(emergencies)
    .where(emergencies.c.agent_id == AGENT, emergencies.c.id == _emergency)
    .values(closed_at=AT, outcome=bindparam("outcome", type_=Text))
)
_NOTICE = Query(
    select(
        termination_notices,
        *(emergencies.c[name] for name in _OF_NOTICE),
    )
    .join(emergencies, emergencies.c.id == termination_notices.c.emergency_id)
    .where(of_agent(termination_notices), termination_notices.c.instance_id == _instance)
)
_noticed = upsert(termination_notices).values(given_all(termination_notices))
_KEEP_NOTICE = Query(
    _noticed.on_conflict_do_update(
        index_elements=["agent_id", "instance_id"],
        set_={
            c.name: _noticed.excluded[c.name] for c in termination_notices.c if not c.primary_key
        },
    )
)
_NOTICES = Query(
    select(func.count())
    .select_from(termination_notices)
    .where(
        of_agent(termination_notices),
        termination_notices.c.noticed_at > bindparam("since", type_=DateTime(timezone=True)),
    )
)


async def add(db: Connection, **columns: Any) -> None:
    """Keep an emergency."""
    await _ADD.run(db, **named(columns))


async def open_emergencies(db: Connection, agent_id: UUID, client_id: UUID) -> Sequence[Row]:
    """The agent's open emergencies, each with how the measures against it stand."""
    return await _OPEN.rows(db, agent_id=agent_id, client_id=client_id)


async def emergency(db: Connection, agent_id: UUID, client_id: UUID, emergency_id: UUID) -> Row:
    """One of the agent's emergencies, which is known to exist."""
    found: Row | None = await _FIND.row(
        db, agent_id=agent_id, client_id=client_id, emergency_id=emergency_id
    )
    assert found is not None, "emergencies are never removed"
    return found


async def last(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """The agent's latest emergency, open or not."""
    return await _LAST.row(db, agent_id=agent_id, client_id=client_id)


async def act(db: Connection, row: Row) -> None:
    """Keep what is done about an open emergency now."""
    acts = {name: row[name] for name in ("action", "replica_id", "command_id")}
    await _ACT.run(db, agent_id=row["agent_id"], emergency_id=row["id"], **named(acts))


async def close(
    db: Connection, agent_id: UUID, emergency_id: UUID, outcome: Outcome, *, at: datetime
) -> None:
    """Note that an emergency is over."""
    await _CLOSE.run(db, agent_id=agent_id, emergency_id=emergency_id, outcome=outcome.value, at=at)


async def notice(db: Connection, agent_id: UUID, client_id: UUID, instance_id: str) -> Row | None:
    """The notice for an instance, with what is done about it by now."""
    return await _NOTICE.row(db, agent_id=agent_id, client_id=client_id, instance_id=instance_id)


async def keep_notice(db: Connection, **columns: Any) -> None:
    """Keep a notice and its emergency; of each instance there is one, the last."""
    await _KEEP_NOTICE.run(db, **named(columns))


async def notices(db: Connection, agent_id: UUID, client_id: UUID, *, since: datetime) -> int:
    """How many notices came since then."""
    count: int = await _NOTICES.value(db, agent_id=agent_id, client_id=client_id, since=since)
    return count


def threat_of(row: Row) -> Threat:
    """What the rules are to know of an open emergency."""
    replica_status, command_status = row["replica_status"], row["command_status"]
    return Threat(
        action=Action(row["action"]),
        instance_id=row["instance_id"],
        expires_at=row["expires_at"],
        ends_at=rules.end_of(row["termination_time"], row["opened_at"]),
        replica_status=replica_status and ReplicaStatus(replica_status),
        replica_instance_id=row["replica_instance_id"],
        command_status=command_status and CommandStatus(command_status),
    )
