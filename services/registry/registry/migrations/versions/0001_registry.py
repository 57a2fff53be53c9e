"""Clients, agents, configs, instances, the audit trail, and the tables of the bus."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    clients()
    agents()
    configs()
    instances()
    trail()
    bus()


def clients() -> None:
    op.create_table(
        "clients",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("name", sa.Text, nullable=False),
        sa.Column("email", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
    )
    op.create_index("clients_newest_first", "clients", ["created_at", "id"])
    op.create_table(
        "client_tokens",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, sa.ForeignKey("clients.id"), nullable=False, index=True),
        sa.Column("hash", sa.Text, nullable=False, unique=True),
        sa.Column("roles", sa.ARRAY(sa.Text), nullable=False),
        sa.Column("label", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT),
        sa.Column("revoked_at", MOMENT),
    )


def agents() -> None:
    op.create_table(
        "agents",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("logical_agent_id", sa.Text, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("epoch", sa.Integer, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_at", MOMENT, nullable=False),
        sa.Column("instance_id", sa.Text),
        sa.Column("instance_type", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("az", sa.Text, nullable=False),
        sa.Column("current_mode", sa.Text, nullable=False),
        sa.Column("current_pool_id", sa.Text),
        sa.Column("placed_at", MOMENT, nullable=False),
        sa.Column("hostname", sa.Text),
        sa.Column("ami_id", sa.Text),
        sa.Column("agent_version", sa.Text),
        sa.Column("private_ip", sa.Text),
        sa.Column("public_ip", sa.Text),
        sa.Column("last_heartbeat_at", MOMENT),
        sa.Column("registered_at", MOMENT, nullable=False),
        sa.Column("deleted_at", MOMENT),
        sa.UniqueConstraint("client_id", "logical_agent_id", name="agents_logical_id"),
    )
    op.create_index("agents_newest_first", "agents", ["client_id", "registered_at", "id"])


def configs() -> None:
    op.create_table(
        "agent_configs",
        sa.Column("agent_id", sa.Uuid, sa.ForeignKey("agents.id"), primary_key=True),
        sa.Column("config_version", sa.Integer, nullable=False),
        sa.Column("settings", JSONB, nullable=False),
    )
    op.create_table(
        "agent_config_history",
        sa.Column("agent_id", sa.Uuid, sa.ForeignKey("agents.id"), primary_key=True),
        sa.Column("config_version", sa.Integer, primary_key=True),
        sa.Column("settings", JSONB, nullable=False),
        sa.Column("changed_by", sa.Text, nullable=False),
        sa.Column("changed_at", MOMENT, nullable=False),
    )


def instances() -> None:
    op.create_table(
        "instances",
        sa.Column("agent_id", sa.Uuid, sa.ForeignKey("agents.id"), primary_key=True),
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("instance_type", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("az", sa.Text, nullable=False),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("pool_id", sa.Text),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("status_at", MOMENT, nullable=False),
        sa.Column("first_seen_at", MOMENT, nullable=False),
        sa.Column("zombie_reason", sa.Text),
        sa.Column("attempted_at", MOMENT),
    )
    op.create_index(
        "instances_one_primary",
        "instances",
        ["agent_id"],
        unique=True,
        postgresql_where=sa.text("status = 'primary'"),
    )
    op.create_index("instances_by_instance_id", "instances", ["instance_id"])
    op.create_table(
        "open_moves",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, sa.ForeignKey("agents.id"), nullable=False, index=True),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("target_mode", sa.Text),
        sa.Column("target_pool", sa.Text),
        sa.Column("instance_id", sa.Text),
        sa.Column("finished_at", MOMENT),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
    )
    op.create_table(
        "switch_reports",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, sa.ForeignKey("agents.id"), nullable=False),
        sa.Column("command_id", sa.Uuid),
        sa.Column("old_instance_id", sa.Text, nullable=False),
        sa.Column("new_instance_id", sa.Text, nullable=False),
        sa.Column("reported_at", MOMENT, nullable=False),
        sa.UniqueConstraint(
            "agent_id", "old_instance_id", "new_instance_id", name="switch_reports_pair"
        ),
    )


def trail() -> None:
    op.create_table(
        "system_events",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid),
        sa.Column("event_type", sa.Text, nullable=False),
        sa.Column("severity", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("data", JSONB, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index("system_events_newest_first", "system_events", ["agent_id", "created_at", "id"])
    op.create_table(
        "notifications",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("message", sa.Text, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
    )
    op.create_index(
        "notifications_newest_first", "notifications", ["client_id", "created_at", "id"]
    )


def bus() -> None:
    op.create_table(
        "inbox",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("fingerprint", sa.LargeBinary, nullable=False),
        sa.Column("answer_type", sa.Text),
        sa.Column("answer", sa.LargeBinary),
        sa.Column("handled_at", MOMENT, nullable=False),
    )
    op.create_index("inbox_handled_at", "inbox", ["handled_at"])
    op.create_table(
        "outbox",
        sa.Column("seq", sa.BigInteger, sa.Identity(always=True), primary_key=True),
        sa.Column("source_partition", sa.Integer, nullable=False),
        sa.Column("topic", sa.Text, nullable=False),
        sa.Column("partition", sa.Integer, nullable=False),
        sa.Column("key", sa.LargeBinary, nullable=False),
        sa.Column("value", sa.LargeBinary, nullable=False),
        sa.Column("headers", JSONB, nullable=False),
    )
    op.create_index("outbox_source_partition", "outbox", ["source_partition", "seq"])
