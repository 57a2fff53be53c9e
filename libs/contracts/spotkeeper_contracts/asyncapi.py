"""The AsyncAPI 3 document of the bus: topics, messages, who sends and who receives them."""

import json
from collections.abc import Collection, Iterator
from importlib.metadata import version
from typing import Any

from spotkeeper_contracts.message import Refusal
from spotkeeper_contracts.records import RecordType
from spotkeeper_contracts.topics import (
    BROUGHT_ALONG,
    GATEWAY_REPLIES,
    PARTITIONS,
    TOPICS,
    Kind,
    Topic,
)

Part = dict[str, Any]

BINDING = "0.5.0"
"""The version of AsyncAPI's Kafka binding."""

ABOUT = """\
Spotkeeper's bus: Kafka topics that the gateway and the services write, and that downstream systems
read. Each message is a CloudEvent in Kafka's binary mode: attributes in `ce_` headers, JSON in the
value. A record may reach a reader twice, with the same `ce_id`. Readers ignore fields that they do
not know; within a version, fields are only added.

Topics that do not name `downstream` among their readers are for Spotkeeper's own services."""


def document(records: dict[str, RecordType]) -> Part:
    """The whole document, as JSON holds it."""
    return {
        "asyncapi": "3.0.0",
        "info": {
            "title": "Spotkeeper",
            "version": version("spotkeeper-contracts"),
            "description": ABOUT,
            "license": {
                "name": "Apache-2.0",
                "url": "https://www.apache.org/licenses/LICENSE-2.0",
            },
        },
        "defaultContentType": "application/json",
        "servers": SERVERS,
        "channels": {topic.name: _channel(topic, records.values()) for topic in TOPICS.values()},
        "operations": {
            name: operation
            for topic in TOPICS.values()
            for name, operation in _operations(topic, records.values())
        },
        "components": {
            "messages": {record.type: _message(record) for record in records.values()},
            "schemas": {"Headers": HEADERS, **_definitions(records.values())},
            "correlationIds": {"request": CORRELATION},
        },
    }


SERVERS: Part = {
    "local": {
        "host": "127.0.0.1:29092",
        "protocol": "kafka",
        "description": "The broker of `make up` and of docker compose.",
    },
    "cluster": {
        "host": "{bootstrap}",
        "protocol": "kafka",
        "description": "A cluster's own broker.",
        "variables": {
            "bootstrap": {
                "default": "kafka:9092",
                "description": "The bootstrap address, SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS.",
            }
        },
    },
}

CORRELATION: Part = {
    "location": "$message.header#/ce_requestid",
    "description": "The id of the request that began the chain; a reply carries it back.",
}


def _header(about: str, **schema: object) -> Part:
    return {"type": "string", **schema, "description": about}


HEADERS: Part = {
    "type": "object",
    "description": "CloudEvents 1.0 in Kafka's binary mode; each value is UTF-8 text.",
    "required": ["ce_specversion", "ce_id", "ce_source", "ce_type", "ce_time", "content-type"],
    "properties": {
        "ce_specversion": _header("The version of CloudEvents.", const="1.0"),
        "ce_id": _header("Unique; a record that comes twice has the same.", format="uuid"),
        "ce_source": _header("Who wrote it: `/spotkeeper/{service}`.", format="uri-reference"),
        "ce_type": _header("The type with its version, such as `AgentRegistered.v1`."),
        "ce_time": _header("When it was written.", format="date-time"),
        "content-type": _header("How the value is written.", const="application/json"),
        "ce_actor": _header(
            "Who caused it: `agent:{token}`, `operator:{token}`, `admin` or `system:{service}`."
        ),
        "ce_clientid": _header("The client it concerns, or `admin`."),
        "ce_requestid": _header("The request that began the chain.", format="uuid"),
        "ce_replyto": _header("The partition of `gateway-replies` that an answer goes to."),
        "ce_askid": _header("Which of several repeats asks; an answer carries it back."),
        "ce_refusal": _header("The answer to keep instead of handling it, unless it is a repeat."),
        "traceparent": _header("The trace it belongs to, as W3C Trace Context."),
    },
}


