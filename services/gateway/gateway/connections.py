"""Connections that hold a request's head to a size and a time before anything else sees it.

They also shorten the way of a small request: its body comes with the scope, and its answer
may go out in one piece.
"""

import asyncio
import json
from functools import partial
from typing import Any

from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from gateway.errors import HEADERS_TOO_LARGE, Problem, body_of
from gateway.heads import fresh_id

MALFORMED = Problem(400, "MALFORMED_REQUEST", "The request is no valid HTTP")
WHOLE_BODY = "whole_body"
"""The key in a scope's state of a body that came along with its head."""
AT_ONCE = "at_once"
"""The key beside it of what writes a complete answer."""

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
        self._in_message = False
        self._begun = 0
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
        """Parse what came; all of it counts as an open head's, if it is of no other request."""
        is_between, self._begun = not self._in_message, 0
        super().data_received(data)
        if self._in_head and not self.transport.is_closing():
            self._await_head()
            if self._begun <= is_between:
                self._bytes_of_head += len(data)
            if self._bytes_of_head > 2 * self._header_bytes:
                self._end_with(HEADERS_TOO_LARGE)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._in_message, self._bytes_of_head = True, True, 0
        self._begun += 1

    def on_headers_complete(self) -> None:
        """The head is here in time; its exact size is the front door's to judge."""
        self._head_complete()
        super().on_headers_complete()

    def on_message_complete(self) -> None:
        """Hand over the body with the scope, whose request has not begun if all came at once."""
        super().on_message_complete()
        self._in_message = False
        state, cycle = self.scope["state"], self.cycle
        state[WHOLE_BODY], state[AT_ONCE] = cycle.body, partial(self._answer_at_once, cycle)

    def send_400_response(self, msg: str) -> None:
        """Refuse what is no HTTP in the contract's own form."""
        self._end_with(MALFORMED)

    def _answer_at_once(self, cycle: RequestResponseCycle, lines: bytes, body: bytes) -> bool:
        """Write a 200 of these header lines and this body, unless the connection is to be closed.

        uvicorn's own way, in two messages and header by header, is a sixth of a heartbeat's cost.
        """
        if cycle.response_started or cycle.disconnected or not cycle.keep_alive:
            return False
        if self.flow.write_paused:
            return False
        cycle.response_started = cycle.response_complete = True
        head = [b"HTTP/1.1 200 OK\r\n"]
        head += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(b"".join((*head, lines, b"\r\n", body)))
        cycle.message_event.set()
        cycle.on_response()
        return True

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
            f"x-request-id: {fresh_id().decode()}\r\n"
            "connection: close\r\n\r\n"
        )
        self._head_complete()
        self.transport.write(head.encode() + body)
        self.transport.close()
