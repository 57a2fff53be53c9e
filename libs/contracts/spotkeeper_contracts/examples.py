"""Examples of every message and value, for documents and tests: `example(AgentRegistered)`.

An example follows from the class: a field takes its value from the tables below, by its name, and
an enum its first member. A field with a default keeps it, unless that default is null and there is
an example; but what a request may leave unsaid stays unsaid.
"""

from enum import Enum
from hashlib import sha256
from typing import Any, TypeVar, get_args, get_origin
from uuid import UUID

import msgspec
from pydantic.fields import FieldInfo

from spotkeeper_contracts.agents import (
    AgentPromoted,
    AgentRegistration,
    AgentShutDown,
    RegistrationRejected,
    SystemEvent,
)
from spotkeeper_contracts.clients import ClientDetail, TokenState
from spotkeeper_contracts.commands import CommandFinished
from spotkeeper_contracts.configs import AgentConfigChanged
from spotkeeper_contracts.decisions import (
    DecisionAnswer,
    DecisionDetail,
    DecisionMade,
    GateVerdict,
    RatedChoice,
    RecommendationAnswer,
)
from spotkeeper_contracts.ids import agent_id, derived_id
from spotkeeper_contracts.message import Refusal, Reply, Request, Value
from spotkeeper_contracts.models import ModelDetail, ModelRecord
from spotkeeper_contracts.pools import EngineState
from spotkeeper_contracts.presence import AgentWentOffline, Beat

V = TypeVar("V", bound=Value)
NOTHING = object()

CLIENT_ID = "6d1f0c52-3b0e-4c1a-9f57-2f6f4d1c8a10"
TOKEN_ID = "01936820-1c00-7a3e-8b1d-5c0f6e2a9d41"
TOKEN_HASH = sha256(b"client-token").hexdigest()
AGENT_ID = str(agent_id(UUID(CLIENT_ID), "agent-hostname-123"))

SWITCH: dict[str, object] = {
    "recommendation": "switch",
    "reason": "t3.medium.us-east-1b at 0.0098 USD per hour saves 0.0144 USD a day",
    "outcome": None,
}

BY_CLASS: dict[type[Value], dict[str, object]] = {
    AgentConfigChanged: {"config": {"config_version": 2, "min_savings_percent": 20.0}},
    AgentPromoted: {"epoch": 2, "previous_instance_status": "zombie"},
    AgentRegistration: {"outcome": "registered"},
    AgentShutDown: {"reason": "the host is being replaced"},
    AgentWentOffline: {"at": "2024-11-26T10:02:00.4Z"},
    ClientDetail: {"id": CLIENT_ID},
    CommandFinished: {"status": "succeeded"},
    DecisionAnswer: SWITCH,
    DecisionDetail: SWITCH,
    DecisionMade: SWITCH,
    EngineState: {"instance": "decision-0"},
    GateVerdict: {"name": "risk_threshold", "value": 0.12, "limit": 0.3},
    ModelDetail: {"version": "1.0.0"},
    ModelRecord: {"decisions": 145},
    RatedChoice: {"features": {"log_rate": -9.3, "w": 0.0}},
    RecommendationAnswer: SWITCH,
    Refusal: {
        "code": "AUTO_SWITCH_DISABLED",
        "error": "Auto-switching is disabled for this agent",
        "status": 403,
    },
    RegistrationRejected: {"instance_status": "zombie"},
    Reply: {"revision": None},
    SystemEvent: {"message": "Agent agent-hostname-123 was registered"},
    TokenState: {"id": TOKEN_ID, "hash": TOKEN_HASH, "expires_at": None},
}
"""Examples of fields that mean something of their own in a class and those that derive from it."""

