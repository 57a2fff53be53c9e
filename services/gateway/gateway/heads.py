"""A request's head: the headers that the gateway itself reads, in one pass, within limits."""

import re
import secrets
from collections.abc import Iterable
from dataclasses import dataclass
from itertools import count

_PLAIN_ID = re.compile(rb"[A-Za-z0-9._:-]{1,128}")
# W3C Trace Context: zeros alone are no id, and there is no version ff.
_TRACEPARENT = re.compile(
    rb"(?!ff)[0-9a-f]{2}-(?!0{32})[0-9a-f]{32}-(?!0{16})[0-9a-f]{16}-[0-9a-f]{2}"
)
_THIS_PROCESS = secrets.token_hex(8)
_numbers = count(1)
_LINE_BYTES = 4  # ": " and the line's end, which every header has beside name and value


@dataclass(slots=True)
class Head:
    """What the headers say; `request_id` is the caller's own if it is plain, else a new one."""

    request_id: bytes
    size_bytes: int
    authorization: bytes | None = None
    content_type: bytes | None = None
    content_length: bytes | None = None
    chunked: bool = False
    instance_id: str | None = None
    names_two_instances: bool = False
    traceparent: str | None = None
    has_key: bool = False

    @property
    def has_body(self) -> bool:
        """Whether a body follows."""
        return self.chunked or self.announced_bytes > 0

    @property
    def announced_bytes(self) -> int:
        """How long the body is said to be; Python takes no number of thousands of digits."""
        return int((self.content_length or b"").strip().lstrip(b"0") or 0)

    @property
    def says_json(self) -> bool:
        """Whether the body is declared as JSON; one of no declared type is taken for it."""
        if self.content_type is None:
            return True
        media_type = self.content_type.partition(b";")[0].strip().lower()
        return media_type == b"application/json" or (
            media_type.startswith(b"application/") and media_type.endswith(b"+json")
        )


def read_head(headers: Iterable[tuple[bytes, bytes]]) -> Head:
    """The head of a request; the names of ASGI headers are in lower case."""
    head = Head(b"", 0)
    for name, value in headers:
        head.size_bytes += len(name) + len(value) + _LINE_BYTES
        match name:
            case b"authorization":
                head.authorization = value
            case b"content-type":
                head.content_type = value
            case b"content-length":
                head.content_length = value
            case b"transfer-encoding":
                head.chunked = True
            case b"x-instance-id":
                named = value.decode("latin-1")
                head.names_two_instances |= head.instance_id not in (None, named)
                head.instance_id = named
            case b"idempotency-key":
                head.has_key = True
            case b"x-request-id" if _PLAIN_ID.fullmatch(value):
                head.request_id = value
            case b"traceparent" if _TRACEPARENT.fullmatch(value):
                head.traceparent = value.decode()
    head.request_id = head.request_id or fresh_id()
    return head


def fresh_id() -> bytes:
    """An id that no other request has; a UUID would cost a heartbeat a tenth of its time."""
    return f"{_THIS_PROCESS}-{next(_numbers):x}".encode()
