"""The tables of commands, switches, replicas and emergencies, and of what they are judged by.

The row of an agent in `agent_contexts` is the lock of all that concerns the agent.
"""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
    text,
)
from sqlalchemy.dialects.postgresql import JSONB

from chassis.tables import bus_tables

metadata = MetaData()
Moment = DateTime(timezone=True)

agent_contexts = Table(
    "agent_contexts",
    metadata,
    Column("agent_id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    # The newest state of the agent that was seen, with its revision.
    Column("revision", Integer, nullable=False),
    Column("state", JSONB, nullable=False),
    # When it was told last that the agent lives elsewhere than before.
    Column("moved_at", Moment),
    # What was told last of its queue.
    Column("queue_revision", Integer, nullable=False),
    Column("deliverable", Integer, nullable=False),
    Column("highest_priority", Integer),
    # When the clock is the next to change something: a lease, a command or an emergency ends.
    Column("due_at", Moment),
    Column("last_rebalance_recommendation_at", Moment),
    Index(
        "agent_contexts_due",
        "partition",
        "due_at",
        postgresql_where=text("due_at is not null"),
    ),
)

commands = Table(
    "commands",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("command_type", Text, nullable=False),
    Column("status", Text, nullable=False),
    Column("priority", Integer, nullable=False),
    Column("target_pool", Text),
    Column("target_mode", Text),
    Column("parameters", JSONB, nullable=False),
    Column("reason", Text),
    Column("confidence", Float),
    Column("terminate_wait_seconds", Integer, nullable=False),
    Column("request_id", Uuid, nullable=False),
    Column("created_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    # Until then the command is in the hands of whoever fetched it.
    Column("lease_until", Moment),
    Column("ended_at", Moment),
    Column("message", Text),
    Column("error", Text),
    Column("duration_seconds", Float),
    Column("result", JSONB),
    Index("commands_open", "agent_id", postgresql_where=text("ended_at is null")),
    Index("commands_newest_first", "agent_id", "created_at", "id"),
)

command_transitions = Table(
    "command_transitions",
    metadata,
    Column("command_id", ForeignKey("commands.id"), primary_key=True),
    Column("seq", Integer, primary_key=True),
    Column("status", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Column("actor", Text, nullable=False),
    Column("detail", Text),
)

switches = Table(
    "switches",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("command_id", Uuid),
    Column("trigger", Text, nullable=False),
    Column("old_instance", JSONB, nullable=False),
    Column("new_instance", JSONB, nullable=False),
    Column("pricing", JSONB, nullable=False),
    Column("timing", JSONB, nullable=False),
    Column("downtime_seconds", Float),
    Column("completed_at", Moment, nullable=False),
    # When the agent left the instance that it switched to.
    Column("ended_at", Moment),
    # When the agent was deleted: whether its old instance is gone is told by nobody after that.
    Column("agent_deleted_at", Moment),
    # When it is told next what the switch has brought; null once that is settled.
    Column("meter_at", Moment),
    # What the switch has brought in USD, once that was told as settled.
    Column("settled_savings", Float),
    Index("switches_to_meter", "meter_at", postgresql_where=text("meter_at is not null")),
    Index("switches_newest_first", "agent_id", "completed_at", "id"),
)

replicas = Table(
    "replicas",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("status", Text, nullable=False),
    # Whether it stands because the config asks for manual replicas, and only for so long.
    Column("is_kept", Boolean, nullable=False),
    Column("pool_id", Text),
    Column("mode", Text, nullable=False),
    Column("instance_id", Text),
    Column("instance_type", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("az", Text, nullable=False),
    Column("sync_percentage", Float, nullable=False),
    Column("price_usd_per_hour", Float),
    # The command that tells the agent to launch it.
    Column("command_id", ForeignKey("commands.id"), index=True),
    Column("error", Text),
    Column("created_at", Moment, nullable=False),
    Column("updated_at", Moment, nullable=False),
    Column("launched_at", Moment),
    Column("ended_at", Moment),
    Index("replicas_live", "agent_id", postgresql_where=text("ended_at is null")),
    Index("replicas_newest_first", "agent_id", "created_at", "id"),
)

emergencies = Table(
    "emergencies",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("kind", Text, nullable=False),
    Column("action", Text, nullable=False),
    Column("instance_id", Text),
    Column("replica_id", ForeignKey("replicas.id"), index=True),
    Column("command_id", ForeignKey("commands.id"), index=True),
    Column("opened_at", Moment, nullable=False),
    Column("expires_at", Moment, nullable=False),
    Column("closed_at", Moment),
    Column("outcome", Text),
    Index("emergencies_open", "agent_id", postgresql_where=text("closed_at is null")),
    Index("emergencies_newest_first", "agent_id", "opened_at", "id"),
)

termination_notices = Table(
    "termination_notices",
    metadata,
    Column("agent_id", Uuid, primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("termination_time", Moment, nullable=False),
    Column("noticed_at", Moment, nullable=False),
    Column("emergency_id", ForeignKey("emergencies.id"), nullable=False, index=True),
)

pool_states = Table(
    "pool_states",
    metadata,
    # A pool is named, and rated, by the fleet of one client; types may share a name for a zone.
    Column("client_id", Uuid, primary_key=True),
    Column("instance_type", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("pool_id", Text, primary_key=True),
    # Seconds since 1970.
    Column("revision", BigInteger, nullable=False),
    Column("az", Text, nullable=False),
    Column("price_usd_per_hour", Float),
    Column("ondemand_usd_per_hour", Float),
    Column("risk_1h", Float, nullable=False),
    Column("as_of", Moment, nullable=False),
)

pool_prices = Table(
    "pool_prices",
    metadata,
    # A line for each change of a price.
    Column("client_id", Uuid, primary_key=True),
    Column("instance_type", Text, primary_key=True),
    Column("region", Text, primary_key=True),
    Column("pool_id", Text, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("price_usd_per_hour", Float, nullable=False),
)

zombies = Table(
    "zombies",
    metadata,
    Column("agent_id", Uuid, primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("since", Moment, nullable=False),
    Column("terminated_at", Moment),
)

bus_tables(metadata)
