"""Connections: they hold a request's head to a size and a time, and take heartbeats themselves.

A heartbeat becomes neither an ASGI scope nor a task: its beat is appended when its last byte is
here, and a callback writes the answer. Any other request goes uvicorn's way, and so does a
heartbeat that anything speaks against: the framework's route says what. Whoever would rather speak
another protocol is answered in this one.
"""

import asyncio
import re
from collections.abc import Callable
from functools import partial
from http import HTTPStatus
from typing import Any

import httptools
from uvicorn.protocols.http.httptools_impl import HttpToolsProtocol, RequestResponseCycle

from chassis import clock
from gateway.errors import BODY_TIMEOUT, HEADERS_TOO_LARGE, UNAVAILABLE, Problem, response_to
from gateway.heads import fresh_id, read_head
from gateway.heartbeats import HEARTBEAT_ROUTE, Heartbeats
from gateway.metrics import seconds_of
from gateway.settings import GatewaySettings
from gateway.views import KnownAgent

MALFORMED = Problem(400, "MALFORMED_REQUEST", "The request is no valid HTTP")

_HEARTBEAT = re.compile(rb"/api/agents/([0-9a-f-]{36})/heartbeat")
_NOBODY_WAITS = asyncio.Event()


class _Beat(RequestResponseCycle):
    """A heartbeat on its way: to uvicorn, a request whose response is not complete yet.

    It has what uvicorn looks at; the rest is for a task, which a heartbeat has none of.
    """

    def __init__(self, agent_id: str) -> None:
        self.agent_id = agent_id
        self.since = clock.monotonic()
        self.body = bytearray()
        self.more_body = self.keep_alive = True
        self.disconnected = self.response_complete = False
        self.message_event = _NOBODY_WAITS


