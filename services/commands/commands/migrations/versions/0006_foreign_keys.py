"""Whoever deletes old commands, replicas or emergencies scans no table for those that name them."""

from alembic import op

revision = "0006"
down_revision = "0005"

KEYS = [
    ("replicas", "command_id"),
    ("emergencies", "replica_id"),
    ("emergencies", "command_id"),
    ("termination_notices", "emergency_id"),
]


def upgrade() -> None:
    for table, column in KEYS:
        op.create_index(f"ix_{table}_{column}", table, [column])
