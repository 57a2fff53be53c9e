"""Every declared message: its topic, its key, its example, and readers older than its writer."""

import inspect
import json
from collections.abc import Iterator
from uuid import UUID

import jsonschema
import pytest

from spotkeeper_contracts import MESSAGES, TOPICS, Kind, Message, Reply, Request, Topic, Value
from spotkeeper_contracts.examples import BY_CLASS, BY_NAME, example, example_beat
from spotkeeper_contracts.pools import PoolState
from spotkeeper_contracts.presence import (
    HEARTBEATS_TYPE,
    Beat,
    FirstBeat,
    decode_beats,
    encode_beats,
)
from spotkeeper_contracts.records import RecordType, record_types
from spotkeeper_contracts.topics import AGENT_HEARTBEATS, GATEWAY_REPLIES

SERVICES = {"gateway", "registry", "heartbeat", "decision", "commands"}
PEOPLE = {"downstream", "operators"}


def subclasses(cls: type[Value]) -> Iterator[type[Value]]:
    for subclass in cls.__subclasses__():
        if subclass.__module__.startswith("spotkeeper_contracts."):
            yield subclass
            yield from subclasses(subclass)


VALUES = sorted(set(subclasses(Value)), key=lambda cls: (cls.__module__, cls.__name__))
messages = pytest.mark.parametrize("message", MESSAGES.values(), ids=MESSAGES.keys())
values = pytest.mark.parametrize("value", VALUES, ids=[cls.__name__ for cls in VALUES])
records = pytest.mark.parametrize("record", record_types().values(), ids=record_types().keys())
topics = pytest.mark.parametrize("topic", TOPICS.values(), ids=TOPICS.keys())


@topics
def test_a_topic_has_writers_and_readers(topic: Topic) -> None:
    assert topic.written_by
    assert topic.written_by <= SERVICES
    assert topic.read_by
    assert topic.read_by <= SERVICES | PEOPLE


@topics
def test_a_topic_has_one_owner(topic: Topic) -> None:
    if topic.kind is Kind.REQUESTS:
        assert topic.name == f"{next(iter(topic.read_by))}-requests"
        assert len(topic.read_by) == 1
    elif topic.kind in (Kind.STATE, Kind.EVENTS):
        assert len(topic.written_by) == 1


@messages
def test_a_message_has_the_key_of_its_topic(message: type[Message]) -> None:
    if message.topic is GATEWAY_REPLIES:
        assert issubclass(message, Reply)  # Its key is the id of the request.
    elif message.key is Message.key:
        assert message.model_fields[message.topic.key].is_required()
    elif message is not PoolState:  # Its `pool_id` alone says too little.
        assert issubclass(message, Request), "only a question may concern no single agent"
        assert example(message).key


@messages
def test_a_request_names_its_reply(message: type[Message]) -> None:
    assert issubclass(message, Request) == (message.topic.kind is Kind.REQUESTS)
    if issubclass(message, Request):
        assert MESSAGES[message.reply.type] is message.reply


@values
def test_a_value_says_what_it_is(value: type[Value]) -> None:
    about = inspect.getdoc(value) or ""
    assert about != inspect.getdoc(Value)
    assert about.endswith(".")


@records
def test_an_example_is_valid(record: RecordType) -> None:
    jsonschema.Draft202012Validator.check_schema(record.schema)
    checker = jsonschema.Draft202012Validator.FORMAT_CHECKER
    validator = jsonschema.Draft202012Validator(record.schema, format_checker=checker)
    validator.validate(record.example)
    assert not validator.is_valid("an example")


@messages
def test_an_example_survives_the_wire(message: type[Message]) -> None:
    sent = example(message)
    assert message.from_bytes(sent.to_bytes()) == sent


def test_a_beat_survives_the_wire() -> None:
    beats = [example_beat(), example_beat(instance_id=None)]
    assert decode_beats(encode_beats(beats)) == beats


def test_a_first_beat_is_a_beat_on_the_wire() -> None:
    beat = example(FirstBeat, current_pool_id=None)
    (read,) = decode_beats(beat.to_bytes())
    assert (read.agent_id, read.client_id) == (str(beat.agent_id), str(beat.client_id))
    assert (read.status, read.instance_id) == ("online", beat.instance_id)
    assert (read.current_mode, read.current_pool_id) == (beat.current_mode, None)
    assert (FirstBeat.type, FirstBeat.topic) == (HEARTBEATS_TYPE, AGENT_HEARTBEATS)


@values
def test_a_reader_ignores_what_it_does_not_know(value: type[Value]) -> None:
    known = example(value)
    sent = {**json.loads(known.model_dump_json()), "added_later": {"by": "a newer release"}}
    assert value.model_validate_json(json.dumps(sent)) == known


def test_a_reader_of_beats_ignores_what_it_does_not_know() -> None:
    sent = [{**json.loads(encode_beats(example_beat())), "added_later": 1}]
    assert decode_beats(json.dumps(sent).encode()) == [example_beat()]


def test_no_example_is_of_a_field_that_is_no_more() -> None:
    fields = {name for value in VALUES for name in value.model_fields} | {*Beat.__struct_fields__}
    assert BY_NAME.keys() - fields == set()
    strays = {cls: names.keys() - cls.model_fields.keys() for cls, names in BY_CLASS.items()}
    assert {cls: names for cls, names in strays.items() if names} == {}


def test_states_of_pools_that_share_a_name_do_not_replace_each_other() -> None:
    pool = example(PoolState)
    others = [
        pool.model_copy(update=change)
        for change in (
            {"client_id": UUID(int=7)},
            {"instance_type": "p4d.24xlarge"},
            {"region": "eu-west-1"},
            {"pool_id": "another"},
        )
    ]
    assert len({one.key for one in (pool, *others)}) == 5
