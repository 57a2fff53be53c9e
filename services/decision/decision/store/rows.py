"""Rows, and the parts of statements that all questions share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import (
    ARRAY,
    BindParameter,
    DateTime,
    Integer,
    SmallInteger,
    Table,
    Text,
    Uuid,
    bindparam,
    func,
)

Row = Mapping[str, Any]

AGENT = bindparam("agent_id", type_=Uuid)
CLIENT = bindparam("client_id", type_=Uuid)
AT = bindparam("at", type_=DateTime(timezone=True))
SINCE = bindparam("since", type_=DateTime(timezone=True))
LIMIT = bindparam("limit", type_=Integer)
BEFORE = bindparam("before", type_=DateTime(timezone=True))
BEFORE_ID = bindparam("before_id", type_=Uuid)
GROUPS = func.any(bindparam("groups", type_=ARRAY(Text)))
PARTITIONS = func.any(bindparam("partitions", type_=ARRAY(SmallInteger)))


def of_agent(table: Table) -> Any:
    """The rows of one agent of one client."""
    return (table.c.agent_id == AGENT) & (table.c.client_id == CLIENT)


def of_groups(table: Table) -> Any:
    """The rows of some groups of pools of one client."""
    return (table.c.client_id == CLIENT) & (table.c.pool_group == GROUPS)


def given(table: Table, *names: str) -> dict[str, BindParameter[Any]]:
    """A value of its own for each of these columns; see `named`."""
    return {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}


def named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column, as a statement made with `given` takes them."""
    return {f"new_{name}": value for name, value in columns.items()}
