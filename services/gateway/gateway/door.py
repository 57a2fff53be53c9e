"""The front door: every request passes here before any framework sees it.

It names the request, holds head and body to their limits, and counts what was answered. HEAD goes
on as GET, and the server leaves the body out. Only heartbeats that nothing speaks against do not
come here: their connection takes them.
"""

from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import clock
from chassis.log import get_logger
from gateway.bodies import read_body
from gateway.errors import HEADERS_TOO_LARGE, INTERNAL, NOT_FOUND, response_to
from gateway.heads import Head, read_head
from gateway.heartbeats import HEARTBEAT_ROUTE
from gateway.metrics import seconds_of
from gateway.settings import GatewaySettings

log = get_logger()

NOT_BY_HEAD = ("/pending-commands", "/api/events/stream")
"""The endings of paths without HEAD: GET puts commands in hand there, or never ends."""

_PREFIX, _SUFFIX = HEARTBEAT_ROUTE.split("{agent_id}")


class Response:
    """The response to one request: it bears the request's id, and its status is remembered."""

    def __init__(self, send: Send, request_id: bytes) -> None:
        self._send = send
        self._request_id = request_id
        self.status = 0

    async def __call__(self, message: Message) -> None:
        """Send one part of it."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            message["headers"] = [*message["headers"], (b"x-request-id", self._request_id)]
        await self._send(message)


class Door:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, settings: GatewaySettings) -> None:
        self._app = app
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the lifespan is the framework's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        method: str = scope["method"]
        if method == "HEAD" and not scope["path"].endswith(NOT_BY_HEAD):
            scope = {**scope, "method": "GET"}  # The server has its own, and knows of the HEAD.
        start = clock.monotonic()
        head = read_head(scope["headers"])
        response = Response(send, head.request_id)
        try:
            await self._answer(scope, receive, response, head)
        except ClientDisconnect:
            pass  # The caller went away before it had sent its request; nobody is left to answer.
        except Exception as error:
            if not response.status:
                await response_to(error, head.request_id)(scope, receive, response)
            elif response.status != INTERNAL.status:
                raise  # The server breaks off a response that cannot be completed.
        seconds_of(method, _route_of(scope), response.status)(clock.monotonic() - start)

    async def _answer(self, scope: Scope, receive: Receive, response: Response, head: Head) -> None:
        settings = self._settings
        if "\n" in scope["path"]:  # The framework's patterns end at the end of a line.
            raise NOT_FOUND.refused()
        target_bytes = len(scope["raw_path"]) + len(scope["query_string"])
        if head.size_bytes + target_bytes > settings.header_bytes:
            raise HEADERS_TOO_LARGE.refused()
        body = await read_body(
            receive,
            head,
            limit_bytes=settings.heartbeat_body_bytes if _beats(scope) else settings.body_bytes,
            timeout_seconds=settings.read_body_seconds,
        )
        scope["state"]["head"] = head
        await self._app(scope, _replaying(body, receive), response)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then what follows it."""
    first: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


def _route_of(scope: Scope) -> str:
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    return HEARTBEAT_ROUTE if _beats(scope) else "unknown"


def _beats(scope: Scope) -> bool:
    """Whether this is a heartbeat, by its path."""
    path: str = scope["path"]
    return scope["method"] == "POST" and path.startswith(_PREFIX) and path.endswith(_SUFFIX)
