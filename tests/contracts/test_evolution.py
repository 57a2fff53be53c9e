"""Which changes of a published message are additions, and which break it."""

from copy import deepcopy
from typing import Any

import pytest

from spotkeeper_contracts.evolution import breaking_changes

Schema = dict[str, Any]

PUBLISHED: Schema = {
    "title": "AgentRenamed.v1",
    "description": "An agent has another name.",
    "type": "object",
    "properties": {
        "agent_id": {"type": "string", "format": "uuid"},
        "name": {"type": "string", "maxLength": 255},
        "reason": {"anyOf": [{"type": "string"}, {"type": "null"}], "default": None},
        "status": {"$ref": "#/$defs/Status"},
        "tags": {"type": "array", "items": {"$ref": "#/$defs/Tag"}},
        "settings": {"type": "object", "additionalProperties": {"type": "number"}},
    },
    "required": ["agent_id", "name", "status", "tags", "settings"],
    "$defs": {
        "Status": {"type": "string", "enum": ["online", "offline"]},
        "Tag": {
            "type": "object",
            "properties": {"key": {"type": "string"}},
            "required": ["key"],
        },
    },
}


def changed(*path: str, to: object) -> Schema:
    """The published schema with something put at a path, or taken away by None."""
    schema = deepcopy(PUBLISHED)
    *folders, last = path
    inner = schema
    for folder in folders:
        inner = inner[folder]
    if to is None:
        del inner[last]
    else:
        inner[last] = to
    return schema


OPTIONAL = {"type": "string", "default": ""}
ADDITIONS = {
    "nothing": PUBLISHED,
    "a field with a default": changed("properties", "label", to=OPTIONAL),
    "a field of a value": changed("$defs", "Tag", "properties", "value", to=OPTIONAL),
    "another description": changed("description", to="Someone named an agent anew."),
    "a value in place": changed("properties", "status", to=PUBLISHED["$defs"]["Status"]),
}

BREAKING = [
    (changed("properties", "reason", to=None), "message.reason: removed"),
    (
        changed("required", to=["agent_id", "status", "tags", "settings"]),
        "message.name: became optional",
    ),
    (changed("required", to=list(PUBLISHED["properties"])), "message.reason: became required"),
    (changed("properties", "name", "type", to="integer"), "message.name: type was string"),
    (changed("properties", "name", "maxLength", to=100), "message.name: maxLength was 255, is 100"),
    (changed("properties", "name", "maxLength", to=300), "message.name: maxLength was 255, is 300"),
    (changed("properties", "name", "pattern", to="^a"), "message.name: pattern was None, is ^a"),
    (changed("properties", "agent_id", "format", to=None), "message.agent_id: format was uuid"),
    (changed("properties", "reason", "default", to="none"), "message.reason: default was None"),
    (changed("properties", "reason", "anyOf", to=[{"type": "null"}]), "message.reason: anyOf was"),
    (
        changed("properties", "reason", "anyOf", to=[{"type": "integer"}, {"type": "null"}]),
        "message.reason: type was string, is integer",
    ),
    (changed("$defs", "Status", "enum", to=["online"]), "message.status: enum was"),
    (changed("$defs", "Status", "enum", to=["online", "offline", "lost"]), "message.status: enum"),
    (
        changed("$defs", "Tag", "properties", "key", "type", to="integer"),
        "message.tags[].key: type was string, is integer",
    ),
    (
        changed("properties", "settings", "additionalProperties", "type", to="string"),
        "message.settings[]: type was number, is string",
    ),
    (changed("properties", "settings", "additionalProperties", to=False), "message.settings: "),
]


@pytest.mark.parametrize("addition", ADDITIONS.values(), ids=ADDITIONS.keys())
def test_an_addition_breaks_nothing(addition: Schema) -> None:
    assert breaking_changes(PUBLISHED, addition) == []


@pytest.mark.parametrize(("new", "told"), BREAKING, ids=[told for _, told in BREAKING])
def test_anything_else_is_told(new: Schema, told: str) -> None:
    (change,) = breaking_changes(PUBLISHED, new)
    assert change.startswith(told)


def test_a_new_field_needs_a_default() -> None:
    new = changed("properties", "label", to={"type": "string"})
    new["required"].append("label")
    assert breaking_changes(PUBLISHED, new) == ["message.label: added without a default"]