class Connection(HttpToolsProtocol):
    """One connection; a head that grows too large or comes too slowly ends it.

    uvicorn has no such limits with httptools: a head without end would grow in memory.
    """

    def __init__(
        self, *args: Any, settings: GatewaySettings, heartbeats: Heartbeats, **options: Any
    ) -> None:
        super().__init__(*args, **options)
        self._settings = settings
        self._heartbeats = heartbeats
        self._in_head = True
        self._in_message = False
        self._begun = 0
        self._bytes_of_head = 0
        self._due: asyncio.TimerHandle | None = None

    def connection_made(self, transport: Any) -> None:
        """A new connection owes its first head."""
        super().connection_made(transport)
        self._await_head()

    def connection_lost(self, exc: Exception | None) -> None:
        """Nothing is due any more."""
        self._has_come()
        super().connection_lost(exc)

    def data_received(self, data: bytes) -> None:
        """Parse what came; all of it counts as an open head's, if it is of no other request."""
        is_between, self._begun = not self._in_message, 0
        self._unset_keepalive_if_required()
        self._parse(data)
        if self.transport.is_closing():
            return
        if self._in_head:
            self._await_head()
            if self._begun <= is_between:
                self._bytes_of_head += len(data)
            if self._bytes_of_head > 2 * self._settings.header_bytes:
                self._end_with(HEADERS_TOO_LARGE)
        elif isinstance(self.cycle, _Beat) and self.cycle.more_body:
            self._await_body(self.cycle)

    def on_message_begin(self) -> None:
        """A head begins."""
        super().on_message_begin()
        self._in_head, self._in_message, self._bytes_of_head = True, True, 0
        self._begun += 1

    def on_headers_complete(self) -> None:
        """The head is here in time; its exact size is the front door's to judge."""
        self._in_head = False
        self._has_come()
        if self._wants_upgrade():
            return
        agent_id = self._agent_of_heartbeat()
        if agent_id is None:
            super().on_headers_complete()
        else:
            self.cycle = _Beat(agent_id)

    def on_body(self, body: bytes) -> None:
        """A heartbeat whose body is too large becomes a request while it comes."""
        super().on_body(body)
        beat = self.cycle
        if isinstance(beat, _Beat) and len(beat.body) > self._settings.heartbeat_body_bytes:
            self._become_request(beat)

    def on_message_complete(self) -> None:
        """All is here: append the beat, or have the framework say what is wrong with it."""
        if self._wants_upgrade():
            return
        super().on_message_complete()
        self._in_message = False
        beat = self.cycle
        if not isinstance(beat, _Beat) or beat.response_complete:
            return
        self._has_come()
        head = read_head(self.headers)
        fits = head.size_bytes + len(self.url) <= self._settings.header_bytes
        answer = partial(self._answer, beat, head.request_id)
        if not (fits and self._heartbeats.begin(beat.agent_id, head, bytes(beat.body), answer)):
            self._become_request(beat)

    def _parse(self, data: bytes | memoryview) -> None:
        """Parse as uvicorn does, but leave nothing out behind the wish for another protocol.

        The parser stops there, as if that protocol began; but here none is to be had.
        """
        try:
            while data:
                try:
                    self.parser.feed_data(data)
                    return
                except httptools.HttpParserUpgrade as upgrade:
                    if not self._wants_upgrade():
                        return
                    data = memoryview(data)[upgrade.args[0] :]
                    self._take_head_without_upgrade()
        except httptools.HttpParserError:
            self._end_with(MALFORMED)

    def _wants_upgrade(self) -> bool:
        """Whether there is an `Upgrade` to ignore; a tunnel is for the framework to refuse."""
        return self.parser.should_upgrade() and self.parser.get_method() != b"CONNECT"

    def _take_head_without_upgrade(self) -> None:
        """Take the head again by a fresh parser: an unwanted `Upgrade` is ignored (RFC 9110)."""
        version = self.parser.get_http_version().encode()
        head = [b"%b %b HTTP/%b" % (self.parser.get_method(), self.url, version)]
        head += [b"%b: %b" % header for header in self.headers if header[0] != b"upgrade"]
        self.parser = httptools.HttpRequestParser(self)
        self.parser.set_dangerous_leniencies(lenient_data_after_close=True)
        self.parser.feed_data(b"\r\n".join([*head, b"\r\n"]))

    def _agent_of_heartbeat(self) -> str | None:
        """The agent id in the head of a heartbeat, unless something about it is unusual."""
        found = _HEARTBEAT.fullmatch(self.url)
        if found is None or not self._settings.heartbeat_fast_path or self.flow.write_paused:
            return None
        if self.expect_100_continue or not (self.cycle is None or self.cycle.response_complete):
            return None
        parser = self.parser
        if parser.get_method() != b"POST":
            return None
        if parser.get_http_version() != "1.1" or not parser.should_keep_alive():
            return None
        return found[1].decode()

    def _become_request(self, beat: _Beat) -> None:
        """Go on as uvicorn would have gone on from the head."""
        beat.response_complete = True
        super().on_headers_complete()
        self.cycle.body, self.cycle.more_body = beat.body, beat.more_body
        self.cycle.message_event.set()

    def _answer(
        self, beat: _Beat, request_id: bytes, agent: KnownAgent, *, acknowledged: bool
    ) -> None:
        """Answer a heartbeat, of which the broker has the beat or has it not."""
        beat.response_complete = True
        status = 200 if acknowledged else UNAVAILABLE.status
        if acknowledged:
            self._write(status, agent.header_lines, agent.answer, request_id)
        else:
            self._refuse(UNAVAILABLE, request_id)
        if not beat.keep_alive:
            self.transport.close()
        self.on_response_complete()
        seconds_of("POST", HEARTBEAT_ROUTE, status)(clock.monotonic() - beat.since)

    def _end_with(self, problem: Problem) -> None:
        """Answer what is no complete request, and close."""
        self._has_come()
        self._refuse(problem, fresh_id(), b"connection: close\r\n")
        self.transport.close()

    def _refuse(self, problem: Problem, request_id: bytes, last_line: bytes = b"") -> None:
        response = response_to(problem.refused(), request_id)
        lines = b"".join(b"%b: %b\r\n" % header for header in response.raw_headers)
        self._write(problem.status, lines + last_line, bytes(response.body), request_id)

    def _write(self, status: int, lines: bytes, body: bytes, request_id: bytes) -> None:
        """Write a response in one piece; uvicorn's own way is two messages, header by header."""
        if self.transport.is_closing():
            return
        head = [_STATUS_LINES[status]]
        head += [b"%b: %b\r\n" % header for header in self.server_state.default_headers]
        self.transport.write(
            b"%b%bx-request-id: %b\r\n\r\n%b" % (b"".join(head), lines, request_id, body)
        )

    def _await_head(self) -> None:
        self._await(self._settings.head_seconds, self.transport.close)

    def _await_body(self, beat: _Beat) -> None:
        """Await the rest of a heartbeat's body, unless it is announced as too large."""
        if read_head(self.headers).announced_bytes > self._settings.heartbeat_body_bytes:
            self._become_request(beat)
        else:
            self._await(self._settings.read_body_seconds, partial(self._end_with, BODY_TIMEOUT))

    def _await(self, seconds: float, else_do: Callable[[], None]) -> None:
        if self._due is None:
            self._due = self.loop.call_later(seconds, else_do)

    def _has_come(self) -> None:
        """What was awaited has come."""
        if self._due is not None:
            self._due.cancel()
            self._due = None


_STATUS_LINES = {s.value: b"HTTP/1.1 %d %b\r\n" % (s.value, s.phrase.encode()) for s in HTTPStatus}
