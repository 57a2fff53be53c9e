"""Bodies of the HTTP contract, as its documents show them."""

from typing import Any

Json = dict[str, Any]

NOTICE: Json = {"instance_id": "i-old", "termination_time": "2024-11-26T10:02:00Z"}
SYNC: Json = {"sync_percentage": 97.5}
OLD: Json = {
    "instance_id": "i-old",
    "instance_type": "t3.medium",
    "mode": "spot",
    "pool_id": "t3.medium.us-east-1a",
    "az": "us-east-1a",
    "region": "us-east-1",
}
NEW: Json = {**OLD, "instance_id": "i-new", "pool_id": "t3.medium.us-east-1b", "az": "us-east-1b"}
SWITCH_REPORT: Json = {
    "command_id": None,
    "old_instance": OLD,
    "new_instance": NEW,
    "pricing": {"old_spot": 0.0104, "new_spot": 0.0098, "on_demand": 0.0416},
    "timing": {"initiated_at": "2024-11-26T10:00:00Z", "old_terminated_at": "2024-11-26T10:02:00Z"},
    "trigger": "manual",
    "downtime_seconds": 12,
}
