"""A record as it arrives at a lane: with the message in it, or without."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property

from chassis import clock
from chassis.envelope import Envelope
from chassis.inbox import fingerprint
from spotkeeper_contracts import Request

AWAITED_SECONDS = 60.0
"""No answer is awaited for longer: a caller's limit, and room for two hosts' clocks to differ."""


@dataclass(frozen=True)
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
    def is_awaited(self) -> bool:
        """Whether somebody may still wait for the answer."""
        return (clock.now() - self.envelope.time).total_seconds() < AWAITED_SECONDS

    @cached_property
    def fingerprint(self) -> bytes:
        """The digest of what is said, without the context that a repeat may differ in.

        Nor does it count whether a request names a default: it has a new field's, read by a new
        release, where its repeat from before the upgrade had none.
        """
        message = self.envelope.message
        if not isinstance(message, Request):
            return fingerprint(self.value)
        asked = message.model_dump_json(exclude=set(message.context), exclude_defaults=True)
        return fingerprint(asked.encode())


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
