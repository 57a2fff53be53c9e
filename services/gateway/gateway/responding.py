"""Sending a response, by the framework in its steps or by the gateway itself in one piece."""

from collections.abc import Callable

from starlette.types import Message, Send

AtOnce = Callable[[bytes, bytes], bool]
"""Writes a 200 of these header lines and this body; False if it has to go the ordinary way."""


class Response:
    """The response to one request: it bears the request's id, and its status is remembered."""

    def __init__(self, send: Send, request_id: bytes, at_once: AtOnce | None) -> None:
        self._send = send
        self._request_id = request_id
        self._at_once = at_once
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send one part of it, as ASGI has it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id)]
        await self._send(message)

    def at_once(self, lines: bytes, body: bytes) -> bool:
        """Send all of a 200 in one piece; False if it has to be sent in its parts."""
        if self._at_once is None:
            return False
        if not self._at_once(b"%bx-request-id: %b\r\n" % (lines, self._request_id), body):
            return False
        self.status = 200
        return True
