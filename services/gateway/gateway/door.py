"""The front door: every request passes here before any framework sees it.

It names the request, holds head and body to their limits, takes heartbeats itself, leaves all else
to the framework, and counts what was answered.
"""

from collections.abc import Callable
from functools import cache
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from chassis import clock
from chassis.log import get_logger
from gateway import metrics
from gateway.bodies import read_body
from gateway.connections import AT_ONCE, WHOLE_BODY
from gateway.errors import HEADERS_TOO_LARGE, INTERNAL, response_to
from gateway.heads import Head, read_head
from gateway.heartbeats import Heartbeats, agent_of_heartbeat
from gateway.responding import Response
from gateway.settings import GatewaySettings

log = get_logger()

HEARTBEAT_ROUTE = "/api/agents/{agent_id}/heartbeat"


class Door:
    """The outermost ASGI application."""

    def __init__(self, app: ASGIApp, heartbeats: Heartbeats, settings: GatewaySettings) -> None:
        self._app = app
        self._heartbeats = heartbeats
        self._settings = settings

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Answer one request; the lifespan is the framework's."""
        if scope["type"] != "http":
            await self._app(scope, receive, send)
            return
        start = clock.monotonic()
        head = read_head(scope["headers"])
        response = Response(send, head.request_id, scope["state"].pop(AT_ONCE, None))
        try:
            await self._answer(scope, receive, response, head)
        except ClientDisconnect:
            pass  # The caller went away before it had sent its request; nobody is left to answer.
        except Exception as error:
            if not response.status:
                await response_to(error, head.request_id)(scope, receive, response)
            elif response.status != INTERNAL.status:
                raise  # The server breaks off a response that cannot be completed.
        _clock_of(scope["method"], _route_of(scope), response.status)(clock.monotonic() - start)

    async def _answer(self, scope: Scope, receive: Receive, response: Response, head: Head) -> None:
        settings = self._settings
        agent_id = agent_of_heartbeat(scope)
        if head.size_bytes + len(scope["raw_path"]) > settings.header_bytes:
            raise HEADERS_TOO_LARGE.refused()
        body = await read_body(
            receive,
            head,
            whole=scope["state"].pop(WHOLE_BODY, None),
            limit_bytes=settings.body_bytes if agent_id is None else settings.heartbeat_body_bytes,
            timeout_seconds=settings.read_body_seconds,
        )
        if agent_id is not None and settings.heartbeat_fast_path:
            await self._heartbeats.answer(agent_id, head, body, response)
            return
        scope["state"]["head"] = head
        await self._app(scope, _replaying(body, receive), response)


def _replaying(body: bytes, receive: Receive) -> Receive:
    """A `receive` that gives the body that was read already, then what follows it."""
    first: list[dict[str, Any]] = [{"type": "http.request", "body": body, "more_body": False}]

    async def replay() -> Message:
        return first.pop() if first else await receive()

    return replay


@cache
def _clock_of(method: str, route: str, status: int) -> Callable[[float], None]:
    """What takes the time of such a request; looking it up anew costs more than taking it."""
    return metrics.REQUEST_SECONDS.labels(method, route, status).observe


def _route_of(scope: Scope) -> str:
    route = scope.get("route")
    if route is not None:
        return str(route.path)
    return HEARTBEAT_ROUTE if agent_of_heartbeat(scope) else "unknown"
