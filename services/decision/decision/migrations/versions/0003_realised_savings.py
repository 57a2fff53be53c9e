"""What switches have brought in money, as the commands service meters it."""

import sqlalchemy as sa
from alembic import op

revision = "0003"
down_revision = "0002"


def upgrade() -> None:
    for name in ("realised_savings", "metered_hours"):
        op.add_column("switch_outcomes", sa.Column(name, sa.Float))
