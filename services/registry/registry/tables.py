"""The registry's tables. One agent has at most one primary instance: an index sees to it."""

from sqlalchemy import (
    ARRAY,
    Column,
    DateTime,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    Table,
    Text,
    UniqueConstraint,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.tables import bus_tables

metadata = MetaData()
Moment = DateTime(timezone=True)

clients = Table(
    "clients",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("name", Text, nullable=False),
    Column("email", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("deleted_at", Moment),
    Index("clients_newest_first", "created_at", "id"),
)

client_tokens = Table(
    "client_tokens",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", ForeignKey("clients.id"), nullable=False, index=True),
    Column("hash", Text, nullable=False, unique=True),
    Column("roles", ARRAY(Text), nullable=False),
    Column("label", Text),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment),
    Column("revoked_at", Moment),
)

agents = Table(
    "agents",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("logical_agent_id", Text, nullable=False),
    Column("revision", Integer, nullable=False),
    Column("epoch", Integer, nullable=False),
    Column("status", Text, nullable=False),
    # When the status was settled last: silence of an earlier moment does not change it, nor does a
    # beat if it was a goodbye.
    Column("status_at", Moment, nullable=False),
    Column("instance_id", Text),
    Column("instance_type", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("az", Text, nullable=False),
    Column("current_mode", Text, nullable=False),
    Column("current_pool_id", Text),
    # Since when it lives there: a beat of an earlier moment tells of another place.
    Column("placed_at", Moment, nullable=False),
    Column("hostname", Text),
    Column("ami_id", Text),
    Column("agent_version", Text),
    Column("private_ip", Text),
    Column("public_ip", Text),
    Column("last_heartbeat_at", Moment),
    Column("registered_at", Moment, nullable=False),
    Column("deleted_at", Moment),
    UniqueConstraint("client_id", "logical_agent_id", name="agents_logical_id"),
    Index("agents_newest_first", "client_id", "registered_at", "id"),
)

agent_configs = Table(
    "agent_configs",
    metadata,
    Column("agent_id", ForeignKey("agents.id"), primary_key=True),
    Column("config_version", Integer, nullable=False),
    Column("settings", JSONB, nullable=False),
)

agent_config_history = Table(
    "agent_config_history",
    metadata,
    Column("agent_id", ForeignKey("agents.id"), primary_key=True),
    Column("config_version", Integer, primary_key=True),
    Column("settings", JSONB, nullable=False),
    Column("changed_by", Text, nullable=False),
    Column("changed_at", Moment, nullable=False),
)

instances = Table(
    "instances",
    metadata,
    Column("agent_id", ForeignKey("agents.id"), primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("instance_type", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("az", Text, nullable=False),
    Column("mode", Text, nullable=False),
    Column("pool_id", Text),
    Column("status", Text, nullable=False),
    Column("status_at", Moment, nullable=False),
    Column("first_seen_at", Moment, nullable=False),
    Column("zombie_reason", Text),
    # The last termination that failed.
    Column("attempted_at", Moment),
    Index(
        "instances_one_primary",
        "agent_id",
        unique=True,
        postgresql_where=text("status = 'primary'"),
    ),
    Index("instances_by_instance_id", "instance_id"),
)

open_moves = Table(
    "open_moves",
    metadata,
    # A switch or a replica under way: a newcomer of the agent may be its new instance.
    Column("id", Uuid, primary_key=True),
    Column("agent_id", ForeignKey("agents.id"), nullable=False, index=True),
    Column("kind", Text, nullable=False),
    Column("target_mode", Text),
    Column("target_pool", Text),
    # The instance of a replica, once it is known.
    Column("instance_id", Text),
    # A switch whose command has succeeded, and whose report is still to come.
    Column("finished_at", Moment),
    Column("opened_at", Moment, nullable=False),
    # Whatever gets lost, a move stands in nobody's way for longer.
    Column("expires_at", Moment, nullable=False),
)

switch_reports = Table(
    "switch_reports",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", ForeignKey("agents.id"), nullable=False),
    Column("command_id", Uuid),
    Column("old_instance_id", Text, nullable=False),
    Column("new_instance_id", Text, nullable=False),
    Column("reported_at", Moment, nullable=False),
    UniqueConstraint("agent_id", "old_instance_id", "new_instance_id", name="switch_reports_pair"),
)

system_events = Table(
    "system_events",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("agent_id", Uuid),
    Column("event_type", Text, nullable=False),
    Column("severity", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("actor", Text, nullable=False),
    Column("data", JSONB, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("system_events_newest_first", "agent_id", "created_at", "id"),
)

notifications = Table(
    "notifications",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("agent_id", Uuid),
    Column("kind", Text, nullable=False),
    Column("message", Text, nullable=False),
    Column("created_at", Moment, nullable=False),
    Index("notifications_newest_first", "client_id", "created_at", "id"),
)

bus_tables(metadata)
