"""The operations port: /livez, /readyz and /metrics, and what they tell."""

import asyncio
import json
from http import HTTPStatus

from prometheus_client import CONTENT_TYPE_LATEST, generate_latest

from chassis import metrics
from chassis.settings import PREFIX

READ_TIMEOUT_SECONDS = 5.0


class Health:
    """Which parts of a service are ready. Liveness is the event loop's: it answers or not."""

    def __init__(self, *parts: str) -> None:
        self._parts: dict[str, tuple[bool, str]] = {}
        for part in parts:
            self.set(part, ok=False, text="starting")

    def set(self, part: str, *, ok: bool, text: str = "") -> None:
        """Say whether a part is ready, and if not, why."""
        self._parts[part] = (ok, text)
        metrics.READY.labels(part).set(ok)

    @property
    def ready(self) -> bool:
        """Whether every part is."""
        return all(ok for ok, _ in self._parts.values())

    def report(self) -> dict[str, object]:
        """What /readyz answers."""
        parts = {part: "ok" if ok else text or "down" for part, (ok, text) in self._parts.items()}
        return {"ready": self.ready, "parts": parts}


class CannotListen(Exception):
    """A port cannot be opened; the text is a sentence for people, with the variables' names."""

    def __init__(self, host: str, port: int, error: Exception, *, purpose: str = "") -> None:
        why = getattr(error, "strerror", None) or error
        super().__init__(
            f"{PREFIX}{purpose}HOST and {PREFIX}{purpose}PORT name {host}:{port}, "
            f"where nobody can listen: {why}."
        )


class OperationsServer:
    """A few GET routes over plain asyncio, so that a service needs no web framework."""

    def __init__(self, health: Health, *, host: str, port: int) -> None:
        self._health = health
        self._host = host
        self._port = port
        self._server: asyncio.Server | None = None

    async def start(self) -> str:
        """Listen, and return the address as host:port; raises `CannotListen`."""
        try:
            self._server = await asyncio.start_server(self._serve, self._host, self._port)
        except (OSError, UnicodeError) as error:  # A name that is no name of a host is the latter.
            raise CannotListen(self._host, self._port, error, purpose="OPERATIONS_") from error
        host, port = self._server.sockets[0].getsockname()[:2]
        return f"{host}:{port}"

    async def stop(self) -> None:
        """Stop listening."""
        if self._server is not None:
            self._server.close()

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            async with asyncio.timeout(READ_TIMEOUT_SECONDS):
                head = await reader.readuntil(b"\r\n\r\n")
            method, path, *_ = head.split(b" ", 2)
            writer.write(self._response(method.decode("latin-1"), path.decode("latin-1")))
            await writer.drain()
        except (TimeoutError, OSError, ValueError, asyncio.IncompleteReadError):
            pass  # The caller went away or spoke no HTTP; there is nobody to answer.
        except asyncio.LimitOverrunError:
            pass
        finally:
            writer.close()

    def _response(self, method: str, target: str) -> bytes:
        content_type, path = "application/json", target.partition("?")[0]
        if method not in ("GET", "HEAD"):
            status, body = HTTPStatus.METHOD_NOT_ALLOWED, b'{"error": "Method not allowed"}'
        elif path == "/livez":
            status, body = HTTPStatus.OK, b'{"alive": true}'
        elif path == "/readyz":
            status = HTTPStatus.OK if self._health.ready else HTTPStatus.SERVICE_UNAVAILABLE
            body = json.dumps(self._health.report()).encode()
        elif path == "/metrics":
            status, content_type, body = HTTPStatus.OK, CONTENT_TYPE_LATEST, generate_latest()
        else:
            status, body = HTTPStatus.NOT_FOUND, b'{"error": "Not found"}'
        head = (
            f"HTTP/1.1 {status.value} {status.phrase}\r\nContent-Type: {content_type}\r\n"
            f"Content-Length: {len(body)}\r\nConnection: close\r\n\r\n"
        )
        return head.encode() + (b"" if method == "HEAD" else body)
