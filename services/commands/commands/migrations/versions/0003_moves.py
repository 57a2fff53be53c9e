"""When an agent left its instance, for a switch that is recorded later than that."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    op.add_column("agent_contexts", sa.Column("moved_at", sa.DateTime(timezone=True)))
