"""Configs over HTTP: versions, limits, history and rollback."""

from typing import Any

import pytest

from spotkeeper_contracts.topics import AGENT_EVENTS
from tests.system.driver import System

KEYS = [
    "agent_id",
    "enabled",
    "auto_switch_enabled",
    "manual_replica_enabled",
    "auto_terminate_enabled",
    "terminate_wait_minutes",
    "emergency_rebalance_only",
    "decision_engine_active",
    "config_version",
    "min_savings_percent",
    "risk_threshold",
    "max_switches_per_week",
    "min_pool_duration_hours",
]


async def test_the_config_has_exactly_the_documented_keys(system: System) -> None:
    agent = await system.register()
    answer = await agent.get("config")
    assert list(answer.json()) == KEYS
    assert answer.json()["terminate_wait_minutes"] == 5
    assert answer.headers["X-Config-Version"] == "1"
    etag = answer.headers["ETag"]
    same = await agent.get("config", headers={"If-None-Match": etag})
    assert (same.status_code, same.content) == (304, b"")


async def test_the_next_heartbeat_shows_the_new_version(system: System) -> None:
    agent = await system.register()
    changed = await agent.change(risk_threshold=0.2)
    assert (changed.status_code, list(changed.json())) == (200, KEYS)
    assert (await agent.heartbeat()).json() == {
        "success": True,
        "commands_pending": False,
        "config_version": 2,
    }
    assert (await agent.get("config")).json()["risk_threshold"] == 0.2


async def test_a_change_of_nothing_keeps_the_version(system: System) -> None:
    agent = await system.register()
    assert (await agent.change(risk_threshold=0.3)).json()["config_version"] == 1
    assert (await agent.change()).json()["config_version"] == 1
    assert len(await system.messages(AGENT_EVENTS, agent.id)) == 1


async def test_a_stale_if_match_is_refused(system: System) -> None:
    agent = await system.register()
    etag = (await agent.get("config")).headers["ETag"]
    await agent.change(risk_threshold=0.2)
    path = f"{agent.path}/config"
    stale = await system.http.patch(path, json={"enabled": False}, headers={"If-Match": etag})
    assert (stale.status_code, stale.json()["code"]) == (412, "VERSION_MISMATCH")
    fresh = (await agent.get("config")).headers["ETag"]
    good = await system.http.patch(path, json={"enabled": False}, headers={"If-Match": fresh})
    assert (good.status_code, good.json()["config_version"]) == (200, 3)


async def test_two_names_of_one_flag_must_agree(system: System) -> None:
    agent = await system.register()
    await agent.change(auto_switch_enabled=False)
    bad = await agent.change(replica_enabled=True, manual_replica_enabled=False)
    assert bad.status_code == 400
    good = await agent.change(replica_enabled=True)
    assert good.json()["manual_replica_enabled"] is True
    assert (await agent.get("replica-config")).json()["manual_replica_enabled"] is True


async def test_seconds_and_minutes_must_agree(system: System) -> None:
    agent = await system.register()
    bad = await agent.change(terminate_wait_seconds=60, terminate_wait_minutes=5)
    assert bad.status_code == 400
    assert (await agent.change(terminate_wait_seconds=61)).json()["terminate_wait_minutes"] == 2
    assert (await agent.change(terminate_wait_minutes=7)).json()["terminate_wait_minutes"] == 7


async def test_auto_switch_and_manual_replicas_exclude_each_other(system: System) -> None:
    agent = await system.register()
    both = await agent.change(manual_replica_enabled=True)
    assert (both.status_code, both.json()["code"]) == (400, "INVALID_CONFIGURATION")
    assert sorted(both.json()) == ["code", "error"]


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", None),
        ("enabled", "true"),
        ("enabled", 1),
        ("risk_threshold", 1.01),
        ("risk_threshold", -0.1),
        ("min_savings_percent", 101),
        ("min_sync_percentage", -1),
        ("max_switches_per_week", -1),
        ("max_switches_per_week", 1.5),
        ("terminate_wait_seconds", 86_401),
        ("replica_count", "2"),
        ("preferred_replica_pools", "pool"),
        ("preferred_replica_pools", [""]),
    ],
)
async def test_a_bad_setting_is_named_and_nothing_changes(
    system: System, field: str, value: Any
) -> None:
    agent = await system.register()
    answer = await agent.change(**{field: value})
    assert answer.status_code == 400
    assert field in next(iter(answer.json()["details"]))
    assert (await agent.get("config")).json()["config_version"] == 1


async def test_agent_id_and_version_in_a_change_are_ignored(system: System) -> None:
    agent = await system.register()
    answer = await agent.change(config_version=77, agent_id="x", risk_threshold=0.4)
    assert (answer.json()["config_version"], answer.json()["agent_id"]) == (2, agent.id)


async def test_the_history_lists_versions_and_rollback_restores_one(system: System) -> None:
    agent = await system.register()
    await agent.change(risk_threshold=0.4)
    await agent.change(risk_threshold=0.5)
    page = (await agent.get("config/history", params={"limit": 2})).json()
    assert [item["config_version"] for item in page["items"]] == [3, 2]
    rest = await agent.get("config/history", params={"limit": 2, "cursor": page["next_cursor"]})
    assert [item["config_version"] for item in rest.json()["items"]] == [1]
    assert rest.json()["next_cursor"] is None
    outdated = {"If-Match": '"2"'}
    late = await agent.post("config/rollback", {"config_version": 1}, headers=outdated)
    assert (late.status_code, late.json()["code"]) == (412, "VERSION_MISMATCH")
    rolled = await agent.post("config/rollback", {"config_version": 1})
    assert (rolled.status_code, rolled.json()["config_version"]) == (200, 4)
    assert rolled.json()["risk_threshold"] == 0.3
    assert (await agent.post("config/rollback", {"config_version": 99})).status_code == 404


async def test_the_replica_config_has_its_five_keys(system: System) -> None:
    agent = await system.register()
    assert (await agent.get("replica-config")).json() == {
        "manual_replica_enabled": False,
        "auto_create_replica": True,
        "preferred_replica_pools": [],
        "replica_sync_required": True,
        "min_sync_percentage": 95,
    }
