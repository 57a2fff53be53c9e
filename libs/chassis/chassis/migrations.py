"""Running a service's Alembic migrations, over asyncpg, in the schema of its own role."""

import asyncio
from pathlib import Path

import asyncpg
from alembic import command, context
from alembic.config import Config
from sqlalchemy import Connection, MetaData, pool, text
from sqlalchemy.ext.asyncio import create_async_engine

LOCK = 7_305_141_019
"""The advisory lock that lets one migration run at a time."""


async def migrate(dsn: str, scripts: Path, *, revision: str = "head") -> None:
    """Bring the schema to a revision; raises what Alembic or PostgreSQL raise."""
    engine = create_async_engine(
        # asyncpg reads the address, as it does for the service: SQLAlchemy takes other options.
        "postgresql+asyncpg://",
        async_creator=lambda: asyncpg.connect(dsn),
        poolclass=pool.NullPool,
    )

    def upgrade(connection: Connection) -> None:
        connection.execute(text("select pg_advisory_xact_lock(:lock)"), {"lock": LOCK})
        config = Config()
        config.set_main_option("script_location", str(scripts))
        config.attributes["connection"] = connection
        command.upgrade(config, revision)

    try:
        async with asyncio.timeout(300), engine.begin() as connection:
            await connection.run_sync(upgrade)
    finally:
        await engine.dispose()


def run_env(metadata: MetaData) -> None:
    """What a service's `migrations/env.py` calls: run on the connection that `migrate` opened."""
    context.configure(
        connection=context.config.attributes["connection"],
        target_metadata=metadata,
        transaction_per_migration=False,
    )
    with context.begin_transaction():
        context.run_migrations()
