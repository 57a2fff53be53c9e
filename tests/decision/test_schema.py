"""The schema is the migrations' and nobody else's, and every statement fits it."""

import importlib
import pkgutil

import asyncpg
import pytest
from alembic.autogenerate import compare_metadata
from alembic.runtime.migration import MigrationContext
from sqlalchemy.ext.asyncio import create_async_engine

import decision.store
from chassis.migrations import migrate
from chassis.query import Query
from chassis.testing import Scene
from decision.app import service
from decision.tables import metadata
from tests.stack import Stack

MODULES = [
    importlib.import_module(f"decision.store.{module.name}")
    for module in pkgutil.iter_modules(decision.store.__path__)
]
QUERIES = {
    f"{module.__name__}.{name}": query
    for module in MODULES
    for name, query in vars(module).items()
    if isinstance(query, Query)
}


async def test_the_migrated_schema_is_the_declared_one(addresses: dict[str, str]) -> None:
    address = addresses["decision"].replace("postgresql://", "postgresql+asyncpg://", 1)
    engine = create_async_engine(address)
    async with engine.connect() as connection:
        differences = await connection.run_sync(
            lambda sync: compare_metadata(MigrationContext.configure(sync), metadata)
        )
    await engine.dispose()
    assert differences == []


@pytest.mark.parametrize("name", QUERIES)
async def test_every_statement_fits_the_schema(decided: Scene, name: str) -> None:
    await decided.db.raw.prepare(QUERIES[name].sql)


async def test_no_other_role_reads_the_decision_tables(addresses: dict[str, str]) -> None:
    stranger = await asyncpg.connect(addresses["heartbeat"])
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await stranger.fetch("select * from decision.pools")
    finally:
        await stranger.close()


async def test_models_keep_their_roles_when_these_get_a_table(stack: Stack) -> None:
    address = (await stack.new_database("decision_before"))["decision"]
    assert service.migrations is not None
    await migrate(address, service.migrations, revision="0001")
    connection = await asyncpg.connect(address)
    try:
        await connection.execute(
            "insert into models (sha256, version, size_bytes, role, onnx, card, published_by,"
            " published_at) values ('a', 'acts', 1, 'active', '', '{}', 'admin', now()),"
            " ('b', 'idle', 1, null, '', '{}', 'admin', now())"
        )
        await migrate(address, service.migrations)
        rows = await connection.fetch("select role, sha256, version from model_roles")
    finally:
        await connection.close()
    assert [tuple(row) for row in rows] == [("active", "a", "acts")]


async def test_stays_that_ended_long_ago_are_found_without_the_others(decided: Scene) -> None:
    await decided.db.raw.execute("set local enable_seqscan = off")
    plan = await decided.db.raw.fetch(
        "explain select id from pool_stays where ended_at < now() - interval '90 days'"
    )
    assert any("pool_stays_ended_at" in line[0] for line in plan)
