"""Agents with their configs: found, locked, listed, changed as a whole."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, func, or_, select, update

from chassis.pages import Position
from chassis.query import AT, LIMIT, Connection, Query, behind
from registry.store.states import COLUMNS, OF_THE_AGENT, OF_THE_CLIENT, Row, the
from registry.tables import agent_configs, agents
from spotkeeper_contracts.values import AgentStatus

_id = bindparam("agent_id", type_=Uuid)
_client = bindparam("client_id", type_=Uuid)
_status = bindparam("status", type_=Text)
_region = bindparam("region", type_=Text)
_q = bindparam("q", type_=Text)

_AGENT = select(*COLUMNS).join(agent_configs, OF_THE_AGENT).where(agents.c.id == _id, OF_THE_CLIENT)
_FIND = Query(_AGENT)
_LOCK = Query(_AGENT.with_for_update(of=agents))
_LIST = Query(
    select(*COLUMNS)
    .join(agent_configs, OF_THE_AGENT)
    .where(
        agents.c.client_id == _client,
        agents.c.deleted_at.is_(None),
        or_(_status.is_(None), agents.c.status == _status),
        or_(_region.is_(None), agents.c.region == _region),
        or_(
            _q.is_(None),
            func.strpos(func.lower(agents.c.logical_agent_id), func.lower(_q)) > 0,
            func.strpos(func.lower(agents.c.instance_id), func.lower(_q)) > 0,
        ),
        behind(agents.c.registered_at, agents.c.id),
    )
    .order_by(agents.c.registered_at.desc(), agents.c.id.desc())
    .limit(LIMIT)
)

_CHANGE = update(agents).values(revision=agents.c.revision + 1).returning(*COLUMNS)
_DELETE = Query(
    _CHANGE.where(agents.c.id == _id, OF_THE_AGENT).values(
        deleted_at=AT, status=AgentStatus.STOPPING.value, status_at=AT
    )
)
_IDS_OF_CLIENT = Query(
    select(agents.c.id).where(agents.c.client_id == _client, agents.c.deleted_at.is_(None))
)
_SET_STATUS = Query(
    _CHANGE.where(agents.c.id == _id, OF_THE_AGENT).values(status=_status, status_at=AT)
)


async def agent(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """The agent with its config, deleted or not."""
    return await _FIND.row(db, agent_id=agent_id, client_id=client_id)


async def agent_for_update(db: Connection, agent_id: UUID, client_id: UUID) -> Row | None:
    """The agent with its config, deleted or not, locked until the transaction ends."""
    return await _LOCK.row(db, agent_id=agent_id, client_id=client_id)


async def page(
    db: Connection,
    client_id: UUID,
    *,
    status: str | None,
    region: str | None,
    q: str | None,
    before: Position | None,
    limit: int,
) -> Sequence[Row]:
    """A client's agents, the one registered last first."""
    return await _LIST.rows(
        db,
        client_id=client_id,
        status=status,
        region=region,
        q=q,
        before=before and before.at,
        before_id=before and before.id,
        limit=limit,
    )


async def delete(db: Connection, agent_id: UUID, *, at: datetime) -> Row:
    """Mark the agent as deleted, and return it."""
    return the(await _DELETE.row(db, agent_id=agent_id, at=at))


async def ids_of_client(db: Connection, client_id: UUID) -> list[UUID]:
    """The ids of a client's agents, the deleted ones left out."""
    return [row["id"] for row in await _IDS_OF_CLIENT.rows(db, client_id=client_id)]


async def set_status(db: Connection, agent_id: UUID, status: str, *, at: datetime) -> Row:
    """Settle the agent's status, and return the agent."""
    return the(await _SET_STATUS.row(db, agent_id=agent_id, status=status, at=at))
