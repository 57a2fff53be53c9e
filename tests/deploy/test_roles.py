"""The roles that `deploy/postgres-init` makes, on a real PostgreSQL."""

import asyncio
import os
from collections.abc import AsyncIterator

import asyncpg
import pytest

from spotkeeper.embedded.postgres import Postgres, find_package
from spotkeeper.embedded.roles import DATABASE, SERVICES
from tests.deploy.files import DEPLOY, SETTINGS, compose

SCRIPT = DEPLOY / "postgres-init" / "roles.sql"
OWNERS = sorted(set(SETTINGS) - {"gateway"})
PASSWORDS = {name: f"a 'quoted' word for {name}" for name in OWNERS}


def test_every_owner_of_data_has_a_role() -> None:
    text = SCRIPT.read_text(encoding="utf-8")
    given = compose()["services"]["roles"]["environment"]
    for name in OWNERS:
        assert name in SERVICES
        assert f"create schema if not exists {name} authorization {name};" in text
        assert f"{name.upper()}_PASSWORD" in given


@pytest.fixture(scope="module")
async def database(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[str]:
    """A server of which only the script, run twice, made the roles; the superuser's address."""
    folder = tmp_path_factory.mktemp("postgres")
    async with Postgres(folder / "data", log=folder / "log") as server:
        admin = await asyncpg.connect(server.dsn(database="postgres"))
        await admin.execute(f"drop database {DATABASE}")
        await admin.execute(f"drop role {', '.join(SERVICES)}")
        await admin.execute(f"create database {DATABASE}")
        await admin.close()
        for _ in range(2):
            await run_script(server.dsn())
        yield server.dsn()


async def run_script(admin_dsn: str) -> None:
    psql = await asyncio.create_subprocess_exec(
        find_package() / "pginstall" / "bin" / "psql",
        *(admin_dsn, "--quiet", "--file", SCRIPT),
        env={**os.environ, **{f"{name.upper()}_PASSWORD": PASSWORDS[name] for name in OWNERS}},
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await psql.communicate()
    assert psql.returncode == 0, errors.decode()


@pytest.mark.parametrize("name", OWNERS)
async def test_a_role_owns_its_schema_and_sees_no_other(database: str, name: str) -> None:
    connection = await asyncpg.connect(database, user=name, password=PASSWORDS[name])
    try:
        await connection.execute("create table mine (id int)")
        assert await connection.fetchval("select 'mine'::regclass::text") == "mine"
        other = next(owner for owner in OWNERS if owner != name)
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute(f"create table {other}.theirs (id int)")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await connection.execute("create table public.everyones (id int)")
        await connection.execute("drop table mine")
    finally:
        await connection.close()
