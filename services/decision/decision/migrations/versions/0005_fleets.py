"""Whether an agent is deleted as a column that PostgreSQL makes of its state, whoever writes that.

With it an index tells how large a client's fleet is, and how much of it is switching.
"""

import sqlalchemy as sa
from alembic import op

revision = "0005"
down_revision = "0004"

IS_DELETED = sa.Computed("(state ->> 'deleted'::text) = 'true'::text", persisted=True)


def upgrade() -> None:
    op.add_column("agent_contexts", sa.Column("is_deleted", sa.Boolean, IS_DELETED))
    op.create_index(
        "agent_contexts_of_fleet", "agent_contexts", ["client_id", "is_deleted", "open_until"]
    )
    op.drop_index("agent_contexts_of_client", "agent_contexts")
