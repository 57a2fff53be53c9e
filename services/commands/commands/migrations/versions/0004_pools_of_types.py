"""Pools of two instance types may bear one name, so a name alone is no key.

What was kept of prices is of the type that told its price last; no release has kept any yet.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

OF_A_TYPE = ["client_id", "instance_type", "region", "pool_id"]


def upgrade() -> None:
    for name in ("instance_type", "region"):
        op.add_column("pool_prices", sa.Column(name, sa.Text))
    op.execute("""
        update pool_prices p set instance_type = s.instance_type, region = s.region
        from pool_states s where s.client_id = p.client_id and s.pool_id = p.pool_id
    """)
    op.execute("delete from pool_prices where instance_type is null")
    op.drop_index("pool_states_alike", "pool_states")
    for table, key in (("pool_states", OF_A_TYPE), ("pool_prices", [*OF_A_TYPE, "at"])):
        op.drop_constraint(f"{table}_pkey", table)
        op.create_primary_key(f"{table}_pkey", table, key)
