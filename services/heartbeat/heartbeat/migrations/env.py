"""Alembic's environment for the heartbeat service."""

from chassis.migrations import run_env
from heartbeat.tables import metadata

run_env(metadata)
