"""A control plane that speaks the documented bodies, and says "no" when a test wants it to."""

import asyncio
import json
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from spotkeeper.embedded.child import HOST, free_port

Json = dict[str, Any]
TOKEN = "client-token"
AGENT_ID = "0f8fad5b-d9cb-569f-a165-70867728950e"
KINDS = {
    "POST /api/agents/register": "register",
    f"POST /api/agents/{AGENT_ID}/heartbeat": "heartbeat",
    f"GET /api/agents/{AGENT_ID}/config": "config",
}
TEN_SETTINGS = {
    "enabled": True,
    "auto_switch_enabled": True,
    "auto_terminate_enabled": True,
    "terminate_wait_seconds": 300,
    "replica_enabled": False,
    "replica_count": 0,
    "min_savings_percent": 15.0,
    "risk_threshold": 0.3,
    "max_switches_per_week": 10,
    "min_pool_duration_hours": 2,
}


@dataclass(frozen=True)
class Call:
    """A request as it arrived."""

    kind: str
    body: Json
    at: float
    """Seconds of the loop's clock."""


@dataclass
class ControlPlane:
    """What it tells all agents, and what they called."""

    port: int
    epoch: int = 1
    config_version: int = 1
    enabled: bool = True
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    _prepared: defaultdict[str, deque[tuple[int, Mapping[str, str]]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def prepare(self, kind: str, status: int = 200, **headers: str) -> None:
        """Answer a coming call of this kind so; without more of them, all is well again."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._prepared[kind].append((status, named))

    def of(self, kind: str) -> list[Call]:
        """The calls of a kind: register, heartbeat or config."""
        return [call for call in self.calls if call.kind == kind]

    @asynccontextmanager
    async def serving(self) -> AsyncIterator[None]:
        """Serve HTTP while the context lasts."""
        connections: set[asyncio.StreamWriter] = set()

        async def serve(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            self.connections += 1
            connections.add(writer)
            try:
                while True:
                    writer.write(self._answer(*await _request(reader)))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        async with await asyncio.start_server(serve, HOST, self.port):
            try:
                yield
            finally:
                for writer in connections:
                    writer.close()

    def _answer(self, kind: str, body: Json) -> bytes:
        self.calls.append(Call(kind, body, asyncio.get_running_loop().time()))
        prepared = self._prepared[kind]
        status, headers = prepared.popleft() if prepared else (200, {})
        content = json.dumps(self._body(kind) if status == 200 else {"error": "No"}).encode()
        told = {
            "Content-Length": str(len(content)),
            "X-Agent-Epoch": str(self.epoch),
            "X-Config-Version": str(self.config_version),
            **headers,
        }
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {told[name]}" for name in told), "", ""]
        return "\r\n".join(lines).encode() + content

    def _body(self, kind: str) -> Json:
        match kind:
            case "register":
                config = {**TEN_SETTINGS, "enabled": self.enabled}
                return {"agent_id": AGENT_ID, "client_id": AGENT_ID, "config": config}
            case "heartbeat":
                version = self.config_version
                return {"success": True, "commands_pending": False, "config_version": version}
            case _:
                version = self.config_version
                settings = {"enabled": self.enabled, "config_version": version}
                return {"agent_id": AGENT_ID, **TEN_SETTINGS, **settings}


async def _request(reader: asyncio.StreamReader) -> tuple[str, Json]:
    """The kind and the JSON of the next request."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if line)
    assert fields["Authorization"] == f"Bearer {TOKEN}"
    body = await reader.readexactly(int(fields.get("Content-Length", 0)))
    return KINDS[first.removesuffix(" HTTP/1.1")], json.loads(body or b"{}")


def control_plane() -> ControlPlane:
    """One that does not serve yet, with a port of its own."""
    return ControlPlane(free_port())
