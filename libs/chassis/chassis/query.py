"""SQLAlchemy Core statements, compiled once and run on asyncpg.

`execute` of SQLAlchemy costs about 70 µs a statement more than asyncpg itself; a statement's text
does not change, so it is made at import and only the values are given at each call.
"""

import json
from collections.abc import Collection, Mapping
from typing import Any

import asyncpg
from pydantic import BaseModel
from sqlalchemy import (
    ARRAY,
    BindParameter,
    ColumnElement,
    DateTime,
    Delete,
    Insert,
    Integer,
    Table,
    Update,
    Uuid,
    bindparam,
    func,
    tuple_,
)
from sqlalchemy.dialects.postgresql import asyncpg as dialect
from sqlalchemy.sql.elements import ClauseElement

# SQLAlchemy leaves this constructor untyped.
_DIALECT = dialect.dialect()  # type: ignore[no-untyped-call]

AT = bindparam("at", type_=DateTime(timezone=True))
SINCE = bindparam("since", type_=DateTime(timezone=True))
LIMIT = bindparam("limit", type_=Integer)
BEFORE = bindparam("before", type_=DateTime(timezone=True))
BEFORE_ID = bindparam("before_id", type_=Uuid)
IDS = func.any(bindparam("ids", type_=ARRAY(Uuid)))
"""`column == IDS` holds for the rows whose ids are in the list `ids`."""


def behind(at: ColumnElement[Any], id: ColumnElement[Any]) -> ColumnElement[bool]:
    """Of a list with the newest first, the rows behind `before` and `before_id`; all for None."""
    return BEFORE.is_(None) | (tuple_(at, id) < tuple_(BEFORE, BEFORE_ID))


def given(table: Table, *names: str) -> dict[str, BindParameter[Any]]:
    """A value of its own for each of these columns; see `named`.

    A statement's parameters must not bear the names of the columns that it sets.
    """
    return {name: bindparam(f"new_{name}", type_=table.c[name].type) for name in names}


def given_all(table: Table, *, but: Collection[str] = ()) -> dict[str, BindParameter[Any]]:
    """A value of its own for each column of the table, but for some; see `named`."""
    return given(table, *(column.name for column in table.c if column.name not in but))


def named(columns: Mapping[str, Any]) -> dict[str, Any]:
    """Values by column, as a statement made with `given` takes them."""
    return {f"new_{name}": value for name, value in columns.items()}


IDLE_SECONDS = 5
"""After this, PostgreSQL ends a transaction whose process was frozen in it, or lost with its host.

That is before the broker gives its partitions to another, which would wait for the rows it locked.
"""


class Connection:
    """An asyncpg connection inside its transaction; counts the writes that went through it."""

    __slots__ = ("raw", "writes")

    def __init__(self, raw: "asyncpg.Connection[asyncpg.Record]") -> None:
        self.raw = raw
        self.writes = 0

    async def may_idle(self, seconds: int) -> None:
        """Let this transaction go without questions for longer than `IDLE_SECONDS`."""
        await self.raw.execute(f"set local idle_in_transaction_session_timeout = '{seconds}s'")


class Query:
    """A statement whose `bindparam`s are given by name at each call.

    That a SELECT `writes`, by a part of it, must be told. What is `kept_if_refused` is true
    whatever becomes of the request, so that a refusal may follow it as if nothing was written.
    """

    def __init__(
        self, statement: ClauseElement, *, writes: bool = False, kept_if_refused: bool = False
    ) -> None:
        compiled = statement.compile(dialect=_DIALECT)
        names = getattr(compiled, "positiontup", None) or []
        binds = getattr(compiled, "binds", {})
        constants = compiled.params
        self.sql = str(compiled)
        assert "POSTCOMPILE" not in self.sql, "a list in a statement is one array: func.any(…)"
        self._arguments = [(name, binds[name].required, constants[name]) for name in names]
        self._required = {name for name, required, _ in self._arguments if required}
        writes = writes or isinstance(statement, Insert | Update | Delete)
        self._writes = writes and not kept_if_refused

    async def row(self, db: Connection, **values: Any) -> asyncpg.Record | None:
        """The first row, or None."""
        return await db.raw.fetchrow(self.sql, *self._values(db, values))

    async def rows(self, db: Connection, **values: Any) -> list[asyncpg.Record]:
        """All rows."""
        rows: list[asyncpg.Record] = await db.raw.fetch(self.sql, *self._values(db, values))
        return rows

    async def value(self, db: Connection, **values: Any) -> Any:
        """The first column of the first row, or None."""
        return await db.raw.fetchval(self.sql, *self._values(db, values))

    async def run(self, db: Connection, **values: Any) -> int:
        """Run a writing statement and return how many rows it touched."""
        status = await db.raw.execute(self.sql, *self._values(db, values))
        return int(str(status).rpartition(" ")[2])

    def _values(self, db: Connection, values: dict[str, Any]) -> list[Any]:
        assert values.keys() == self._required, (
            f"the statement takes {sorted(self._required)}, not {sorted(values)}"
        )
        db.writes += self._writes
        return [values[name] if needed else constant for name, needed, constant in self._arguments]


def to_json(value: Any) -> str:
    """JSON text of a value for a JSONB column; ids and times are written as text."""
    if isinstance(value, BaseModel):
        return value.model_dump_json()
    return json.dumps(value, default=str, separators=(",", ":"))


async def prepare_connection(raw: "asyncpg.Connection[asyncpg.Record]") -> None:
    """Let JSONB columns take and give Python values."""
    await raw.set_type_codec("jsonb", schema="pg_catalog", encoder=to_json, decoder=json.loads)


async def _leave_as_it_is(_: "asyncpg.pool.PoolConnectionProxy[asyncpg.Record]") -> None:
    """Nothing here changes a session, so the round trip that asyncpg takes to reset it is saved."""


async def open_pool(dsn: str, *, connections: int) -> "asyncpg.Pool[asyncpg.Record]":
    """A pool whose connections are prepared; it connects when first used, not now."""
    return await asyncpg.create_pool(
        dsn,
        min_size=0,
        max_size=connections,
        init=prepare_connection,
        reset=_leave_as_it_is,
        command_timeout=30.0,
        timeout=10.0,
        max_inactive_connection_lifetime=300.0,
        server_settings={"idle_in_transaction_session_timeout": f"{IDLE_SECONDS}s"},
    )
