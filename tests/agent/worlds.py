"""Small simulated worlds for tests: one agent on one home, at a pace that suits."""

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any

from spotkeeper_agent.cloud import Launch, SimulatedCloud, make_instance
from spotkeeper_agent.market import Market
from spotkeeper_agent.situation import Pace

SEED = 7
NAME = "agent-01"
BEGAN_AT = datetime(2026, 1, 1, tzinfo=UTC)
NEVER_SECONDS = 3_600.0

FAST = Pace(
    beat_seconds=0.05,
    wait_seconds=0.5,
    look_seconds=0.02,
    decide_seconds=0.05,
    clean_seconds=0.05,
    boot_seconds=0.05,
    sync_seconds=0.1,
    handover_seconds=0.01,
)
SLOW_BUT_BEATS = replace(
    FAST,
    wait_seconds=0.0,
    look_seconds=NEVER_SECONDS,
    decide_seconds=NEVER_SECONDS,
    clean_seconds=NEVER_SECONDS,
)


def cloud_with_a_home(began_at: datetime = BEGAN_AT) -> SimulatedCloud:
    """A cloud without interruptions, in which one agent has stood for ten hours."""
    cloud = SimulatedCloud(Market(SEED), seed=SEED, began_at=began_at)
    instance = make_instance(
        SEED, "m5.large", region="us-east-1", az="us-east-1a", mode="spot", client_token=NAME
    )
    cloud.settle(NAME, instance, timedelta(hours=10))
    return cloud


def home_of(cloud: SimulatedCloud) -> Launch:
    """The one instance that runs."""
    (launch,) = cloud.running()
    return launch


def switch_command(**parameters: Any) -> dict[str, Any]:
    """A command for the home of `cloud_with_a_home` to move to another zone."""
    home = home_of(cloud_with_a_home()).instance
    return {
        "command_id": "0190163d-8694-739b-aea5-966c26f8ad90",
        "command_type": "switch",
        "target_pool": "m5.large.us-east-1b",
        "target_mode": "spot",
        "priority": 25,
        "created_at": "2026-01-01T00:00:00Z",
        "expires_at": "2099-01-01T00:00:00Z",
        "terminate_wait_seconds": 300,
        "request_id": "0190163d-8694-739b-aea5-966c26f8ad91",
        "parameters": {
            "trigger": "automatic",
            "replica_id": None,
            "expected_instance_id": home.instance_id,
            "expected_pool": home.pool_id,
            "max_price": None,
            "not_after": "2099-01-01T00:00:00Z",
            "epoch": 3,
            **parameters,
        },
    }
