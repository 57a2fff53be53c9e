"""The version that an agent tells of itself."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.add_column("presence", sa.Column("agent_version", sa.Text))
