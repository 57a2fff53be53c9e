"""What a registration asks and settles: the agent, and its instance."""

from datetime import datetime
from uuid import UUID

from sqlalchemy import (
    Integer,
    Text,
    Uuid,
    bindparam,
    exists,
    literal,
    or_,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.query import AT, Connection, Query, given, given_all, named
from registry.store.states import COLUMNS, OF_THE_AGENT, OF_THE_CLIENT, Row, the
from registry.tables import agent_config_history, agent_configs, agents, instances, open_moves
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.values import InstanceStatus

_id = bindparam("agent_id", type_=Uuid)
_instance = bindparam("instance_id", type_=Text)

_SETTLED = given_all(agents, but=("id", "client_id", "logical_agent_id", "revision"))
_LOCK = Query(
    select(
        *COLUMNS,
        select(instances.c.status)
        .where(instances.c.agent_id == agents.c.id, instances.c.instance_id == _instance)
        .scalar_subquery()
        .label("instance_status"),
        exists(
            select(1).where(
                open_moves.c.agent_id == agents.c.id,
                or_(open_moves.c.expires_at > AT, open_moves.c.instance_id == _instance),
            )
        ).label("moving"),
    )
    .join(agent_configs, OF_THE_AGENT)
    .where(agents.c.id == _id, OF_THE_CLIENT)
    .with_for_update(of=agents)
)
_SETTLE = Query(
    update(agents)
    .where(agents.c.id == _id, OF_THE_AGENT)
    .values(revision=agents.c.revision + 1, **_SETTLED)
    .returning(*COLUMNS)
)
_new_agent = (
    insert(agents)
    .values(given_all(agents))
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
    "changed_at": AT,
}
_first_instance = {
    "agent_id": _new_agent.c.id,
    **given(agents, "instance_id", "client_id", "instance_type", "region", "az"),
    "mode": bindparam("new_current_mode", type_=Text),
    "pool_id": bindparam("new_current_pool_id", type_=Text),
    "status": literal(InstanceStatus.PRIMARY.value, Text),
    "status_at": AT,
    "first_seen_at": AT,
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


async def agent_for_registration(
    db: Connection, agent_id: UUID, client_id: UUID, instance_id: str, *, at: datetime
) -> Row | None:
    """The locked agent, what this instance is to it (`instance_status`), and if it is `moving`."""
    return await _LOCK.row(
        db, agent_id=agent_id, client_id=client_id, instance_id=instance_id, at=at
    )


async def insert_agent(db: Connection, values: Row, config: AgentConfig, *, by: str) -> Row | None:
    """Insert an agent with its first config and its primary instance, and return the agent.

    `values` are all columns of `agents`. None if somebody else inserted it at the same time.
    """
    first = {
        "config_version": config.config_version,
        "settings": config.model_dump(exclude={"config_version"}),
    }
    at = values["registered_at"]
    id = await _INSERT.value(db, **named(values), **first, changed_by=by, at=at)
    return None if id is None else {**values, **first}


async def settle(db: Connection, agent_id: UUID, values: Row) -> Row:
    """Write the columns that a registration settles, and return the agent as it is then."""
    return the(await _SETTLE.row(db, agent_id=agent_id, **named(values)))
