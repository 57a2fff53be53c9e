"""Rows, and the parts of statements that all questions share."""

from collections.abc import Mapping
from typing import Any

from sqlalchemy import ARRAY, SmallInteger, Table, Uuid, bindparam, func

Row = Mapping[str, Any]

AGENT = bindparam("agent_id", type_=Uuid)
CLIENT = bindparam("client_id", type_=Uuid)
PARTITIONS = func.any(bindparam("partitions", type_=ARRAY(SmallInteger)))


def of_agent(table: Table) -> Any:
    """The rows of one agent of one client."""
    return (table.c.agent_id == AGENT) & (table.c.client_id == CLIENT)
