"""The schema is the migrations' and nobody else's, and every statement fits it."""

import importlib
import pkgutil

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy import Table
from sqlalchemy.ext.asyncio import create_async_engine

import commands.store
from chassis.query import Query
from chassis.testing import Scene, example
from commands.tables import metadata
from spotkeeper_contracts.pools import PoolState

MODULES = [
    importlib.import_module(f"commands.store.{module.name}")
    for module in pkgutil.iter_modules(commands.store.__path__)
]
QUERIES = {
    f"{module.__name__}.{name}": query
    for module in MODULES
    for name, query in vars(module).items()
    if isinstance(query, Query)
}


async def test_the_migrated_schema_is_the_declared_one(addresses: dict[str, str]) -> None:
    address = addresses["commands"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    await engine.dispose()
    assert differences == []


@pytest.mark.parametrize("name", QUERIES)
async def test_every_statement_fits_the_schema(commands: Scene, name: str) -> None:
    await commands.db.raw.prepare(QUERIES[name].sql)


@pytest.mark.parametrize("table", metadata.sorted_tables, ids=str)
def test_a_row_is_deleted_without_a_scan_for_those_that_name_it(table: Table) -> None:
    leading = {index.columns[0] for index in table.indexes} | {next(iter(table.primary_key))}
    assert {key.parent for key in table.foreign_keys} <= leading


async def test_no_other_role_reads_the_commands_tables(addresses: dict[str, str]) -> None:
    stranger = await asyncpg.connect(addresses["heartbeat"])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("select * from commands.commands")
    finally:
        await stranger.close()


async def test_pools_are_told_of_beyond_the_year_2038(commands: Scene) -> None:
    state = example(PoolState, revision=2**31, pool_id="t3.medium.us-east-1z")
    await commands.handle(state)
    kept = await commands.db.raw.fetchval(
        "select revision from pool_states where pool_id = $1", state.pool_id
    )
    assert kept == state.revision
