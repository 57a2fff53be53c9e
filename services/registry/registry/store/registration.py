"""What a registration asks and settles: the agent, and its instance."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Text, Uuid, bindparam, exists, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.query import Connection, Query
from registry.store.states import COLUMNS, OF_THE_AGENT, Row
from registry.tables import agent_configs, agents, instances, open_moves
from spotkeeper_contracts.agents import Registration
from spotkeeper_contracts.values import InstanceStatus

_id = bindparam("agent_id", type_=Uuid)
_client = bindparam("client_id", type_=Uuid)
_instance = bindparam("instance_id", type_=Text)
_at = bindparam("at", type_=DateTime(timezone=True))

# A statement's parameters must not bear the names of the columns that it sets.
_SETTLED = {
    column.name: bindparam(f"new_{column.name}", type_=column.type)
    for column in agents.c
    if column.name not in ("id", "client_id", "logical_agent_id", "revision")
}
_LOCK = Query(
    select(
        *COLUMNS,
        select(instances.c.status)
        .where(instances.c.agent_id == agents.c.id, instances.c.instance_id == _instance)
        .scalar_subquery()
        .label("instance_status"),
        exists(select(1).where(open_moves.c.agent_id == agents.c.id)).label("moving"),
    )
    .join(agent_configs, OF_THE_AGENT)
    .where(agents.c.id == _id, agents.c.client_id == _client)
    .with_for_update(of=agents)
)
_INSERT = Query(
    insert(agents)
    .values({c.name: bindparam(f"new_{c.name}", type_=c.type) for c in agents.c})
    .on_conflict_do_nothing()
    .returning(agents.c.id)
)
_SETTLE = Query(
    update(agents)
    .where(agents.c.id == _id, OF_THE_AGENT)
    .values(revision=agents.c.revision + 1, **_SETTLED)
    .returning(*COLUMNS)
)
_newcomer = insert(instances).values(
    agent_id=_id,
    instance_id=_instance,
    client_id=_client,
    instance_type=bindparam("instance_type", type_=Text),
    region=bindparam("region", type_=Text),
    az=bindparam("az", type_=Text),
    mode=bindparam("mode", type_=Text),
    status=bindparam("status", type_=Text),
    status_at=_at,
    first_seen_at=_at,
)
_SAVE_INSTANCE = Query(
    _newcomer.on_conflict_do_update(
        index_elements=["agent_id", "instance_id"],
        set_={
            name: _newcomer.excluded[name]
            for name in ("instance_type", "region", "az", "mode", "status", "status_at")
        },
    )
)
_SUPERSEDE = Query(
    update(instances)
    .where(
        instances.c.agent_id == _id,
        instances.c.status == InstanceStatus.PRIMARY.value,
        instances.c.instance_id != _instance,
    )
    .values(status=InstanceStatus.SUPERSEDED.value, status_at=_at)
)


async def agent_for_registration(
    db: Connection, agent_id: UUID, client_id: UUID, instance_id: str
) -> Row | None:
    """The locked agent, what this instance is to it (`instance_status`), and if it is `moving`."""
    return await _LOCK.row(db, agent_id=agent_id, client_id=client_id, instance_id=instance_id)


async def insert_agent(db: Connection, values: Row) -> bool:
    """Insert an agent with all its columns; False if somebody else did at the same time."""
    return await _INSERT.row(db, **{f"new_{k}": v for k, v in values.items()}) is not None


async def settle(db: Connection, agent_id: UUID, values: Row) -> Row:
    """Write the columns that a registration settles, and return the agent as it is then."""
    row: Row | None = await _SETTLE.row(
        db, agent_id=agent_id, **{f"new_{k}": v for k, v in values.items()}
    )
    assert row is not None, "the agent was locked before"
    return row


async def save_instance(
    db: Connection,
    agent_id: UUID,
    client_id: UUID,
    registration: Registration,
    status: InstanceStatus,
    *,
    at: datetime,
) -> None:
    """Keep an instance as it was registered, in the given status."""
    await _SAVE_INSTANCE.run(
        db,
        agent_id=agent_id,
        client_id=client_id,
        instance_id=registration.instance_id,
        instance_type=registration.instance_type,
        region=registration.region,
        az=registration.az,
        mode=registration.mode.value,
        status=status.value,
        at=at,
    )


async def supersede_primary(
    db: Connection, agent_id: UUID, *, by_instance_id: str, at: datetime
) -> None:
    """Fence the agent's primary, if it is another one."""
    await _SUPERSEDE.run(db, agent_id=agent_id, instance_id=by_instance_id, at=at)
