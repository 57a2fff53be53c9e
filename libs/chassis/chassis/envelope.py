"""A message in its envelope: CloudEvents 1.0 in Kafka's binary mode."""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Self
from uuid import UUID

from aiokafka.partitioner import murmur2
from pydantic import ValidationError

from chassis import clock
from spotkeeper_contracts import MESSAGES, PARTITIONS, Message, Refusal
from spotkeeper_contracts.topics import RECORD_BYTES
from spotkeeper_contracts.values import rfc3339

Headers = Sequence[tuple[str, bytes]]


ROOM_BYTES = 65_536
"""What a record leaves for key and headers, which come with it."""


class TooLarge(Exception):
    """The message is larger than a record may be: a bug, since no waiting makes it smaller."""


class Unreadable(Exception):
    """The record holds no message that this release can open."""


@dataclass(frozen=True, slots=True)
class Record:
    """What goes to the broker."""

    topic: str
    key: bytes
    value: bytes
    headers: list[tuple[str, bytes]]
    partition: int


@dataclass(frozen=True, slots=True)
class Envelope:
    """A message with where it comes from and where its answer goes.

    `request_id` is the id of the request that began the chain: a reply carries it back, and a
    handed-on request keeps it. `reply_to` is the partition that the asking gateway reads, and
    `ask_id` tells a request from its repeats, which have one id: each gets its own answer.
    `refusal` is what the asker refuses the request with; only the owner knows if it is a repeat.
    """

    message: Message
    id: UUID
    source: str
    time: datetime
    actor: str
    client_id: str | None = None
    request_id: UUID | None = None
    reply_to: int | None = None
    traceparent: str | None = None
    ask_id: str | None = None
    refusal: Refusal | None = None

    @classmethod
    def of(cls, message: Message, *, source: str, actor: str | None = None) -> Self:
        """A new envelope with a fresh id, from the given service."""
        return cls(message, clock.new_id(), source, clock.now(), actor or f"system:{source}")

    def caused(self, message: Message, *, id: UUID, source: str, time: datetime) -> "Envelope":
        """The envelope of a message that this one caused; its client is the one that it names."""
        named = getattr(message, "client_id", None)
        return replace(
            self,
            message=message,
            client_id=str(named) if named else self.client_id,
            id=id,
            source=source,
            time=time,
            request_id=self.request_id or self.id,
            refusal=None,
        )

    def answering(self, request_id: str, ask_id: str | None) -> "Envelope":
        """The same message as an answer to a request; raises ValueError if the id is none."""
        return replace(self, request_id=UUID(request_id), ask_id=ask_id)

    def without_reply(self) -> "Envelope":
        """The same message as one that nobody awaits an answer to."""
        return replace(self, reply_to=None, ask_id=None)

    def to_record(self, *, partition: int | None = None) -> Record:
        """The record as it is sent; `partition` overrules the key."""
        topic = self.message.topic.name
        key = (str(self.request_id) if partition is not None else self.message.key).encode()
        where = partition_for(key) if partition is None else partition
        value = self.message.to_bytes()
        if len(value) > RECORD_BYTES - ROOM_BYTES:
            raise TooLarge(f"{self.message.type} has {len(value):,} bytes")
        return Record(topic, key, value, self._headers(), where)

    def _headers(self) -> list[tuple[str, bytes]]:
        values = {
            "ce_specversion": "1.0",
            "ce_id": str(self.id),
            "ce_source": f"/spotkeeper/{self.source}",
            "ce_type": self.message.type,
            "ce_time": rfc3339(self.time),
            "content-type": "application/json",
            "ce_actor": self.actor,
            "ce_clientid": self.client_id,
            "ce_requestid": None if self.request_id is None else str(self.request_id),
            "ce_replyto": None if self.reply_to is None else str(self.reply_to),
            "ce_askid": self.ask_id,
            "ce_refusal": None if self.refusal is None else self.refusal.to_bytes().decode(),
            "traceparent": self.traceparent,
        }
        return [(name, value.encode()) for name, value in values.items() if value is not None]

    @classmethod
    def from_record(cls, value: bytes | None, headers: Headers) -> Self:
        """The message in a record; raises `Unreadable`, which says why."""
        try:
            # Kafka lets a header be null, which says as little as none.
            texts = {name: text.decode() for name, text in headers if text is not None}
            message = MESSAGES[texts["ce_type"]].from_bytes(value or b"")
            request_id, reply_to = texts.get("ce_requestid"), texts.get("ce_replyto")
            refusal = texts.get("ce_refusal")
            return cls(
                message,
                UUID(texts["ce_id"]),
                texts["ce_source"].rpartition("/")[2],
                datetime.fromisoformat(texts["ce_time"]),
                texts.get("ce_actor", "system:unknown"),
                texts.get("ce_clientid"),
                UUID(request_id) if request_id else None,
                _partition(reply_to) if reply_to else None,
                texts.get("traceparent"),
                texts.get("ce_askid"),
                Refusal.from_bytes(refusal.encode()) if refusal else None,
            )
        except KeyError as missing:
            raise Unreadable(f"unknown type or missing header: {missing}") from missing
        except (ValidationError, ValueError) as error:
            raise Unreadable(str(error)) from error


def header(headers: Iterable[tuple[str, bytes]], name: str) -> str | None:
    """The text of one header, or None."""
    value = next((value for key, value in headers if key == name), None)
    return None if value is None else value.decode(errors="replace")


def _partition(text: str) -> int:
    """The number of a partition; raises ValueError if it is none."""
    number = int(text)
    if not 0 <= number < PARTITIONS:
        raise ValueError(f"there is no partition {number}")
    return number


def known_type(headers: Iterable[tuple[str, bytes]]) -> str:
    """The message's type as a metric's label: only types of ours, lest strangers fill it."""
    kind = header(headers, "ce_type")
    return kind if kind in MESSAGES else "unknown"


def partition_for(key: str | bytes, partitions: int = PARTITIONS) -> int:
    """The partition of a key: murmur2, as Kafka's own clients choose it."""
    data = key.encode() if isinstance(key, str) else key
    partition: int = (murmur2(data) & 0x7FFF_FFFF) % partitions
    return partition
