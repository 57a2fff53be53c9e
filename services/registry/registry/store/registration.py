"""What a registration asks and settles: the agent, and its instance."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    DateTime,
    Integer,
    Text,
    Uuid,
    bindparam,
    exists,
    literal,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.query import Connection, Query
from registry.store.states import COLUMNS, OF_THE_AGENT, Row
from registry.tables import agent_config_history, agent_configs, agents, instances, open_moves
from spotkeeper_contracts.agents import Registration
from spotkeeper_contracts.configs import AgentConfig
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
_new_agent = (
    insert(agents)
    .values({c.name: bindparam(f"new_{c.name}", type_=c.type) for c in agents.c})
    .on_conflict_do_nothing()
    .returning(agents.c.id)
    .cte("new_agent")
)
_first_config = {
    "agent_id": _new_agent.c.id,
    "config_version": bindparam("config_version", type_=Integer),
    "settings": bindparam("settings", type_=JSONB),
}
_first_version = _first_config | {
    "changed_by": bindparam("changed_by", type_=Text),
    "changed_at": _at,
}
_first_instance = {
    "agent_id": _new_agent.c.id,
    **{
        name: bindparam(f"new_{name}", type_=agents.c[name].type)
        for name in ("instance_id", "client_id", "instance_type", "region", "az")
    },
    "mode": bindparam("new_current_mode", type_=Text),
    "status": literal(InstanceStatus.PRIMARY.value, Text),
    "status_at": _at,
    "first_seen_at": _at,
}
# One statement instead of four: most of what a statement costs is its way there and back.
_INSERT = Query(
    select(_new_agent.c.id).add_cte(
        *(
            insert(table).from_select(list(columns), select(*columns.values())).cte(table.name)
            for table, columns in (
                (agent_configs, _first_config),
                (agent_config_history, _first_version),
                (instances, _first_instance),
            )
        )
    ),
    writes=True,
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


async def insert_agent(db: Connection, values: Row, config: AgentConfig, *, by: str) -> Row | None:
    """Insert an agent with its first config and its primary instance, and return the agent.

    `values` are all columns of `agents`. None if somebody else inserted it at the same time.
    """
    first = {
        "config_version": config.config_version,
        "settings": config.model_dump(exclude={"config_version"}),
    }
    new = {f"new_{name}": value for name, value in values.items()}
    at = values["registered_at"]
    id = await _INSERT.value(db, **new, **first, changed_by=by, at=at)
    return None if id is None else {**values, **first}


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
