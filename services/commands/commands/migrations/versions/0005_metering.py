"""When it is told next what a switch has brought in money; of old switches soon."""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"


def upgrade() -> None:
    op.add_column("switches", sa.Column("meter_at", sa.DateTime(timezone=True)))
    op.execute("update switches set meter_at = completed_at")
    op.create_index(
        "switches_to_meter",
        "switches",
        ["meter_at"],
        postgresql_where=sa.text("meter_at is not null"),
    )
