"""The AsyncAPI document is whole and says what the topics and messages declare."""

import json
import re
from collections.abc import Iterator
from typing import Any

import jsonschema
import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from spotkeeper_contracts import MESSAGES, PARTITIONS, TOPICS, Kind, Request
from spotkeeper_contracts.asyncapi import document
from spotkeeper_contracts.generated import ASYNCAPI
from spotkeeper_contracts.records import record_types
from spotkeeper_contracts.topics import BROUGHT_ALONG, GATEWAY_REPLIES
from spotkeeper_contracts.yaml import to_yaml
from tests.sources import ROOT

DOCUMENT: dict[str, Any] = yaml.safe_load((ROOT / ASYNCAPI).read_text(encoding="utf-8"))
CHANNELS, OPERATIONS = DOCUMENT["channels"], DOCUMENT["operations"]
COMPONENTS = DOCUMENT["components"]


def followed(reference: str) -> Any:
    """What a reference leads to; fails if that is nowhere."""
    inner = DOCUMENT
    for part in reference.removeprefix("#/").split("/"):
        inner = inner[part]
    return inner


def references(value: object) -> Iterator[str]:
    if isinstance(value, dict):
        for key, inner in value.items():
            yield from [inner] if key == "$ref" else references(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from references(inner)


def test_the_text_holds_the_document() -> None:
    assert json.loads(json.dumps(document(record_types()))) == DOCUMENT


def test_every_reference_leads_somewhere() -> None:
    found = set(references(DOCUMENT))
    assert found
    assert all(followed(reference) is not None for reference in found)


def test_names_are_such_as_asyncapi_allows() -> None:
    names = [*CHANNELS, *OPERATIONS, *(name for part in COMPONENTS.values() for name in part)]
    assert [name for name in names if not re.fullmatch(r"[\w.-]+", name, re.ASCII)] == []


def test_every_topic_is_a_channel_with_its_messages() -> None:
    assert {name: channel["address"] for name, channel in CHANNELS.items()} == {
        name: name for name in TOPICS
    }
    carried = {
        name: channel["bindings"]["kafka"]["partitions"] for name, channel in CHANNELS.items()
    }
    assert set(carried.values()) == {PARTITIONS}
    for name, channel in CHANNELS.items():
        topics = {name, *(BROUGHT_ALONG if name == GATEWAY_REPLIES.name else ())}
        types = [type for type, message in MESSAGES.items() if message.topic.name in topics]
        assert set(channel["messages"]) - {"Heartbeats.v1"} == set(types)


def test_states_go_ahead_of_answers() -> None:
    brought = {"ClientState.v1", "AgentState.v1", "CommandQueue.v1"}
    assert brought <= set(CHANNELS["gateway-replies"]["messages"])


def test_everyone_who_writes_sends_and_everyone_who_reads_receives() -> None:
    done = {
        (operation["action"], tag["name"], followed(operation["channel"]["$ref"])["address"])
        for operation in OPERATIONS.values()
        for tag in operation["tags"]
    }
    declared = {("send", name, topic) for topic, t in TOPICS.items() for name in t.written_by}
    declared |= {
        ("receive", name, topic)
        for topic, t in TOPICS.items()
        for name in t.read_by
        if t.kind is not Kind.REQUESTS or CHANNELS[topic]["messages"]
    }
    assert done == declared


def test_a_request_is_answered_by_its_reply_or_a_refusal() -> None:
    for message in MESSAGES.values():
        if issubclass(message, Request):
            (owner,) = message.topic.read_by
            operation = OPERATIONS[f"{owner}.answers.{message.type}"]
            answers = [answer["$ref"].split("/")[-1] for answer in operation["reply"]["messages"]]
            assert answers == [message.reply.type, "Refusal.v1"]


@pytest.mark.parametrize("type", COMPONENTS["messages"])
def test_a_message_has_an_example_that_its_payload_allows(type: str) -> None:
    message = COMPONENTS["messages"][type]
    schema = {**message["payload"], "components": COMPONENTS}
    (shown,) = message["examples"]
    jsonschema.Draft7Validator(schema).validate(shown["payload"])
    assert message["headers"]["allOf"][1]["properties"]["ce_type"]["const"] == type


AWKWARD = [
    "",
    "no",
    "1.0",
    "a: b",
    "- a",
    "#a",
    " a",
    "a ",
    "a\nb",
    "a\n",
    "\na",
    "a\n\n b",
    "a\tb",
]


@pytest.mark.parametrize("text", AWKWARD)
def test_yaml_keeps_awkward_texts(text: str) -> None:
    assert yaml.safe_load(to_yaml({"key": text, text: [text]})) == {"key": text, text: [text]}


TEXTS = st.text(st.characters(max_codepoint=0xFFFF, exclude_categories=["Cs"]))
NESTED = st.recursive(
    st.none() | st.booleans() | st.integers() | TEXTS,
    lambda inner: st.lists(inner) | st.dictionaries(TEXTS, inner),
)


@given(NESTED)
def test_yaml_keeps_what_json_can_hold(value: object) -> None:
    assert yaml.safe_load(to_yaml({"value": value})) == {"value": value}
