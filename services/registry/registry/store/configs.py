"""Configs and their history."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import DateTime, Integer, Text, Uuid, bindparam, insert, or_, select, update
from sqlalchemy.dialects.postgresql import JSONB

from chassis.query import LIMIT, Connection, Query
from registry.store.states import Row, config_of
from registry.tables import agent_config_history, agent_configs, agents
from spotkeeper_contracts.configs import AgentConfig

_id = bindparam("agent_id", type_=Uuid)
_version = bindparam("config_version", type_=Integer)
_settings = bindparam("settings", type_=JSONB)

_current = (
    update(agent_configs)
    .where(agent_configs.c.agent_id == _id)
    .values(config_version=_version, settings=_settings)
    .cte("current")
)
_remembered = (
    insert(agent_config_history)
    .values(
        agent_id=_id,
        config_version=_version,
        settings=_settings,
        changed_by=bindparam("changed_by", type_=Text),
        changed_at=bindparam("changed_at", type_=DateTime(timezone=True)),
    )
    .cte("remembered")
)
_SAVE = Query(
    update(agents)
    .where(agents.c.id == _id)
    .values(revision=agents.c.revision + 1)
    .returning(agents.c.revision)
    .add_cte(_current, _remembered)
)
_VERSION = Query(
    select(agent_config_history).where(
        agent_config_history.c.agent_id == _id,
        agent_config_history.c.config_version == _version,
    )
)
_before = bindparam("before", type_=Integer)
_HISTORY = Query(
    select(agent_config_history)
    .where(
        agent_config_history.c.agent_id == _id,
        or_(_before.is_(None), agent_config_history.c.config_version < _before),
    )
    .order_by(agent_config_history.c.config_version.desc())
    .limit(LIMIT)
)


async def save(db: Connection, agent: Row, config: AgentConfig, *, by: str, at: datetime) -> Row:
    """Make this the agent's config, and remember it as a version; returns the agent with it."""
    changed = {
        "config_version": config.config_version,
        "settings": config.model_dump(exclude={"config_version"}),
    }
    revision = await _SAVE.value(db, agent_id=agent["id"], changed_by=by, changed_at=at, **changed)
    return {**agent, **changed, "revision": revision}


async def version(db: Connection, agent_id: UUID, config_version: int) -> AgentConfig | None:
    """An earlier version of the agent's config."""
    row = await _VERSION.row(db, agent_id=agent_id, config_version=config_version)
    return None if row is None else config_of(row)


async def history(
    db: Connection, agent_id: UUID, *, before: int | None, limit: int
) -> Sequence[Row]:
    """Versions of the agent's config, newest first."""
    return await _HISTORY.rows(db, agent_id=agent_id, before=before, limit=limit)
