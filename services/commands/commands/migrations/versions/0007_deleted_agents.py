"""When the agent of a switch was deleted; of those that are, when it was heard of last."""

import sqlalchemy as sa
from alembic import op

revision = "0007"
down_revision = "0006"


def upgrade() -> None:
    op.add_column("switches", sa.Column("agent_deleted_at", sa.DateTime(timezone=True)))
    op.execute("""
        update switches s set agent_deleted_at = greatest(s.ended_at, a.moved_at)
        from agent_contexts a
        where a.agent_id = s.agent_id and (a.state ->> 'deleted')::boolean
    """)
