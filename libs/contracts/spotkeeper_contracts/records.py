"""What a record of a topic may hold: each type with its JSON Schema and an example.

All of it follows from the declared messages; the beats, which are no `Message`, are added here.
"""

import inspect
import json
from dataclasses import dataclass
from typing import Any

import msgspec
from pydantic.json_schema import GenerateJsonSchema

from spotkeeper_contracts.examples import example, example_beat
from spotkeeper_contracts.message import MESSAGES, Message, Request
from spotkeeper_contracts.presence import HEARTBEATS_TYPE, Beat, encode_beats
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, Topic

DIALECT = "https://json-schema.org/draft/2020-12/schema"


@dataclass(frozen=True)
class RecordType:
    """One type on the wire; `key` says what orders its records, `reply` what answers it."""

    type: str
    topic: Topic
    about: str
    key: str
    schema: dict[str, Any]
    example: Any
    reply: str | None = None


def record_types() -> dict[str, RecordType]:
    """All types by name, those of one topic in the order of their declaration."""
    types = [_heartbeats(), *map(_of_message, MESSAGES.values())]
    return {record.type: record for record in types}


def _heartbeats() -> RecordType:
    return RecordType(
        HEARTBEATS_TYPE,
        AGENT_HEARTBEATS,
        "Heartbeats of agents whose ids share a partition; none at all is a tick.",
        "None: the writer chooses the partition by the agents' ids.",
        _whole(HEARTBEATS_TYPE, msgspec.json.schema(list[Beat])),
        json.loads(encode_beats([example_beat()])),
    )


def _of_message(message: type[Message]) -> RecordType:
    reply = getattr(message, "reply", None) if issubclass(message, Request) else None
    return RecordType(
        message.type,
        message.topic,
        inspect.getdoc(message) or "",
        _key(message),
        _whole(message.type, message.model_json_schema(schema_generator=_WithoutTitles)),
        json.loads(example(message).to_bytes()),
        reply and reply.type,
    )


def _key(message: type[Message]) -> str:
    if message.topic.key in message.model_fields and message.key is Message.key:
        return f"The `{message.topic.key}`."
    if message.key is Message.key:
        return f"The id of the {message.topic.key}."
    return inspect.getdoc(message.key) or ""


def _whole(type: str, schema: dict[str, Any]) -> dict[str, Any]:
    return {"$schema": DIALECT, "$id": f"urn:spotkeeper:{type}", "title": type, **schema}


class _WithoutTitles(GenerateJsonSchema):
    """A field's title would only repeat its name."""

    def field_title_should_be_set(self, schema: Any) -> bool:
        return False
