"""What tells a repeat from a misuse of its id."""

from chassis.delivery import Delivery
from chassis.envelope import Envelope
from spotkeeper_contracts import Message
from spotkeeper_contracts.agents import ShutDownAgent
from spotkeeper_contracts.examples import example


def delivered(message: Message, value: bytes) -> Delivery:
    """The message as it comes in a record with this value."""
    opened = type(message).from_bytes(value)
    return Delivery(Envelope.of(opened, source="gateway"), value, (), message.topic.name, 0, 0)


def test_a_repeat_from_before_a_field_was_added_says_the_same() -> None:
    request = example(ShutDownAgent, reason=ShutDownAgent.model_fields["reason"].default)
    shorter = request.model_dump_json(exclude={"reason"}).encode()
    assert shorter != request.to_bytes()
    before, after = delivered(request, shorter), delivered(request, request.to_bytes())
    assert before.fingerprint == after.fingerprint


def test_another_value_is_told_apart_from_a_default() -> None:
    request = example(ShutDownAgent, reason="because")
    default = request.model_dump_json(exclude={"reason"}).encode()
    one, other = delivered(request, default), delivered(request, request.to_bytes())
    assert one.fingerprint != other.fingerprint
