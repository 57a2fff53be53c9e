"""Revisions of pools are seconds since 1970, which 32 bits hold until 2038."""

import sqlalchemy as sa
from alembic import op

revision = "0002"
down_revision = "0001"


def upgrade() -> None:
    op.alter_column("pool_states", "revision", type_=sa.BigInteger)
