"""The heartbeat service, put together."""

from pathlib import Path

from chassis.service import Service
from heartbeat.handlers import HANDLERS
from heartbeat.settings import HeartbeatSettings
from heartbeat.stream import follow_heartbeats
from heartbeat.tables import metadata

service = Service(
    name="heartbeat",
    handlers=HANDLERS,
    settings=HeartbeatSettings,
    metadata=metadata,
    migrations=Path(__file__).with_name("migrations"),
    background=(follow_heartbeats,),
    remembers=False,
)
