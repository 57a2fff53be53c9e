"""What the rows of agents mean to others."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import Uuid, bindparam

from registry.tables import agent_configs, agents
from spotkeeper_contracts.agents import AgentDetail, AgentState
from spotkeeper_contracts.configs import AgentConfig

Row = Mapping[str, Any]

COLUMNS = (*agents.c, agent_configs.c.config_version, agent_configs.c.settings)
"""An agent with its config: what every function here reads."""

OF_THE_AGENT = agent_configs.c.agent_id == agents.c.id

OF_THE_CLIENT = agents.c.client_id.is_not_distinct_from(bindparam("client_id", type_=Uuid))
"""Whether an agent that is looked up by its id is the client's. No index serves this form: while a
young table is unknown to the planner, `=` may lead it through all agents of the client.
"""


def the(row: Row | None) -> Row:
    """The row of an agent that was found and locked before."""
    assert row is not None
    return row


def state_of(row: Row) -> AgentState:
    """The state that everyone may know."""
    return AgentState(
        agent_id=row["id"],
        client_id=row["client_id"],
        revision=row["revision"],
        deleted=row["deleted_at"] is not None,
        logical_agent_id=row["logical_agent_id"],
        status=row["status"],
        epoch=row["epoch"],
        instance_id=row["instance_id"],
        instance_type=row["instance_type"],
        region=row["region"],
        az=row["az"],
        current_mode=row["current_mode"],
        current_pool_id=row["current_pool_id"],
        config=config_of(row),
        agent_version=row["agent_version"],
        registered_at=row["registered_at"],
    )


def detail_of(row: Row) -> AgentDetail:
    """The agent as lists show it."""
    own = {"agent_id": row["id"], "enabled": config_of(row).enabled}
    return AgentDetail(**own, **{n: row[n] for n in AgentDetail.model_fields.keys() - own.keys()})


def config_of(row: Row) -> AgentConfig:
    """The config in a row of `agent_configs` or of its history."""
    return AgentConfig(config_version=row["config_version"], **row["settings"])
