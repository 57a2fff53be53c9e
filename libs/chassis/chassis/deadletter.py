"""What could not be handled: the original record, and why, on the topic `dead-letters`."""

from collections import deque
from collections.abc import Sequence

from chassis import clock, metrics
from chassis.envelope import Envelope, Record, header, known_type, partition_for
from spotkeeper_contracts import PARTITIONS, Refusal
from spotkeeper_contracts.topics import DEAD_LETTERS

IN_A_ROW = 10
WINDOW_MESSAGES = 1_000
WINDOW_LIMIT = 50

_PARTITIONS = {str(partition) for partition in range(PARTITIONS)}

INTERNAL = Refusal(code="INTERNAL", error="Internal server error", status=500)


class TooManyDeadLetters(Exception):
    """A bug must not empty a topic into the dead letters, so the process stops."""


class DeadLetterGuard:
    """Stops the process when too many messages in a row, or of the last thousand, are given up."""

    def __init__(self) -> None:
        self._in_a_row = 0
        self._recent: deque[bool] = deque(maxlen=WINDOW_MESSAGES)

    def handled(self, messages: int) -> None:
        """So many messages were handled well."""
        self._in_a_row = 0
        self._recent.extend([False] * min(messages, WINDOW_MESSAGES))

    def given_up(self) -> None:
        """One message was given up; raises `TooManyDeadLetters` past the limits."""
        self._in_a_row += 1
        self._recent.append(True)
        if self._in_a_row > IN_A_ROW or sum(self._recent) > WINDOW_LIMIT:
            raise TooManyDeadLetters(f"{self._in_a_row} in a row, {sum(self._recent)} of late")


def dead_letter(
    record: tuple[str, int, int],
    value: bytes | None,
    headers: Sequence[tuple[str, bytes]],
    *,
    service: str,
    reason: str,
    error: str,
) -> Record:
    """The record that keeps a given-up one; `record` is its topic, partition and offset."""
    topic, partition, offset = record
    metrics.DEAD_LETTERS.labels(reason).inc()
    metrics.MESSAGES_HANDLED.labels(known_type(headers), "dead").inc()
    why = {
        "dead_topic": topic,
        "dead_partition": str(partition),
        "dead_offset": str(offset),
        "dead_service": service,
        "dead_reason": reason,
        "dead_error": error[:2_000],
        "dead_at": clock.now().isoformat(),
    }
    key = f"{topic}/{partition}/{offset}".encode()
    return Record(
        DEAD_LETTERS.name,
        key,
        value or b"",
        [*headers, *((name, text.encode()) for name, text in why.items())],
        partition_for(key),
    )


def answer_to_unreadable(headers: Sequence[tuple[str, bytes]], *, service: str) -> list[Record]:
    """The 500 for a caller who waits for an answer to a record that cannot be opened."""
    reply_to, id = header(headers, "ce_replyto"), header(headers, "ce_id")
    if reply_to is None or id is None or reply_to not in _PARTITIONS:
        return []
    try:
        envelope = Envelope.of(INTERNAL, source=service).answering(
            header(headers, "ce_requestid") or id, header(headers, "ce_askid")
        )
    except ValueError:
        return []
    return [envelope.to_record(partition=int(reply_to))]
