"""What makes the registry: its handlers, its schema, its commands."""

from pathlib import Path

from chassis.service import Service
from registry import demo, invariants, tables
from registry.handlers import HANDLERS
from registry.settings import RegistrySettings

service = Service(
    name="registry",
    handlers=HANDLERS,
    settings=RegistrySettings,
    metadata=tables.metadata,
    migrations=Path(__file__).parent / "migrations",
    commands={"demo": demo.make_demo_client, "invariants": invariants.check},
)
