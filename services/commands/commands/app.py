"""What makes the commands service: its handlers, its schema, its work by the clock."""

from pathlib import Path

from chassis.service import Service
from commands import invariants, tables
from commands.handlers import HANDLERS
from commands.handlers.sweeping import sweep
from commands.settings import CommandsSettings

service = Service(
    name="commands",
    handlers=HANDLERS,
    settings=CommandsSettings,
    metadata=tables.metadata,
    migrations=Path(__file__).parent / "migrations",
    sweep=sweep,
    commands={"invariants": invariants.check},
)
