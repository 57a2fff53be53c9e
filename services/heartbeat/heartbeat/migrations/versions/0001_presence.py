"""Presence of agents, and how far each partition is folded."""

import sqlalchemy as sa
from alembic import op

revision = "0001"
down_revision = None


def upgrade() -> None:
    op.create_table(
        "presence",
        sa.Column("agent_id", sa.Uuid, primary_key=True),
        sa.Column("client_id", sa.Uuid, nullable=False),
        sa.Column("partition", sa.SmallInteger, nullable=False),
        sa.Column("online", sa.Boolean, nullable=False),
        sa.Column("status", sa.Text, nullable=False),
        sa.Column("current_mode", sa.Text),
        sa.Column("current_pool_id", sa.Text),
        sa.Column("spot_price", sa.Float),
        sa.Column("ondemand_price", sa.Float),
        sa.Column("last_heartbeat_at", sa.DateTime(timezone=True), nullable=False),
        sa.Column("heard_ms", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": 70},
    )
    op.create_index("presence_partition", "presence", ["partition"])
    op.create_table(
        "presence_partitions",
        sa.Column("partition", sa.SmallInteger, primary_key=True, autoincrement=False),
        sa.Column("epoch", sa.BigInteger, nullable=False),
        sa.Column("folded_offset", sa.BigInteger, nullable=False),
        sa.Column("last_record_at", sa.DateTime(timezone=True)),
        sa.Column("deaf_ms", sa.BigInteger, nullable=False),
        postgresql_with={"fillfactor": 50},
    )
