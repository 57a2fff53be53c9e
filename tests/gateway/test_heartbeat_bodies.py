"""What the fast decoder takes, the framework's validation takes alike; the rest is left to it."""

import json
from datetime import timedelta
from typing import Any

import msgspec
import pytest
from hypothesis import given
from hypothesis import strategies as st

from gateway.bodies import parse_json
from gateway.heartbeats import Heartbeat, HeartbeatBody, decode

MOMENTS = st.builds(
    "2024-11-26{}10:00:00{}{}".format,
    st.sampled_from(["T", "t", " ", "_"]),
    st.sampled_from(["", ".", ".1", ",1"]) | st.integers(0, 10**40).map(".{}".format),
    st.sampled_from(["", "Z", "z", "+00:00", "-00:00", "+0000", "-0000", "-11:30", "+0530", "+05"]),
)
ZONES = st.sampled_from(["", "Z", "+00:00", "-11:30", "+0530"])
FIELDS: dict[str, st.SearchStrategy[Any]] = {
    "status": st.sampled_from(["online", "degraded", "stopping", "offline", "", 1]),
    "timestamp": st.one_of(
        st.builds(lambda at, zone: at.isoformat() + zone, st.datetimes(), ZONES),
        MOMENTS,
        st.sampled_from([
            "2024-11-26T10:00:00Z", "2024-13-26T10:00:00Z", "0001-01-01T00:00:00+05:00",
            "2024-11-26", "1732615200", "2024-11-26T10:00:00.123456789Z",
        ]),
    ),
    "current_mode": st.sampled_from(["spot", "ondemand", "on-demand", "on_demand", "Spot"]),
    "current_pool_id": st.text(max_size=3) | st.sampled_from(["t3.medium.us-east-1a", "x" * 129]),
    "spot_price": st.floats(allow_nan=True) | st.integers() | st.text(max_size=2),
    "ondemand_price": st.sampled_from([0, 0.0416, 1000, 1000.5, -1, "0.1", True]),
    "instance_id": st.sampled_from(["i-1", "i-", "i-1\n", "i-a_b", "I-1", "i-" + "a" * 61]),
    "agent_version": st.text(max_size=4) | st.sampled_from(["x" * 256, "4.0.0\n", "a\0b"]),
    "config_version": st.integers(-2, 2**32) | st.floats(0, 5) | st.booleans(),
    "unknown": st.recursive(st.none() | st.text(max_size=2), st.lists, max_leaves=4),
}  # fmt: skip
MICROSECOND = timedelta(microseconds=1)
"""Of more digits than it keeps, one rounds up and the other down."""

OBJECTS = st.fixed_dictionaries(
    {}, optional={name: st.none() | value for name, value in FIELDS.items()}
)


def told(heartbeat: Heartbeat) -> Any:
    """All fields; a mode by its one name, and of a time only whether there is one."""
    fields = msgspec.structs.asdict(heartbeat)
    if fields["current_mode"] in ("on-demand", "on_demand"):
        fields["current_mode"] = "ondemand"
    if fields["timestamp"] is not None:
        fields["timestamp"] = True
    return fields


def taken(body: bytes) -> bool:
    """Whether the fast decoder takes it; if so, the framework does, and reads the same."""
    try:
        heartbeat = decode(body)
    except msgspec.DecodeError:
        return False
    by_reference = HeartbeatBody.model_validate(parse_json(body)).heartbeat()
    assert told(heartbeat) == told(by_reference)
    if heartbeat.timestamp is not None and by_reference.timestamp is not None:
        assert abs(heartbeat.timestamp - by_reference.timestamp) <= MICROSECOND
    return True


@given(OBJECTS)
def test_both_read_any_object_alike(fields: dict[str, Any]) -> None:
    taken(json.dumps(fields).encode())


@given(MOMENTS)
def test_both_read_any_moment_alike(moment: str) -> None:
    taken(json.dumps({"status": "online", "timestamp": moment}).encode())


@given(st.binary(max_size=40) | st.text(max_size=40).map(str.encode))
def test_no_bytes_are_taken_by_chance(body: bytes) -> None:
    taken(body)


@given(OBJECTS, st.data())
def test_both_read_a_damaged_object_alike(fields: dict[str, Any], data: st.DataObject) -> None:
    body = bytearray(json.dumps({"status": "online", **fields}).encode())
    at = data.draw(st.integers(0, len(body) - 1))
    body[at] = data.draw(st.integers(0, 255))
    taken(bytes(body))


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "online"}',
        b'{"status": "online", "status": "error"}',
        b'{"status": "online", "timestamp": "2024-11-26T10:00:00.1234567890Z"}',
        b'{"status": "online", "timestamp": "2024-11-26T10:00:00+00:00"}',
        json.dumps({"status": "switching", "current_mode": "on-demand", "spot_price": 1}).encode(),
    ],
)
def test_what_agents_send_is_taken(body: bytes) -> None:
    assert taken(body)


@pytest.mark.parametrize(
    "body",
    [
        b'{"status": "online", "x": ' + b"[" * 16 + b"]" * 16 + b"}",
        b'{"status": "online", "x": "\xff"}',
        b'{"status": "online", "x": NaN}',
        b'{"status": "online", "x": "\\q"}',
        '{"status": "online", "agent_version": "ä"}'.encode(),
        b'{"status": "online", "agent_version": "\\ud800"}',
        b'{"status": "online", "timestamp": "2024-11-26T10:00:00+0530"}',
        b'{"status": "online", "timestamp": "2024-11-26T10:00:00-0000"}',
        b'{"status": "online", "timestamp": "2024-11-26T10:00:00+\\u0030000"}',
        b'{"status": "online", "timestamp": "0001-01-01T00:00:00+05:00"}',
        b'{"status": "online", "timestamp": "1969-12-31T23:59:59Z"}',
        b'{"status": "online", "timestamp": "9999-12-31T23:59:59.999999Z"}',
        b'{"status": "offline"}',
        b"[]",
        b"null",
        b"",
    ],
)
def test_what_may_be_wrong_is_left_to_the_framework(body: bytes) -> None:
    assert not taken(body)


def test_both_know_the_same_fields() -> None:
    assert set(HeartbeatBody.model_fields) == set(Heartbeat.__struct_fields__)
