"""The database of a stack: one role and one schema of the same name for each service."""

import secrets
from pathlib import Path
from urllib.parse import parse_qsl, quote, urlencode, urlsplit

import asyncpg

DATABASE = "spotkeeper"
SERVICES = ("registry", "heartbeat", "decision", "commands")
ACCOUNT = ("user", "password")
"""Options of an address that say who connects."""


class Passwords:
    """A random password per name, made once and kept where only the owner can read it."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def __getitem__(self, name: str) -> str:
        path = self._folder / name
        if not path.exists():
            self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
            path.touch(mode=0o600)
            path.write_text(secrets.token_urlsafe(24))
        return path.read_text()


def address(dsn: str, *, role: str, password: str, database: str) -> str:
    """The address of another role and database on the server that `dsn` names.

    Its options go with it; but a user and a password among them are not the role's to know.
    """
    parts = urlsplit(dsn)
    server = parts.netloc.rpartition("@")[2]
    options = [(name, text) for name, text in parse_qsl(parts.query) if name not in ACCOUNT]
    return parts._replace(
        netloc=f"{role}:{password}@{server}",
        path=f"/{database}",
        query=urlencode(options, quote_via=quote),
    ).geturl()


async def create_database(
    admin_dsn: str, passwords: Passwords, *, database: str = DATABASE
) -> dict[str, str]:
    """Make the database, the roles and the schemas that are missing; the address of each service.

    A role owns the schema of its name and may see no other. `admin_dsn` is a superuser's.
    """
    admin = await asyncpg.connect(admin_dsn)
    try:
        if not await admin.fetchval("select 1 from pg_database where datname = $1", database):
            await admin.execute(f"create database {database}")
        for role in SERVICES:
            exists = await admin.fetchval("select 1 from pg_roles where rolname = $1", role)
            verb = "alter" if exists else "create"
            # The passwords hold no quotes: they are URL-safe.
            await admin.execute(f"{verb} role {role} login password '{passwords[role]}'")
    finally:
        await admin.close()
    await _create_schemas(urlsplit(admin_dsn)._replace(path=f"/{database}").geturl(), database)
    return {
        role: address(admin_dsn, role=role, password=passwords[role], database=database)
        for role in SERVICES
    }


async def _create_schemas(dsn: str, database: str) -> None:
    owner = await asyncpg.connect(dsn)
    try:
        await owner.execute(f"revoke all on database {database} from public")
        await owner.execute("revoke all on schema public from public")
        for role in SERVICES:
            await owner.execute(f"grant connect, temporary on database {database} to {role}")
            await owner.execute(f"create schema if not exists {role} authorization {role}")
    finally:
        await owner.close()
