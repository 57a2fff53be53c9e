"""The schema is the migrations' and nobody else's, and every statement fits it."""

import importlib
import pkgutil

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

import registry.store
from chassis.migrations import migrate
from chassis.query import Query
from chassis.testing import Scene
from registry.app import service
from registry.tables import metadata

MODULES = [
    importlib.import_module(f"registry.store.{module.name}")
    for module in pkgutil.iter_modules(registry.store.__path__)
]
QUERIES = {
    f"{module.__name__}.{name}": query
    for module in MODULES
    for name, query in vars(module).items()
    if isinstance(query, Query)
}


@pytest.mark.parametrize("option", ["sslmode=prefer", "application_name=x"])
async def test_an_address_with_options_is_migrated_as_it_is_served(
    addresses: dict[str, str], option: str
) -> None:
    assert service.migrations is not None
    await migrate(f"{addresses['registry']}?{option}", service.migrations)


async def test_the_migrated_schema_is_the_declared_one(addresses: dict[str, str]) -> None:
    address = addresses["registry"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    await engine.dispose()
    assert differences == []


@pytest.mark.parametrize("name", QUERIES)
async def test_every_statement_fits_the_schema(registry: Scene, name: str) -> None:
    await registry.db.raw.prepare(QUERIES[name].sql)


async def test_no_other_role_reads_the_registrys_tables(addresses: dict[str, str]) -> None:
    stranger = await asyncpg.connect(addresses["heartbeat"])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("select * from registry.agents")
    finally:
        await stranger.close()