def _channel(topic: Topic, records: Collection[RecordType]) -> Part:
    return {
        "address": topic.name,
        "title": topic.name,
        "description": topic.about,
        "messages": {
            record.type: {"$ref": f"#/components/messages/{record.type}"}
            for record in records
            if _passes(record, topic)
        },
        "bindings": {
            "kafka": {
                "topic": topic.name,
                "partitions": PARTITIONS,
                "topicConfiguration": _configuration(topic),
                "bindingVersion": BINDING,
            }
        },
        "x-kind": topic.kind.value,
        "x-key": topic.key,
        "x-written-by": sorted(topic.written_by),
        "x-read-by": sorted(topic.read_by),
    }


def _passes(record: RecordType, topic: Topic) -> bool:
    """Whether such records are on the topic: its own, and states that go ahead of answers."""
    if topic is GATEWAY_REPLIES and record.topic.name in BROUGHT_ALONG:
        return True
    return record.topic is topic


def _configuration(topic: Topic) -> Part:
    config = {
        name: json.loads(value) if value[0].isdigit() else value
        for name, value in topic.config.items()
    }
    return config | {"cleanup.policy": [topic.config["cleanup.policy"]]}


def _operations(topic: Topic, records: Collection[RecordType]) -> Iterator[tuple[str, Part]]:
    """Who sends and who receives; where requests are answered, one operation for each."""
    for name in sorted(topic.written_by):
        yield f"{name}.sends.{topic.name}", _operation("send", name, topic)
    for name in sorted(topic.read_by):
        if topic.kind is not Kind.REQUESTS:
            yield f"{name}.receives.{topic.name}", _operation("receive", name, topic)
            continue
        for record in records:
            if record.topic is topic:
                answering = _operation("receive", name, topic) | _answering(record)
                yield f"{name}.answers.{record.type}", answering


def _operation(action: str, name: str, topic: Topic) -> Part:
    return {
        "action": action,
        "channel": {"$ref": f"#/channels/{topic.name}"},
        "tags": [{"name": name}],
    }


def _answering(record: RecordType) -> Part:
    answering: Part = {
        "summary": _first_sentence(record.about),
        "messages": [_message_of(record.topic, record.type)],
    }
    if record.reply is not None:
        answering["reply"] = {
            "channel": {"$ref": f"#/channels/{GATEWAY_REPLIES.name}"},
            "messages": [_message_of(GATEWAY_REPLIES, it) for it in (record.reply, Refusal.type)],
        }
    return answering


def _message_of(topic: Topic, type: str) -> Part:
    return {"$ref": f"#/channels/{topic.name}/messages/{type}"}


def _message(record: RecordType) -> Part:
    return {
        "name": record.type,
        "title": record.type,
        "summary": _first_sentence(record.about),
        "description": record.about,
        "contentType": "application/json",
        "headers": {
            "allOf": [
                {"$ref": "#/components/schemas/Headers"},
                {"properties": {"ce_type": {"const": record.type}}},
            ]
        },
        "correlationId": {"$ref": "#/components/correlationIds/request"},
        "payload": {
            key: value
            for key, value in _moved(record.schema).items()
            if key not in ("$schema", "$id", "$defs")
        },
        "bindings": {
            "kafka": {
                "key": {"type": "string", "description": record.key},
                "bindingVersion": BINDING,
            }
        },
        "examples": [{"name": record.type, "payload": record.example}],
    }


def _first_sentence(text: str) -> str:
    return " ".join(text.split("\n\n")[0].split())


def _definitions(records: Collection[RecordType]) -> Part:
    """The values that messages share, once each."""
    found: Part = {}
    for record in records:
        for name, schema in _moved(record.schema).get("$defs", {}).items():
            assert found.setdefault(name, schema) == schema, f"two values have the name {name}"
    return dict(sorted(found.items()))


def _moved(schema: Any) -> Any:
    """The schema with its references leading to the document's components."""
    if isinstance(schema, list):
        return [_moved(item) for item in schema]
    if not isinstance(schema, dict):
        return schema
    return {
        key: value.replace("#/$defs/", "#/components/schemas/") if key == "$ref" else _moved(value)
        for key, value in schema.items()
    }
