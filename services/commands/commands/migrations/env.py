"""Alembic's environment for the commands service."""

from chassis.migrations import run_env
from commands.tables import metadata

run_env(metadata)
