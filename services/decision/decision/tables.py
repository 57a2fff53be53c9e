"""The tables of the decision service: what the fleet saw, what was decided, what came of it.

Everything belongs to one client: zones have other names for other accounts, and a pool's id is
its client's own word. A `pool_group` is an instance type in a region; its pools are siblings.
"""

from sqlalchemy import (
    Boolean,
    Column,
    Computed,
    DateTime,
    Float,
    ForeignKey,
    Index,
    Integer,
    LargeBinary,
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
    # The newest state of the agent that was seen, with its revision.
    Column("revision", Integer, nullable=False),
    Column("state", JSONB, nullable=False),
    Column(
        "is_deleted",
        Boolean,
        Computed("(state ->> 'deleted'::text) = 'true'::text", persisted=True),
    ),
    Column("ondemand_price", Float),
    # What the last decide request told of where the agent runs, and since when.
    Column("told", JSONB),
    # An interruption threw it out of spot, and it has not been back since.
    Column("recovering", Boolean, nullable=False, server_default="false"),
    Column("noticed_instance_id", Text),
    Column("noticed_at", Moment),
    Column("rebalance_instance_id", Text),
    Column("rebalance_at", Moment),
    # A switch of the automatic loop that saves money is open at most until then.
    Column("open_command_id", Uuid),
    Column("open_until", Moment),
    Column("total_decisions", Integer, nullable=False, server_default="0"),
    Column("switches_recommended", Integer, nullable=False, server_default="0"),
    Column("confidence_sum", Float, nullable=False, server_default="0"),
    Column("last_decision_at", Moment),
    Index("agent_contexts_of_fleet", "client_id", "is_deleted", "open_until"),
)

agent_decision_history = Table(
    "agent_decision_history",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("instance_id", Text),
    Column("decided_at", Moment, nullable=False),
    Column("recommendation", Text, nullable=False),
    Column("current_pool", Text),
    Column("target_pool", Text),
    Column("risk_score", Float, nullable=False),
    Column("will_auto_execute", Boolean, nullable=False),
    Column("outcome", Text),
    Column("model_version", Text),
    # What the watching model would have done, for reports; in decisions of old it is in `detail`.
    Column("shadow_version", Text),
    Column("shadow_recommendation", Text),
    Column("shadow_risk_score", Float),
    # The whole decision, as people see it.
    Column("detail", JSONB, nullable=False),
    Index("agent_decision_history_newest_first", "agent_id", "decided_at", "id"),
    # Reports are made from this index alone: the rows are twenty times as large.
    Index(
        "agent_decision_history_reported",
        "decided_at",
        postgresql_include=[
            *("client_id", "instance_id", "recommendation", "current_pool", "risk_score"),
            *("outcome", "model_version"),
            *("shadow_version", "shadow_recommendation", "shadow_risk_score"),
        ],
    ),
)

pools = Table(
    "pools",
    metadata,
    Column("client_id", Uuid, primary_key=True),
    Column("pool_group", Text, primary_key=True),
    Column("pool_id", Text, primary_key=True),
    Column("partition", SmallInteger, nullable=False),
    Column("instance_type", Text, nullable=False),
    Column("region", Text, nullable=False),
    Column("az", Text),
    # What the last rating found.
    Column("price_usd_per_hour", Float),
    Column("ondemand_usd_per_hour", Float),
    Column("priced_at", Moment),
    Column("first_priced_at", Moment),
    Column("volatility", Float),
    # The risk as it was told last, when that was, and when to rate it again.
    Column("risk_1h", Float),
    Column("told_at", Moment),
    Column("due_at", Moment, nullable=False),
    Index("pools_due", "partition", "due_at"),
)

pool_prices = Table(
    "pool_prices",
    metadata,
    Column("client_id", Uuid, primary_key=True),
    Column("pool_group", Text, primary_key=True),
    Column("pool_id", Text, primary_key=True),
    Column("at", Moment, primary_key=True),
    Column("partition", SmallInteger, nullable=False),
    Column("price_usd_per_hour", Float, nullable=False),
    Column("ondemand_usd_per_hour", Float),
    # Whether no rating has seen it yet.
    Column("is_new", Boolean, nullable=False, server_default="true"),
    Index("pool_prices_new", "partition", postgresql_where=text("is_new")),
    Index("pool_prices_at", "at"),
)

pool_events = Table(
    "pool_events",
    metadata,
    # One event of a kind per instance, whoever tells of it.
    Column("client_id", Uuid, primary_key=True),
    Column("instance_id", Text, primary_key=True),
    Column("kind", Text, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("pool_group", Text, nullable=False),
    Column("pool_id", Text, nullable=False),
    Column("at", Moment, nullable=False),
    Index("pool_events_of_group", "client_id", "pool_group", "at"),
    Index("pool_events_at", "at"),
)

pool_stays = Table(
    "pool_stays",
    metadata,
    # Which instance ran in which spot pool, from when to when.
    Column("id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("agent_id", Uuid, nullable=False),
    Column("instance_id", Text, nullable=False),
    Column("pool_group", Text, nullable=False),
    Column("pool_id", Text, nullable=False),
    Column("started_at", Moment, nullable=False),
    Column("ended_at", Moment),
    Index("pool_stays_open", "agent_id", unique=True, postgresql_where=text("ended_at is null")),
    Index("pool_stays_of_group", "client_id", "pool_group", "ended_at"),
    Index("pool_stays_of_instance", "client_id", "instance_id", "started_at"),
    Index("pool_stays_ended_at", "ended_at"),
)

switch_outcomes = Table(
    "switch_outcomes",
    metadata,
    Column("switch_id", Uuid, primary_key=True),
    Column("agent_id", Uuid, nullable=False),
    Column("client_id", Uuid, nullable=False),
    Column("trigger", Text, nullable=False),
    # planned, forced or recovery: only planned moves count towards the limits.
    Column("kind", Text, nullable=False),
    # The decision that it follows from, and what that promised.
    Column("decision_id", Uuid),
    Column("model_version", Text),
    Column("promised_savings_per_hour", Float),
    # For the release before `realised_savings` alone, which may still run on this schema.
    Column("realised_savings_per_hour", Float),
    # What it has brought in USD, and for how many hours, by what was told last.
    Column("realised_savings", Float),
    Column("metered_hours", Float),
    Column("instance_id", Text, nullable=False),
    Column("completed_at", Moment, nullable=False),
    Index("switch_outcomes_of_agent", "agent_id", "completed_at"),
)

models = Table(
    "models",
    metadata,
    Column("sha256", Text, primary_key=True),
    Column("version", Text, nullable=False),
    Column("size_bytes", Integer, nullable=False),
    # For the release before `model_roles` alone, which may still run on this schema.
    Column("role", Text),
    Column("onnx", LargeBinary, nullable=False),
    # As it was published last; a role keeps the card that it was given with.
    Column("card", JSONB, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", Moment, nullable=False),
    Index("models_role", "role", unique=True, postgresql_where=text("role is not null")),
)

model_roles = Table(
    "model_roles",
    metadata,
    # One file may decide and watch, each under a card of its own.
    Column("role", Text, primary_key=True),
    Column("sha256", ForeignKey("models.sha256"), nullable=False),
    Column("version", Text, nullable=False),
    Column("card", JSONB, nullable=False),
    Column("published_by", Text, nullable=False),
    Column("published_at", Moment, nullable=False),
)

bus_tables(metadata)
