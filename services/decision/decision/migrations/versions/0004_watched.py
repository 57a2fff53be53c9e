"""Reports on models need no decision's detail: what a watching model would have done has columns.

Decisions that are there already have none of it, and count for the models that decided them alone.
"""

import sqlalchemy as sa
from alembic import op

revision = "0004"
down_revision = "0003"

TABLE = "agent_decision_history"
REPORTED = [
    *("client_id", "instance_id", "recommendation", "current_pool", "risk_score"),
    *("outcome", "model_version"),
    *("shadow_version", "shadow_recommendation", "shadow_risk_score"),
]


def upgrade() -> None:
    op.add_column(TABLE, sa.Column("shadow_version", sa.Text))
    op.add_column(TABLE, sa.Column("shadow_recommendation", sa.Text))
    op.add_column(TABLE, sa.Column("shadow_risk_score", sa.Float))
    op.create_index(
        "agent_decision_history_reported", TABLE, ["decided_at"], postgresql_include=REPORTED
    )
    op.drop_index("agent_decision_history_decided_at", TABLE)
