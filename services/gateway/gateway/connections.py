"""Connections that hold a request's head to a size and a time before anything else sees it."""

import asyncio
import json
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol

from gateway.errors import HEADERS_TOO_LARGE, Problem, body_of

MALFORMED = Problem(400, "MALFORMED_REQUEST", "The request is no valid HTTP")
WHOLE_BODY = "whole_body"
"""The key in a scope's state of a body that came along with its head."""

_REASONS = {400: "Bad Request", 431: "Request Header Fields Too Large"}


class LimitedHttp(HttpToolsProtocol):
    """One connection; a head that grows too large or comes too slowly ends it.

    uvicorn has no such limits with httptools: a head without end would grow in memory.
    """

    def __init__(self, *args: Any, header_bytes: int, head_seconds: float, **options: Any) -> None:
        super().__init__(*args, **options)
        self._header_bytes = header_bytes
        self._head_seconds = head_seconds
        self._in_head = True
        self._bytes_of_head = 0
        self._head_due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection owes its first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._head_complete()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; what is still an open head afterwards counts as such."""
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._await_head()
            self._bytes_of_head += len(data)
            if self._bytes_of_head > 2 * self._header_bytes:
                self._end_with(HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._bytes_of_head = True, 0

    def on_headers_complete(self) -> None:
        """The head is here in time; its exact size is the front door's to judge."""
        self._head_complete()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Hand over the body with the scope, whose request has not begun if all came at once."""
        super().on_message_complete()
        self.scope["state"][WHOLE_BODY] = self.cycle.body

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the contract's own form."""
        self._end_with(MALFORMED)

    def _await_head(self) -> None:
        if self._head_due is None:
            self._head_due = self.loop.call_later(self._head_seconds, self.transport.close)

    def _head_complete(self) -> None:
        self._in_head = False
        if self._head_due is not None:
            self._head_due.cancel()
            self._head_due = None

    def _end_with(self, problem: Problem) -> None:
        body = json.dumps(body_of(problem.refused().refusal)).encode()
        head = (
            f"HTTP/1.1 {problem.status} {_REASONS[problem.status]}\r\n"
            f"content-type: application/json\r\ncontent-length: {len(body)}\r\n"
            "connection: close\r\n\r\n"
        )
        self._head_complete()
        self.transport.write(head.encode() + body)
        self.transport.close()
