"""A control plane that speaks the documented bodies, and says "no" when a test wants it to."""

import asyncio
import json
import re
from collections import defaultdict, deque
from collections.abc import AsyncIterator, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Any

from spotkeeper.embedded.child import HOST, free_port

Json = dict[str, Any]
TOKEN = "client-token"
AGENT_ID = "0f8fad5b-d9cb-569f-a165-70867728950e"
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
WHAT_IS_DONE: dict[str, Json] = {
    "rebalance-recommendation": {"action_taken": "replica_created", "replica_id": "replica-1"},
    "termination-imminent": {"action_taken": "switch_to_ondemand", "replica_id": None},
    "decide": {"recommendation": "stay"},
}


@dataclass(frozen=True)
class Call:
    """A request as it arrived."""

    kind: str
    """The last part of its path that is no id, such as `register`, `heartbeat`, `executed`."""
    body: Json
    at: float
    """Seconds of the loop's clock."""
    path: str
    fields: Mapping[str, str]


@dataclass
class ControlPlane:
    """What it tells all agents, and what they called."""

    port: int
    epoch: int = 1
    config_version: int = 1
    enabled: bool = True
    calls: list[Call] = field(default_factory=list)
    connections: int = 0
    commands: deque[Json] = field(default_factory=deque)
    """What is handed out, each once."""
    left_behind: list[Json] = field(default_factory=list)
    odd: defaultdict[str, deque[Any]] = field(default_factory=lambda: defaultdict(deque))
    """Bodies that coming calls of a kind are answered with, whatever the contract says."""
    _came: asyncio.Event = field(default_factory=asyncio.Event)
    _prepared: defaultdict[str, deque[tuple[int, Mapping[str, str], str]]] = field(
        default_factory=lambda: defaultdict(deque)
    )

    @property
    def url(self) -> str:
        """Its address."""
        return f"http://{HOST}:{self.port}"

    def prepare(self, kind: str, status: int = 200, code: str = "", **headers: str) -> None:
        """Answer a coming call of this kind so; without more of them, all is well again."""
        named = {name.replace("_", "-"): value for name, value in headers.items()}
        self._prepared[kind].append((status, named, code))

    def order(self, command: Json) -> None:
        """Hand a command out to whoever asks for one, or waits."""
        self.commands.append(command)
        self._came.set()

    def of(self, kind: str) -> list[Call]:
        """The calls of a kind: register, heartbeat, config and their like."""
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
                    writer.write(await self._answer(await _request(reader)))
            except (asyncio.IncompleteReadError, ConnectionError):
                writer.close()

        async with await asyncio.start_server(serve, HOST, self.port):
            try:
                yield
            finally:
                for writer in connections:
                    writer.close()

    async def _answer(self, call: Call) -> bytes:
        self.calls.append(call)
        prepared = self._prepared[call.kind]
        status, headers, code = prepared.popleft() if prepared else (200, {}, "")
        body = await self._body(call) if status == 200 else {"error": "No", "code": code}
        content = json.dumps(body).encode()
        told = {
            "Content-Length": str(len(content)),
            "X-Agent-Epoch": str(self.epoch),
            "X-Config-Version": str(self.config_version),
            **headers,
        }
        lines = [f"HTTP/1.1 {status} Status", *(f"{name}: {told[name]}" for name in told), "", ""]
        return "\r\n".join(lines).encode() + content

    async def _body(self, call: Call) -> Any:
        version = self.config_version
        if self.odd[call.kind]:
            return self.odd[call.kind].popleft()
        match call.kind:
            case "register":
                config = {**TEN_SETTINGS, "enabled": self.enabled}
                return {"agent_id": AGENT_ID, "client_id": AGENT_ID, "config": config}
            case "heartbeat":
                pending = bool(self.commands)
                return {"success": True, "commands_pending": pending, "config_version": version}
            case "config":
                settings = {"enabled": self.enabled, "config_version": version}
                return {"agent_id": AGENT_ID, **TEN_SETTINGS, **settings}
            case "pending-commands":
                return await self._hand_out(call)
            case "instances-to-terminate":
                return self.left_behind
            case "termination-report":
                told = call.body["instance_id"]
                self.left_behind = [e for e in self.left_behind if e["instance_id"] != told]
        return {"success": True, **WHAT_IS_DONE.get(call.kind, {})}

    async def _hand_out(self, call: Call) -> list[Json]:
        """A command, once there is one, or nothing when the caller's time is over."""
        (wait,) = re.findall(r"wait=([\d.]+)", call.path)
        try:
            async with asyncio.timeout(float(wait)):
                while not self.commands:
                    self._came.clear()
                    await self._came.wait()
        except TimeoutError:
            pass
        return [self.commands.popleft()] if self.commands else []


async def _request(reader: asyncio.StreamReader) -> Call:
    """The next request."""
    first, *lines = (await reader.readuntil(b"\r\n\r\n")).decode().split("\r\n")
    fields = dict(line.split(": ", 1) for line in lines if line)
    assert fields["Authorization"] == f"Bearer {TOKEN}"
    body = await reader.readexactly(int(fields.get("Content-Length", 0)))
    path = first.split(" ")[1]
    return Call(
        kind=path.partition("?")[0].rpartition("/")[2],
        body=json.loads(body or b"{}"),
        at=asyncio.get_running_loop().time(),
        path=path,
        fields=fields,
    )


def control_plane() -> ControlPlane:
    """One that does not serve yet, with a port of its own."""
    return ControlPlane(free_port())
