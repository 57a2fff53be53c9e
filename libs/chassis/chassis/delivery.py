"""A record as it arrives at a lane: with the message in it, or without."""

from collections.abc import Sequence
from dataclasses import dataclass

from chassis.envelope import Envelope
from chassis.inbox import fingerprint
from spotkeeper_contracts import Request


@dataclass(frozen=True, slots=True)
class Delivery:
    """A message as it came, and where it lay."""

    envelope: Envelope
    value: bytes
    headers: Sequence[tuple[str, bytes]]
    topic: str
    partition: int
    offset: int

    @property
    def remembered(self) -> bool:
        """Whether the message is claimed and its answer kept."""
        message = self.envelope.message
        return not (isinstance(message, Request) and message.reads_only)

    @property
    def fingerprint(self) -> bytes:
        """The digest of what is said, without the context that a repeat may differ in."""
        message = self.envelope.message
        if isinstance(message, Request) and message.context:
            return fingerprint(message.model_dump_json(exclude=set(message.context)).encode())
        return fingerprint(self.value)


class Unopened:
    """A record this service has nothing to do with, or (`error` says why) cannot open."""

    def __init__(
        self,
        where: tuple[str, int, int],
        value: bytes | None,
        headers: Sequence[tuple[str, bytes]],
        *,
        error: str | None,
    ) -> None:
        self.topic, self.partition, self.offset = where
        self.value = value
        self.headers = headers
        self.error = error
