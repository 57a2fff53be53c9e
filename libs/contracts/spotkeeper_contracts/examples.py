"""Examples of every message and value, for documents and tests: `example(AgentRegistered)`.

An example follows from the class: a field takes its value from the tables below, by its name. A
field with a default keeps it, unless that default is null and a table knows better; what a request
may leave unsaid stays unsaid.
"""

from hashlib import sha256
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec
from pydantic.fields import FieldInfo

from spotkeeper_contracts.agents import AgentPromoted
from spotkeeper_contracts.clients import ClientDetail, TokenState
from spotkeeper_contracts.configs import AgentConfigChanged
from spotkeeper_contracts.ids import agent_id
from spotkeeper_contracts.message import Refusal, Reply, Request, Value
from spotkeeper_contracts.presence import AgentWentOffline, Beat

V = TypeVar("V", bound=Value)

CLIENT_ID = "6d1f0c52-3b0e-4c1a-9f57-2f6f4d1c8a10"
TOKEN_ID = "01936820-1c00-7a3e-8b1d-5c0f6e2a9d41"
TOKEN_HASH = sha256(b"client-token").hexdigest()
AGENT_ID = str(agent_id(UUID(CLIENT_ID), "agent-hostname-123"))

BY_NAME: dict[str, object] = {
    "actor": f"operator:{TOKEN_ID}",
    "agent_id": AGENT_ID,
    "agent_ids": [AGENT_ID],
    "agent_version": "4.0.0",
    "ami_id": "ami-123456",
    "as_of": "2024-11-26T10:00:01Z",
    "at": "2024-11-26T10:00:00Z",
    "az": "us-east-1a",
    "changed_by": f"operator:{TOKEN_ID}",
    "client_id": CLIENT_ID,
    "config_version": 1,
    "created_at": "2024-11-20T08:00:00Z",
    "current_mode": "spot",
    "current_pool_id": "t3.medium.us-east-1a",
    "deliverable": 2,
    "email": "operations@example.com",
    "enabled": True,
    "epoch": 1,
    "event_id": "01936822-4b80-7c5d-9e02-1d7a4f8c3b66",
    "event_type": "agent_registered",
    "highest_priority": 100,
    "hostname": "ip-10-0-1-100",
    "instance_id": "i-1234567890abcdef0",
    "instance_status": "zombie",
    "instance_type": "t3.medium",
    "label": "fleet in us-east-1",
    "last_heartbeat_at": "2024-11-26T10:00:00Z",
    "logical_agent_id": "agent-hostname-123",
    "message": "Agent agent-hostname-123 was registered",
    "mode": "spot",
    "name": "Example Corp",
    "next_cursor": "MTczMjYxNTIwMC4w",
    "ondemand_price": 0.0416,
    "online": True,
    "outcome": "registered",
    "previous_instance_id": "i-0fedcba0987654321",
    "previous_instance_status": "zombie",
    "private_ip": "10.0.1.100",
    "public_ip": "54.123.45.67",
    "reason": "the host is being replaced",
    "region": "us-east-1",
    "registered_at": "2024-11-20T08:00:00Z",
    "revision": 7,
    "role": "viewer",
    "roles": ["agent", "operator"],
    "settings": {"min_savings_percent": 20.0, "risk_threshold": 0.2},
    "severity": "info",
    "silent_seconds": 120.4,
    "spot_price": 0.0104,
    "status": "online",
    "timestamp": "2024-11-26T10:00:00Z",
    "token_hash": TOKEN_HASH,
    "token_id": TOKEN_ID,
}
"""Examples of fields that mean the same wherever they occur."""

BY_CLASS: dict[type, dict[str, object]] = {
    AgentConfigChanged: {"config": {"config_version": 2, "min_savings_percent": 20.0}},
    AgentPromoted: {"epoch": 2},
    AgentWentOffline: {"at": "2024-11-26T10:02:00.4Z"},
    ClientDetail: {"id": CLIENT_ID},
    Refusal: {
        "code": "AUTO_SWITCH_DISABLED",
        "error": "Auto-switching is disabled for this agent",
        "status": 403,
    },
    Reply: {"revision": None},
    TokenState: {"id": TOKEN_ID, "hash": TOKEN_HASH},
}
"""Examples of fields that mean something of their own in a class and those that derive from it."""


def example(cls: type[V], **overrides: Any) -> V:
    """A valid instance with the given fields; a nested value may be given by some of its fields."""
    unknown = overrides.keys() - cls.model_fields.keys()
    assert not unknown, f"{cls.__name__} has no {', '.join(sorted(unknown))}"
    known = _known(cls)
    values = {}
    for name, field in cls.model_fields.items():
        if name in overrides:
            values[name] = _completed(field.annotation, overrides[name])
        elif field.is_required() or (name in known and _may_be_told(cls, field)):
            values[name] = known[name] if name in known else _made(field.annotation, name)
    return cls.model_validate(values)


def example_beat(**overrides: Any) -> Beat:
    """A heartbeat with the given fields."""
    values = {name: BY_NAME[name] for name in Beat.__struct_fields__}
    return msgspec.convert({**values, **overrides}, Beat)


def _known(cls: type[Value]) -> dict[str, object]:
    known = dict(BY_NAME)
    for ancestor in reversed(cls.__mro__):
        known |= BY_CLASS.get(ancestor, {})
    return known


def _may_be_told(cls: type[Value], field: FieldInfo) -> bool:
    return field.default is None and not issubclass(cls, Request)


def _made(annotation: Any, name: str) -> object:
    """An example of the values that an annotation names."""
    cls = _value_class(annotation)
    assert cls, f"{name} has no example; add one to {__name__}"
    return [example(cls)] if get_origin(annotation) is list else example(cls)


def _completed(annotation: Any, given: Any) -> Any:
    """What is given, made whole where it is some fields of a value, or a list of such."""
    if isinstance(given, list):
        return [_completed(annotation, item) for item in given]
    cls = _value_class(annotation)
    return example(cls, **given) if cls and isinstance(given, dict) else given


def _value_class(annotation: Any) -> type[Value] | None:
    """The class of values that an annotation names: alone, optional or in a list."""
    if isinstance(annotation, type) and issubclass(annotation, Value):
        return annotation
    return next(filter(None, map(_value_class, get_args(annotation))), None)
