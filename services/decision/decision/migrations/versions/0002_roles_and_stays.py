"""The roles of models in a table of their own; ended stays are found by their end."""

import sqlalchemy as sa
from alembic import op
from sqlalchemy.dialects.postgresql import JSONB

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.create_table(
        "model_roles",
        sa.Column("role", sa.Text, primary_key=True),
        sa.Column("sha256", sa.Text, sa.ForeignKey("models.sha256"), nullable=False),
        sa.Column("version", sa.Text, nullable=False),
        sa.Column("card", JSONB, nullable=False),
        sa.Column("published_by", sa.Text, nullable=False),
        sa.Column("published_at", sa.DateTime(timezone=True), nullable=False),
    )
    op.execute(
        "insert into model_roles (role, sha256, version, card, published_by, published_at)"
        " select role, sha256, version, card, published_by, published_at from models"
        " where role is not null"
    )
    op.create_index("pool_stays_ended_at", "pool_stays", ["ended_at"])
