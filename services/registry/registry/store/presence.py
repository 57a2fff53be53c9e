"""What is said of an agent's presence, taken over in the order in which it was heard."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, and_, bindparam, case, func, or_, update

from chassis.query import AT, Connection, Query
from registry.store.states import COLUMNS, OF_THE_AGENT, OF_THE_CLIENT, Row
from registry.tables import agents
from spotkeeper_contracts.values import AgentStatus, PurchaseMode

_heard_at = bindparam("heard_at", type_=DateTime(timezone=True))

_IS_WATCHED = and_(
    agents.c.status != AgentStatus.OFFLINE.value, agents.c.status != AgentStatus.STOPPING.value
)

_OF_A_LIVE_AGENT = (
    update(agents)
    .where(
        agents.c.id == bindparam("agent_id", type_=Uuid),
        OF_THE_CLIENT,
        agents.c.deleted_at.is_(None),
        OF_THE_AGENT,
    )
    .values(
        revision=agents.c.revision + 1,
        last_heartbeat_at=func.greatest(agents.c.last_heartbeat_at, _heard_at),
    )
    .returning(*COLUMNS)
)
_status = bindparam("status", type_=Text)
# A beat of before a goodbye does not call the agent back. Else no clocks are compared: behind each
# registration comes its own beat, so what is told last is true.
_counts = or_(agents.c.status != AgentStatus.STOPPING.value, agents.c.status_at <= _heard_at)
# A beat of before the agent's last move tells of where it was.
_is_older = agents.c.placed_at > _heard_at
_told_mode = bindparam("mode", type_=Text)
_mode = case(
    (_is_older, agents.c.current_mode), else_=func.coalesce(_told_mode, agents.c.current_mode)
)
_told_pool = bindparam("pool", type_=Text)
# Who says that it pays on demand may lie in no pool; else who names none is where it was.
_pool = case(
    (_is_older, agents.c.current_pool_id),
    (_told_mode == PurchaseMode.ONDEMAND.value, _told_pool),
    else_=func.coalesce(_told_pool, agents.c.current_pool_id),
)
_version = case(
    (_is_older, agents.c.agent_version),
    else_=func.coalesce(bindparam("version", type_=Text), agents.c.agent_version),
)
_REPORT = Query(
    _OF_A_LIVE_AGENT.where(
        _counts,
        or_(
            agents.c.status != _status,
            agents.c.current_mode != _mode,
            agents.c.current_pool_id.is_distinct_from(_pool),
            agents.c.agent_version.is_distinct_from(_version),
        ),
    ).values(
        status=_status,
        status_at=_heard_at,
        current_mode=_mode,
        current_pool_id=_pool,
        agent_version=_version,
    )
)
_GO_OFFLINE = Query(
    _OF_A_LIVE_AGENT.where(agents.c.status_at <= AT, _IS_WATCHED).values(
        status=AgentStatus.OFFLINE.value, status_at=AT
    )
)


async def report(
    db: Connection,
    agent_id: UUID,
    client_id: UUID,
    *,
    status: str,
    mode: str | None,
    pool: str | None,
    version: str | None,
    heard_at: datetime,
) -> Row | None:
    """Take over what a beat told, and return the agent.

    None if the beat tells nothing new, a goodbye came later, or the agent is gone.
    """
    return await _REPORT.row(
        db,
        agent_id=agent_id,
        client_id=client_id,
        status=status,
        mode=mode,
        pool=pool,
        version=version,
        heard_at=heard_at,
    )


async def go_offline(
    db: Connection, agent_id: UUID, client_id: UUID, *, heard_at: datetime, at: datetime
) -> Row | None:
    """Set the agent offline, and return it; None if it stops, is gone, or was heard since."""
    return await _GO_OFFLINE.row(
        db, agent_id=agent_id, client_id=client_id, heard_at=heard_at, at=at
    )
