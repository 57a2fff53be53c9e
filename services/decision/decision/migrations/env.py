"""Alembic's environment for the decision service."""

from chassis.migrations import run_env
from decision.tables import metadata

run_env(metadata)
