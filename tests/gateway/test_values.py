"""Conditions on versions, and names of one setting."""

from datetime import datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from pydantic import TypeAdapter, ValidationError

from chassis import clock
from gateway.errors import details_of
from gateway.headers import expected_version, matches
from gateway.routes.config import ConfigBody, ConfigPatch
from gateway.routes.registration import RegisteredConfig, RegistrationBody
from gateway.values import Moment
from spotkeeper_contracts import Refused
from spotkeeper_contracts.configs import AgentConfig, ConfigChange


@pytest.mark.parametrize("tag", ['"5"', "5", 'W/"5"', "*", '"4", "5"'])
def test_a_caller_that_has_the_version_is_told_so(tag: str) -> None:
    assert matches(tag, 5)
    assert expected_version(tag, 5) in (5, None)


@pytest.mark.parametrize("tag", ['"6"', '"x"', '"55"', '"05"', '"\xb5"'])
def test_a_caller_that_has_another_version_is_not(tag: str) -> None:
    assert not matches(tag, 5)
    assert expected_version(f'"4", {tag}', 5) == 4


def test_a_condition_on_a_version_that_cannot_be_is_refused() -> None:
    assert expected_version(None, 5) is None
    assert expected_version('"4"', 5) == 4
    for tag in ('"tag"', '"05"', '"\xb2"', '""', 'W/""', "W/", ",", ""):
        with pytest.raises(Refused) as refused:
            expected_version(tag, 5)
        assert refused.value.refusal.status == 412


MOMENT: TypeAdapter[datetime] = TypeAdapter(Moment)


@pytest.mark.parametrize(
    "text",
    [
        "1970-01-01T00:00:00Z",
        "2024-11-26T10:00:00+05:30",
        "2024-11-26T10:00:00.1234567890Z",
        "9999-12-31T23:59:59Z",
    ],
)
def test_a_moment_that_a_database_keeps_is_taken(text: str) -> None:
    assert MOMENT.validate_python(text) == datetime.fromisoformat(text)


@pytest.mark.parametrize(
    "text", ["2024-11-26T10:00:00+0530", "2024-11-26T10:00:00.Z", "2024-11-26T10:00:0\u0660Z"]
)
def test_what_is_not_written_as_in_rfc_3339_is_no_moment(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


@pytest.mark.parametrize(
    "text",
    ["0001-01-01T00:00:00Z", "1969-12-31T23:59:59Z", "9999-12-31T23:59:59.999999Z",
     "9999-12-31T23:59:59-01:00", "0001-01-01T00:00:00+01:00"],
)  # fmt: skip
def test_a_moment_that_a_database_takes_for_infinite_is_refused(text: str) -> None:
    with pytest.raises(ValidationError):
        MOMENT.validate_python(text)


@pytest.mark.parametrize(
    ("patch", "settings"),
    [
        ({}, {}),
        ({"enabled": False}, {"enabled": False}),
        ({"replica_enabled": True}, {"manual_replica_enabled": True}),
        (
            {"replica_enabled": True, "manual_replica_enabled": True},
            {"manual_replica_enabled": True},
        ),
        ({"terminate_wait_minutes": 10}, {"terminate_wait_seconds": 600}),
        ({"terminate_wait_minutes": 6}, {"terminate_wait_seconds": 301}),  # As it was shown.
        (
            {"terminate_wait_minutes": 2, "terminate_wait_seconds": 90},
            {"terminate_wait_seconds": 90},
        ),
        ({"agent_id": "x", "config_version": 9, "unknown": None}, {}),
        ({"min_savings_percent": 20}, {"min_savings_percent": 20.0}),
    ],
)
def test_settings_are_known_by_all_their_names(
    patch: dict[str, object], settings: dict[str, object]
) -> None:
    current = AgentConfig(terminate_wait_seconds=301)
    assert ConfigPatch.model_validate(patch).by_their_own_names(current) == settings


@pytest.mark.parametrize(
    "patch",
    [
        {"replica_enabled": True, "manual_replica_enabled": False},
        {"terminate_wait_minutes": 5, "terminate_wait_seconds": 301},
    ],
)
def test_two_names_of_one_setting_must_agree(patch: dict[str, object]) -> None:
    with pytest.raises(Refused) as refused:
        ConfigPatch.model_validate(patch).by_their_own_names(AgentConfig())
    assert refused.value.refusal.status == 400


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("enabled", "true"),
        ("enabled", 1),
        ("enabled", None),
        ("replica_count", 5.5),
        ("replica_count", "5"),
        ("replica_count", True),
        ("replica_count", -1),
        ("min_savings_percent", True),
        ("min_savings_percent", 100.5),
        ("risk_threshold", 1.1),
        ("risk_threshold", float("inf")),
        ("terminate_wait_seconds", 86_401),
        ("terminate_wait_minutes", 1_441),
        ("preferred_replica_pools", "pool"),
        ("preferred_replica_pools", [1]),
        ("preferred_replica_pools", ["p"] * 51),
    ],
)
def test_a_setting_of_the_wrong_kind_is_refused(field: str, value: object) -> None:
    with pytest.raises(ValidationError) as invalid:
        ConfigPatch.model_validate({field: value})
    assert all(error["loc"][0] == field for error in invalid.value.errors())