BY_NAME: dict[str, object] = {
    "action_taken": "replica_created",
    "actor": f"operator:{TOKEN_ID}",
    "age_hours": 168.0,
    "agent_id": AGENT_ID,
    "agent_ids": [AGENT_ID],
    "agent_version": "4.0.0",
    "allowed": True,
    "ami_id": "ami-123456",
    "as_of": "2024-11-26T10:00:01Z",
    "at": "2024-11-26T10:00:00Z",
    "automatic": 35,
    "available_pools": [{"pool_id": "t3.medium.us-east-1b", "price": 0.0098}],
    "avg_downtime_seconds": 12.0,
    "az": "us-east-1a",
    "body_sha256": TOKEN_HASH,
    "brier_score": 0.02,
    "card": {"name": "risk", "version": "1.0.0", "sha256": TOKEN_HASH},
    "changed_by": f"operator:{TOKEN_ID}",
    "client_id": CLIENT_ID,
    "commands_pending": False,
    "completed_at": "2024-11-26T10:03:12Z",
    "confidence": 0.87,
    "config_version": 1,
    "cost_usd": 0.72,
    "created_at": "2024-11-26T10:00:00Z",
    "current_mode": "spot",
    "current_pool": "t3.medium.us-east-1a",
    "current_pool_id": "t3.medium.us-east-1a",
    "current_price": 0.0104,
    "deliverable": 2,
    "downtime_seconds": 12.0,
    "duration_seconds": 42.5,
    "email": "operations@example.com",
    "emergency_mode_active": False,
    "emergency_replicas_count": 0,
    "enabled": True,
    "epoch": 1,
    "error": None,
    "event_type": "agent_registered",
    "expected_instance_id": "i-1234567890abcdef0",
    "expected_interruptions": 1.4,
    "expected_pool": "t3.medium.us-east-1a",
    "expected_savings_per_day": 0.0144,
    "expires_at": "2024-11-26T10:15:00Z",
    "former_instance_id": "i-1234567890abcdef0",
    "healthy": True,
    "highest_priority": 100,
    "hostname": "ip-10-0-1-100",
    "initiated_at": "2024-11-26T10:01:00Z",
    "instance_id": "i-1234567890abcdef0",
    "instance_launched_at": "2024-11-26T10:01:40Z",
    "instance_ready_at": "2024-11-26T10:03:00Z",
    "instance_type": "t3.medium",
    "interrupted_switches": 0,
    "interruptions": 1,
    "is_settled": False,
    "label": "fleet in us-east-1",
    "last_decision_at": "2024-11-26T10:00:00Z",
    "last_heartbeat_at": "2024-11-26T10:00:00Z",
    "logical_agent_id": "agent-hostname-123",
    "manual": 3,
    "max_price": 0.0416,
    "message": None,
    "metered_hours": 24.0,
    "model_loaded": True,
    "model_version": "1.0.0",
    "name": "Example Corp",
    "new_instance": {
        "instance_id": "i-0fedcba0987654321",
        "az": "us-east-1b",
        "pool_id": "t3.medium.us-east-1b",
    },
    "new_spot": 0.0098,
    "next_cursor": "MTczMjYxNTIwMC4w",
    "not_after": "2024-11-26T10:15:00Z",
    "old_spot": 0.0104,
    "old_terminated_at": None,
    "on_demand": 0.0416,
    "on_demand_price": 0.0416,
    "ondemand_price": 0.0416,
    "ondemand_usd_per_hour": 0.0416,
    "online": True,
    "onnx": "CAdCAA==",
    "outcome": "success",
    "passed": True,
    "pool_id": "t3.medium.us-east-1a",
    "previous_instance_id": "i-0fedcba0987654321",
    "price": 0.0098,
    "price_usd_per_hour": 0.0104,
    "priority": 75,
    "private_ip": "10.0.1.100",
    "promised_savings_per_hour": 0.0006,
    "public_ip": "54.123.45.67",
    "published_by": "admin",
    "rated_hours": 120,
    "realised_savings": 0.0144,
    "realised_savings_per_hour": 0.0006,
    "reason": "cost_optimization",
    "records_inserted": 2,
    "region": "us-east-1",
    "registered_at": "2024-11-20T08:00:00Z",
    "revision": 7,
    "risk_1h": 0.12,
    "risk_adjusted_savings_per_day": 0.012,
    "risk_score": 0.12,
    "savings_against_ondemand_per_day": 0.76,
    "savings_impact": 0.0006,
    "settings": {"min_savings_percent": 20.0, "risk_threshold": 0.2},
    "severity": "info",
    "sha256": TOKEN_HASH,
    "silent_seconds": 120.4,
    "size_bytes": 1300,
    "spot_price": 0.0104,
    "status": "online",
    "switches": 38,
    "switches_executed": 38,
    "sync_percentage": 97.5,
    "target_pool": "t3.medium.us-east-1b",
    "terminate_after": "2024-11-26T12:00:00Z",
    "terminate_wait_seconds": 300,
    "termination_notices_24h": 0,
    "termination_time": "2024-11-26T10:02:00Z",
    "timestamp": "2024-11-26T10:00:00Z",
    "token_hash": TOKEN_HASH,
    "token_id": TOKEN_ID,
    "total": 1,
    "total_savings_generated": 45.6,
    "updated_at": "2024-11-26T10:00:00Z",
    "unless_mode": "spot",
    "unless_pool": "t3.medium.us-east-1b",
    "uptime_hours": 24.0,
    "was_primary": False,
    "will_auto_execute": True,
}
"""Examples of fields that mean the same wherever they occur."""


