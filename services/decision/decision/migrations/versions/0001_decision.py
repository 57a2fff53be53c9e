"""What the fleet saw, what was decided, what came of it, models, and the tables of the bus."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0001"
down_revision = None

MOMENT = sa.DateTime(timezone=True)


def upgrade() -> None:
    agents()
    decisions()
    pools()
    evidence()
    models()
    bus()


def agents() -> None:
    op.create_table(
        "agent_contexts",
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("revision", sa.Integer, nullable=False),
        sa.Column("state", JSONB, nullable=False),
        sa.Column("ondemand_price", sa.Float),
        sa.Column("told", JSONB),
        sa.Column("recovering", sa.Boolean, nullable=False, server_default="false"),
        sa.Column("noticed_instance_id", sa.Text),
        sa.Column("noticed_at", MOMENT),
        sa.Column("rebalance_instance_id", sa.Text),
        sa.Column("rebalance_at", MOMENT),
        sa.Column("open_command_id", sa.Uuid),
        sa.Column("open_until", MOMENT),
        sa.Column("total_decisions", sa.Integer, nullable=False, server_default="0"),
        sa.Column("switches_recommended", sa.Integer, nullable=False, server_default="0"),
        sa.Column("confidence_sum", sa.Float, nullable=False, server_default="0"),
        sa.Column("last_decision_at", MOMENT),
    )
    op.create_index("agent_contexts_of_client", "agent_contexts", ["client_id"])


def decisions() -> None:
    op.create_table(
        "agent_decision_history",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("instance_id", sa.Text),
        sa.Column("decided_at", MOMENT, nullable=False),
        sa.Column("recommendation", sa.Text, nullable=False),
        sa.Column("current_pool", sa.Text),
        sa.Column("target_pool", sa.Text),
        sa.Column("risk_score", sa.Float, nullable=False),
        sa.Column("will_auto_execute", sa.Boolean, nullable=False),
        sa.Column("outcome", sa.Text),
        sa.Column("model_version", sa.Text),
        sa.Column("detail", JSONB, nullable=False),
    )
    op.create_index("agent_decision_history_decided_at", "agent_decision_history", ["decided_at"])
    op.create_index(
        "agent_decision_history_newest_first",
        "agent_decision_history",
        ["agent_id", "decided_at", "id"],
    )
    op.create_table(
        "switch_outcomes",
        sa.Column("switch_id", sa.Uuid, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("trigger", sa.Text, nullable=False),
        sa.Column("kind", sa.Text, nullable=False),
        sa.Column("decision_id", sa.Uuid),
        sa.Column("model_version", sa.Text),
        sa.Column("promised_savings_per_hour", sa.Float),
        sa.Column("realised_savings_per_hour", sa.Float),
        sa.Column("instance_id", sa.Text, nullable=False),
        sa.Column("completed_at", MOMENT, nullable=False),
    )
    op.create_index("switch_outcomes_of_agent", "switch_outcomes", ["agent_id", "completed_at"])


def pools() -> None:
    op.create_table(
        "pools",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("pool_group", sa.Text, primary_key=True),
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("partition", sa.SmallInteger, nullable=False),
        sa.Column("instance_type", sa.Text, nullable=False),
        sa.Column("region", sa.Text, nullable=False),
        sa.Column("az", sa.Text),
        sa.Column("price_usd_per_hour", sa.Float),
        sa.Column("ondemand_usd_per_hour", sa.Float),
        sa.Column("priced_at", MOMENT),
        sa.Column("first_priced_at", MOMENT),
        sa.Column("volatility", sa.Float),
        sa.Column("risk_1h", sa.Float),
        sa.Column("told_at", MOMENT),
        sa.Column("due_at", MOMENT, nullable=False),
    )
    op.create_index("pools_due", "pools", ["partition", "due_at"])
    op.create_table(
        "pool_prices",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("pool_group", sa.Text, primary_key=True),
        sa.Column("pool_id", sa.Text, primary_key=True),
        sa.Column("at", MOMENT, primary_key=True),
        sa.Column("partition", sa.SmallInteger, nullable=False),
        sa.Column("price_usd_per_hour", sa.Float, nullable=False),
        sa.Column("ondemand_usd_per_hour", sa.Float),
        sa.Column("is_new", sa.Boolean, nullable=False, server_default="true"),
    )
    op.create_index("pool_prices_at", "pool_prices", ["at"])
    op.create_index(
        "pool_prices_new", "pool_prices", ["partition"], postgresql_where=sa.text("is_new")
    )


def evidence() -> None:
    op.create_table(
        "pool_events",
        sa.Column("client_id", sa.Uuid, primary_key=True),
        sa.Column("instance_id", sa.Text, primary_key=True),
        sa.Column("kind", sa.Text, primary_key=True),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("pool_group", sa.Text, nullable=False),
        sa.Column("pool_id", sa.Text, nullable=False),
        sa.Column("at", MOMENT, nullable=False),
    )
    op.create_index("pool_events_at", "pool_events", ["at"])
    op.create_index("pool_events_of_group", "pool_events", ["client_id", "pool_group", "at"])
    op.create_table(
        "pool_stays",
        sa.Column("id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("agent_id", sa.Uuid, nullable=False),
        sa.Column("instance_id", sa.Text, nullable=False),
        sa.Column("pool_group", sa.Text, nullable=False),
        sa.Column("pool_id", sa.Text, nullable=False),
        sa.Column("started_at", MOMENT, nullable=False),
        sa.Column("ended_at", MOMENT),
    )
    op.create_index("pool_stays_of_group", "pool_stays", ["client_id", "pool_group", "ended_at"])
    op.create_index(
        "pool_stays_of_instance", "pool_stays", ["client_id", "instance_id", "started_at"]
    )
    op.create_index(
        "pool_stays_open",
        "pool_stays",
        ["agent_id"],
        unique=True,
        postgresql_where=sa.text("ended_at is null"),
    )


def models() -> None:
    op.create_table(
        "models",
        sa.Column("sha256", sa.Text, primary_key=True),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("size_bytes", sa.Integer, nullable=False),
        sa.Column("role", sa.Text),
        sa.Column("onnx", sa.LargeBinary, nullable=False),
        sa.Column("card", JSONB, nullable=False),
        sa.Column("published_by", sa.Text, nullable=False),
        sa.Column("published_at", MOMENT, nullable=False),
    )
    op.create_index(
        "models_role", "models", ["role"], unique=True, postgresql_where=sa.text("role is not null")
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