def test_every_setting_can_be_changed() -> None:
    assert set(ConfigChange.model_fields) <= set(ConfigPatch.model_fields)
    assert set(ConfigChange.model_fields) == set(AgentConfig.model_fields) - {"config_version"}


@given(st.integers(0, 86_400))
def test_minutes_are_seconds_rounded_up(seconds: int) -> None:
    config = AgentConfig(terminate_wait_seconds=seconds)
    minutes = ConfigBody.of(clock.new_id(), config).terminate_wait_minutes
    assert (minutes - 1) * 60 < seconds <= minutes * 60


def test_the_config_has_the_documented_keys_in_their_order() -> None:
    assert list(ConfigBody.model_fields) == [
        "agent_id", "enabled", "auto_switch_enabled", "manual_replica_enabled",
        "auto_terminate_enabled", "terminate_wait_minutes", "emergency_rebalance_only",
        "decision_engine_active", "config_version", "min_savings_percent", "risk_threshold",
        "max_switches_per_week", "min_pool_duration_hours",
    ]  # fmt: skip
    assert list(RegisteredConfig.model_fields) == [
        "enabled", "auto_switch_enabled", "auto_terminate_enabled", "terminate_wait_seconds",
        "replica_enabled", "replica_count", "min_savings_percent", "risk_threshold",
        "max_switches_per_week", "min_pool_duration_hours",
    ]  # fmt: skip


def test_a_zone_lies_in_its_region() -> None:
    given = {
        "logical_agent_id": "a", "instance_id": "i-1", "instance_type": "t3.medium",
        "region": "us-east-1", "mode": "on-demand",
    }  # fmt: skip
    for az in ("us-east-1a", "us-east-1-bos-1a"):
        assert RegistrationBody.model_validate({**given, "az": az}).mode == "ondemand"
    for az in ("us-west-2a", "us-east-1", "us-east-", "us-east-11a"):
        with pytest.raises(ValidationError) as invalid:
            RegistrationBody.model_validate({**given, "az": az})
        assert [error["loc"] for error in invalid.value.errors()] == [("az",)]


def test_errors_are_told_by_field_without_the_input() -> None:
    errors: list[dict[str, Any]] = [
        {"loc": ("body", "pools", 0), "type": "string_type", "msg": "Should be text", "input": 1},
        {"loc": ("body", "az"), "type": "missing", "msg": "Field required", "input": {}},
        {"loc": ("body",), "type": "missing", "msg": "Field required", "input": None},
    ]
    assert details_of(errors) == {
        "pools.0": ["Should be text"],
        "az": ["Missing required field"],
        "body": ["Missing required field"],
    }
