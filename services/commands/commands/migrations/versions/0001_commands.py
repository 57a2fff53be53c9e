"""Commands, switches, replicas, emergencies, what they are judged by, and the tables of the bus."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    contexts()
    queue()
    switches()
    replicas()
    emergencies()
    prices()
    bus()


def contexts() -> None:
    op.create_table(
        "agent_contexts",
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("partition", sa.SmallInteger, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", JSONB, nullable=False),
        sa.Column("queue_revision", sa.Integer, nullable=False),
        sa.Column("deliverable", sa.Integer, nullable=False),
        sa.Column("highest_priority", sa.Integer),
        sa.Column("due_at", MOMENT),
        sa.Column("last_rebalance_recommendation_at", MOMENT),
    )
    op.create_index(
        "agent_contexts_due",
        "agent_contexts",
        ["partition", "due_at"],
        postgresql_where=sa.text("due_at is not null"),
    )


def queue() -> None:
    op.create_table(
        "commands",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("command_type", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("priority", sa.Integer, nullable=False),
        sa.Column("target_pool", sa.Text),
        sa.Column("target_mode", sa.Text),
        sa.Column("parameters", JSONB, nullable=False),
        sa.Column("reason", sa.Text),
        sa.Column("confidence", sa.Float),
        sa.Column("terminate_wait_seconds", sa.Integer, nullable=False),
        sa.Column("request_id", sa.Uuid, nullable=False),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("lease_until", MOMENT),
        sa.Column("ended_at", MOMENT),
        sa.Column("message", sa.Text),
        sa.Column("error", sa.Text),
        sa.Column("duration_seconds", sa.Float),
        sa.Column("result", JSONB),
    )
    op.create_index(
        "commands_open", "commands", ["agent_id"], postgresql_where=sa.text("ended_at is null")
    )
    op.create_index("commands_newest_first", "commands", ["agent_id", "created_at", "id"])
    op.create_table(
        "command_transitions",
        sa.Column("command_id", sa.Uuid, sa.ForeignKey("commands.id"), primary_key=True),
        sa.Column("seq", sa.Integer, primary_key=True),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
        sa.Column("actor", sa.Text, nullable=False),
        sa.Column("detail", sa.Text),
    )


def switches() -> None:
    op.create_table(
        "switches",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("command_id", sa.Uuid),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("old_instance", JSONB, nullable=False),
        sa.Column("new_instance", JSONB, nullable=False),
        sa.Column("pricing", JSONB, nullable=False),
        sa.Column("timing", JSONB, nullable=False),
        sa.Column("downtime_seconds", sa.Float),
        sa.Column("completed_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index("switches_newest_first", "switches", ["agent_id", "completed_at", "id"])


def replicas() -> None:
    op.create_table(
        "replicas",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("is_kept", sa.Boolean, nullable=False),
        sa.Column("pool_id", sa.Text),
        sa.Column("mode", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Text),
        sa.Column("instance_type", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("az", sa.Text, nullable=False),
        sa.Column("sync_percentage", sa.Float, nullable=False),
        sa.Column("price_usd_per_hour", sa.Float),
        sa.Column("command_id", sa.Uuid, sa.ForeignKey("commands.id")),
        sa.Column("error", sa.Text),
        sa.Column("created_at", MOMENT, nullable=False),
        sa.Column("updated_at", MOMENT, nullable=False),
        sa.Column("launched_at", MOMENT),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index(
        "replicas_live", "replicas", ["agent_id"], postgresql_where=sa.text("ended_at is null")
    )
    op.create_index("replicas_newest_first", "replicas", ["agent_id", "created_at", "id"])


def emergencies() -> None:
    op.create_table(
        "emergencies",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("action", sa.Text, nullable=False),
        sa.Column("instance_id", sa.Text),
        sa.Column("replica_id", sa.Uuid, sa.ForeignKey("replicas.id")),
        sa.Column("command_id", sa.Uuid, sa.ForeignKey("commands.id")),
        sa.Column("opened_at", MOMENT, nullable=False),
        sa.Column("expires_at", MOMENT, nullable=False),
        sa.Column("closed_at", MOMENT),
        sa.Column("outcome", sa.Text),
    )
    op.create_index(
        "emergencies_open",
        "emergencies",
        ["agent_id"],
        postgresql_where=sa.text("closed_at is null"),
    )
    op.create_index("emergencies_newest_first", "emergencies", ["agent_id", "opened_at", "id"])
    op.create_table(
        "termination_notices",
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("termination_time", MOMENT, nullable=False),
        sa.Column("noticed_at", MOMENT, nullable=False),
        sa.Column("emergency_id", sa.Uuid, sa.ForeignKey("emergencies.id"), nullable=False),
    )


def prices() -> None:
    op.create_table(
        "pool_states",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("instance_type", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("az", sa.Text, nullable=False),
        sa.Column("price_usd_per_hour", sa.Float),
        sa.Column("ondemand_usd_per_hour", sa.Float),
        sa.Column("risk_1h", sa.Float, nullable=False),
        sa.Column("as_of", MOMENT, nullable=False),
    )
    op.create_index("pool_states_alike", "pool_states", ["client_id", "region", "instance_type"])
    op.create_table(
        "pool_prices",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("at", MOMENT, primary_key=True),
        sa.Column("price_usd_per_hour", sa.Float, nullable=False),
    )
    op.create_table(
        "zombies",
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("since", MOMENT, nullable=False),
        sa.Column("terminated_at", MOMENT),
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