def example(cls: type[V], **overrides: Any) -> V:
    """A valid instance with the given fields; a nested value may be given by some of its fields."""
    unknown = overrides.keys() - cls.model_fields.keys()
    assert not unknown, f"{cls.__name__} has no {', '.join(sorted(unknown))}"
    told = {
        name: _example_of(cls, name, field)
        for name, field in cls.model_fields.items()
        if name not in overrides and (field.is_required() or _may_be_told(cls, field))
    }
    values = {
        name: _completed(cls.model_fields[name].annotation, value)
        for name, value in {**told, **overrides}.items()
        if value is not NOTHING
    }
    return cls.model_validate(values)


def example_beat(**overrides: Any) -> Beat:
    """A heartbeat with the given fields."""
    values = {name: BY_NAME[name] for name in Beat.__struct_fields__}
    return msgspec.convert({**values, **overrides}, Beat)


def _may_be_told(cls: type[Value], field: FieldInfo) -> bool:
    return field.default is None and not issubclass(cls, Request)


def _example_of(cls: type[Value], name: str, field: FieldInfo) -> Any:
    for ancestor in cls.__mro__:
        if name in BY_CLASS.get(ancestor, {}):
            return BY_CLASS[ancestor][name]
    kind = _kind(field.annotation)
    if name in BY_NAME and not issubclass(kind, Enum):
        return BY_NAME[name]
    made = _made(kind, name)
    if field.is_required():
        assert made is not NOTHING, f"{cls.__name__}.{name} has no example; give it one here"
    return [made] if get_origin(field.annotation) in (list, tuple) else made


def _made(kind: type, name: str) -> Any:
    if issubclass(kind, Enum):
        return next(iter(kind))
    if issubclass(kind, UUID):
        return derived_id("example", name)
    return {} if issubclass(kind, Value) else NOTHING


def _completed(annotation: Any, given: Any) -> Any:
    """What is given, made whole where it is some fields of a value, or a list of such."""
    if isinstance(given, list):
        return [_completed(annotation, item) for item in given]
    kind = _kind(annotation)
    return example(kind, **given) if issubclass(kind, Value) and isinstance(given, dict) else given


def _kind(annotation: Any) -> type:
    """The class that an annotation names first: `X` of `X | None` and of `list[X]`."""
    arguments = get_args(annotation)
    if arguments and get_origin(annotation) is not dict:
        return _kind(arguments[0])
    kind = get_origin(annotation) or annotation
    assert isinstance(kind, type), f"{annotation} names no class"
    return kind
