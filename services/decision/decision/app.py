"""What makes the decision service: its handlers, its schema, its work by the clock."""

from pathlib import Path

from chassis.service import Service
from decision import tables
from decision.handlers import HANDLERS
from decision.handlers.sweeping import sweep
from decision.settings import DecisionSettings

service = Service(
    name="decision",
    handlers=HANDLERS,
    settings=DecisionSettings,
    metadata=tables.metadata,
    migrations=Path(__file__).parent / "migrations",
    sweep=sweep,
)
