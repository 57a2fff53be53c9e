"""Rows, and the parts of statements that all questions share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, BindParameter, DateTime, Integer, Table, Uuid, bindparam, func

Row = Mapping[str, Any]

AGENT = bindparam("agent_id", type_=Uuid)
CLIENT = bindparam("client_id", type_=Uuid)
AT = bindparam("at", type_=DateTime(timezone=True))
LIMIT = bindparam("limit", type_=Integer)
BEFORE = bindparam("before", type_=DateTime(timezone=True))
BEFORE_ID = bindparam("before_id", type_=Uuid)
IDS = func.any(bindparam("ids", type_=ARRAY(Uuid)))
"""`column == IDS` holds for the rows whose ids are in the list `ids`."""


def of_agent(table: Table) -> Any:
    """The rows of one agent of one client."""
    return (table.c.agent_id == AGENT) & (table.c.client_id == CLIENT)


def given(table: Table, *left_out: str) -> dict[str, BindParameter[Any]]:
    """A value of its own for each column; see `named`."""
    return {
        column.name: bindparam(f"new_{column.name}", type_=column.type)
        for column in table.c
        if column.name not in left_out
    }


def named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column, as a statement made with `given` takes them."""
    return {f"new_{name}": value for name, value in columns.items()}
