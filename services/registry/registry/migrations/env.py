"""Alembic's environment for the registry."""

from chassis.migrations import run_env
from registry.tables import metadata

run_env(metadata)
