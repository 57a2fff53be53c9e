"""A light HTTP/1.1 load generator: prepared requests over kept-alive connections.

Run as its own process (`python -m benchmarks.load`), it reads a `Plan` as JSON on standard input
and prints a `Result` as JSON. Closed loop: each connection sends its next request when the last
was answered. With a `rate_per_second` the loop is open: requests start on time, whatever comes.
"""

import asyncio
import json
import sys
import time
from collections import Counter
from dataclasses import asdict, dataclass, field
from typing import cast

import uvloop


@dataclass(frozen=True)
class Plan:
    """What to send: `requests` in turn, from `connections`, for `seconds` or until all are sent."""

    host: str
    port: int
    requests: list[str]
    connections: int
    seconds: float
    rate_per_second: float | None = None
    once: bool = False


@dataclass
class Result:
    """What came back. Latencies are in milliseconds, sorted."""

    seconds: float = 0.0
    statuses: dict[str, int] = field(default_factory=dict)
    latencies_ms: list[float] = field(default_factory=list)
    bodies: list[str] = field(default_factory=list)

    @property
    def answered(self) -> int:
        """Answers of any status."""
        return sum(self.statuses.values())

    @property
    def good(self) -> int:
        """Answers of 2xx."""
        return sum(count for status, count in self.statuses.items() if status.startswith("2"))

    def percentile_ms(self, share: float) -> float:
        """The latency below which this share of the answers came."""
        return self.latencies_ms[
            min(len(self.latencies_ms) - 1, int(share * len(self.latencies_ms)))
        ]


class Connection(asyncio.Protocol):
    """One kept-alive connection with at most one request under way."""

    def __init__(self) -> None:
        self._transport: asyncio.Transport | None = None
        self._buffer = b""
        self._answer: asyncio.Future[tuple[bytes, bytes]] | None = None

    def connection_made(self, transport: asyncio.BaseTransport) -> None:
        """Keep the transport."""
        self._transport = cast(asyncio.Transport, transport)

    def data_received(self, data: bytes) -> None:
        """Finish the answer once head and body are whole."""
        self._buffer += data
        head, found, rest = self._buffer.partition(b"\r\n\r\n")
        if not found:
            return
        length = int(head.lower().partition(b"content-length:")[2].partition(b"\r\n")[0] or 0)
        if len(rest) >= length and self._answer is not None:
            self._buffer = rest[length:]
            self._answer.set_result((head[9:12], rest[:length]))

    def connection_lost(self, exc: Exception | None) -> None:
        """Fail the answer under way."""
        if self._answer is not None and not self._answer.done():
            self._answer.set_exception(exc or ConnectionResetError())

    async def send(self, request: bytes) -> tuple[bytes, bytes]:
        """The status and the body of the answer."""
        assert self._transport is not None
        self._answer = asyncio.get_running_loop().create_future()
        self._transport.write(request)
        return await self._answer


class Generator:
    """Sends a plan's requests and keeps what came back."""

    def __init__(self, plan: Plan) -> None:
        self._plan = plan
        self._requests = [request.encode() for request in plan.requests]
        self._next = 0
        self._statuses: Counter[str] = Counter()
        self._latencies: list[float] = []
        self._bodies: list[str] = []
        self._end = 0.0

    async def run(self) -> Result:
        """Send everything; returns when the time is up or, with `once`, when all were sent."""
        loop = asyncio.get_running_loop()
        opened = [
            (await loop.create_connection(Connection, self._plan.host, self._plan.port))[1]
            for _ in range(self._plan.connections)
        ]
        start = time.perf_counter()
        self._end = start + self._plan.seconds
        work = self._open_loop(opened) if self._plan.rate_per_second else self._closed_loop(opened)
        await work
        return Result(
            time.perf_counter() - start,
            dict(self._statuses),
            sorted(self._latencies),
            self._bodies,
        )

    async def _closed_loop(self, connections: list[Connection]) -> None:
        async def each(connection: Connection) -> None:
            while time.perf_counter() < self._end:
                request = self._take()
                if request is None:
                    return
                await self._timed(connection, request, time.perf_counter())

        await asyncio.gather(*(each(connection) for connection in connections))

    async def _open_loop(self, connections: list[Connection]) -> None:
        assert self._plan.rate_per_second is not None
        free: asyncio.Queue[Connection] = asyncio.Queue()
        for connection in connections:
            free.put_nowait(connection)
        due, running = time.perf_counter(), set()
        while due < self._end and (request := self._take()) is not None:
            await asyncio.sleep(max(0.0, due - time.perf_counter()))

            async def one(request: bytes = request, due: float = due) -> None:
                connection = await free.get()
                await self._timed(connection, request, due)
                free.put_nowait(connection)

            running.add(asyncio.create_task(one()))
            due += 1 / self._plan.rate_per_second
        await asyncio.gather(*running)

    def _take(self) -> bytes | None:
        if self._plan.once and self._next >= len(self._requests):
            return None
        self._next += 1
        return self._requests[(self._next - 1) % len(self._requests)]

    async def _timed(self, connection: Connection, request: bytes, start: float) -> None:
        status, body = await connection.send(request)
        self._latencies.append((time.perf_counter() - start) * 1000)
        self._statuses[status.decode()] += 1
        if self._plan.once or not status.startswith(b"2"):
            self._bodies.append(body.decode())


async def run_load(plan: Plan) -> Result:
    """Run a plan in a process of its own, so that the generator's work is not the server's."""
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "benchmarks.load",
        stdin=asyncio.subprocess.PIPE,
        stdout=asyncio.subprocess.PIPE,
    )
    output, _ = await process.communicate(json.dumps(asdict(plan)).encode())
    assert process.returncode == 0, "the load generator failed"
    return Result(**json.loads(output))


def http(method: str, path: str, *, token: str, body: object = None, **headers: str) -> str:
    """The text of a request; header names are written with `_` for `-`."""
    content = "" if body is None else json.dumps(body)
    lines = [
        f"{method} {path} HTTP/1.1",
        "Host: localhost",
        f"Authorization: Bearer {token}",
        f"Content-Length: {len(content)}",
        *(["Content-Type: application/json"] if content else []),
        *(f"{name.replace('_', '-')}: {value}" for name, value in headers.items()),
    ]
    return "\r\n".join(lines) + "\r\n\r\n" + content


if __name__ == "__main__":
    outcome = uvloop.run(Generator(Plan(**json.load(sys.stdin))).run())
    json.dump(asdict(outcome), sys.stdout)
