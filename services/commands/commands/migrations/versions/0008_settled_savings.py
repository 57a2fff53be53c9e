"""What a switch has brought is kept once it is settled; what was settled before is reckoned."""

import sqlalchemy as sa
from alembic import op

revision = "0008"
down_revision = "0007"


def upgrade() -> None:
    op.add_column("switches", sa.Column("settled_savings", sa.Float))
