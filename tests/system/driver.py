"""A running Spotkeeper as a test drives it: over HTTP, over Kafka, and with `kill -9`."""

import asyncio
import json
import os
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import asyncpg
import httpx

from chassis import clock
from commands.invariants import violations as commands_violations
from registry.invariants import violations as registry_violations
from spotkeeper_contracts import Topic
from spotkeeper_contracts.values import rfc3339
from tests.stack import read_topic

ROOT = Path(__file__).parents[2]
ADMIN_TOKEN = "admin-token-of-the-tests"

Json = dict[str, Any]


@dataclass
class System:
    """Everything `spotkeeper up` started, with clients for it."""

    ready: Json
    http: httpx.AsyncClient
    admin: httpx.AsyncClient
    process: asyncio.subprocess.Process

    @property
    def gateway(self) -> str:
        """The gateway's address."""
        return str(self.ready["gateway"])

    @property
    def kafka(self) -> str:
        """Kafka's bootstrap servers."""
        return str(self.ready["kafka"])

    async def register(self, **changes: Any) -> "Agent":
        """Register a new agent of the demo client and return it."""
        agent = Agent(self, registration(**changes))
        agent.answer = (await agent.register()).json()
        return agent

    async def client(self, name: str = "another") -> httpx.AsyncClient:
        """A client of its own, with its token."""
        answer = await self.admin.post(
            "/api/admin/clients", json={"name": name, "email": f"{name}@example.com"}
        )
        assert answer.status_code == 201, answer.text
        return self.with_token(answer.json()["client"]["token"])

    def with_token(self, token: str) -> httpx.AsyncClient:
        """An HTTP client that bears a token."""
        return httpx.AsyncClient(
            base_url=self.gateway, headers={"Authorization": f"Bearer {token}"}, timeout=30
        )

    def pid(self, name: str) -> int:
        """The process id that a service, the broker or the database has now."""
        word = {"kafka": "kafka.Kafka", "postgres": "/postgres"}.get(name, f"-m {name}")
        for pid, (parent, command) in (processes := _processes()).items():
            grandparent, _ = processes.get(parent, (0, ""))  # Services are forks of a child.
            if self.process.pid in (parent, grandparent) and word in command:
                return pid
        raise AssertionError(f"{name} does not run")

    def kill(self, name: str) -> None:
        """`kill -9` one process; the supervisor starts it again."""
        os.kill(self.pid(name), signal.SIGKILL)

    async def violations(self) -> dict[str, list[str]]:
        """What the services' own checks of their data find wrong: nothing, it is hoped."""
        found: dict[str, list[str]] = {}
        for name, check in (("registry", registry_violations), ("commands", commands_violations)):
            db = await asyncpg.connect(
                self.ready["postgres"], server_settings={"search_path": name}
            )
            try:
                found |= await check(db)
            finally:
                await db.close()
        return found

    async def messages(self, topic: Topic, agent_id: str | None = None) -> list[Json]:
        """All messages of a topic so far (of one agent), each with its type under `type`."""
        messages = []
        for record in await read_topic(self.kafka, topic):
            headers = {name: value.decode() for name, value in record.headers}
            value = json.loads(record.value) if record.value else {}
            if agent_id is None or (isinstance(value, dict) and value.get("agent_id") == agent_id):
                about = {"type": headers.get("ce_type"), "id": headers.get("ce_id")}
                messages.append({**value, **about} if isinstance(value, dict) else about)
        return messages


@dataclass
class Agent:
    """One agent, speaking for the instance it registered last."""

    system: System
    registration: Json
    answer: Json = field(default_factory=dict)

    @property
    def id(self) -> str:
        """The agent's id, once registered."""
        return str(self.answer["agent_id"])

    @property
    def path(self) -> str:
        """The agent's place in the API."""
        return f"/api/agents/{self.id}"

    async def register(self, **changes: Any) -> httpx.Response:
        """Register (again), with some fields changed for good."""
        self.registration |= changes
        answer = await self.system.http.post("/api/agents/register", json=self.registration)
        assert answer.status_code == 200, answer.text
        return answer

    async def heartbeat(self, status: str = "online", **fields: Any) -> httpx.Response:
        """Beat."""
        return await self.post("heartbeat", {"status": status, **fields})

    async def get(self, place: str = "", **options: Any) -> httpx.Response:
        """GET something of the agent."""
        return await self.system.http.get(f"{self.path}/{place}".rstrip("/"), **options)

    async def post(self, place: str, body: Any = None, **options: Any) -> httpx.Response:
        """POST something of the agent."""
        return await self.system.http.post(f"{self.path}/{place}", json=body, **options)

    async def change(self, **settings: Any) -> httpx.Response:
        """PATCH the agent's config."""
        return await self.system.http.patch(f"{self.path}/config", json=settings)

    async def issue_switch(
        self, target_pool: str | None = "t3.medium.us-east-1b", **options: Any
    ) -> httpx.Response:
        """Ask for a switch; without a pool it is to on demand."""
        target_type = "ondemand" if target_pool is None else "spot"
        body = {"target_pool": target_pool, "target_type": target_type, "reason": "cost"}
        return await self.post("issue-switch-command", body, **options)

    async def fetch(self, wait: float = 0, **options: Any) -> list[Json]:
        """Fetch what the agent is to do."""
        answer = await self.get("pending-commands", params={"wait": wait}, **options)
        assert answer.status_code == 200, answer.text
        return list(answer.json())

    async def report_switch(self, new_instance_id: str, **changes: Any) -> httpx.Response:
        """Report a switch from the registered instance to a new one in another zone."""
        return await self.post("switch-report", self.switch_report(new_instance_id, **changes))

    def switch_report(self, new_instance_id: str, **changes: Any) -> Json:
        """The documented body of a switch report."""
        told = ("instance_id", "instance_type", "mode", "az", "region", "ami_id")
        old = {name: self.registration[name] for name in told}
        old["pool_id"] = f"{old['instance_type']}.{old['az']}"
        new = {**old, "instance_id": new_instance_id, "az": "us-east-1b"}
        return {
            "old_instance": old,
            "new_instance": {**new, "pool_id": "t3.medium.us-east-1b"},
            "pricing": {"old_spot": 0.0104, "new_spot": 0.0098, "on_demand": 0.0416},
            "timing": {"initiated_at": rfc3339(clock.now())},
            "trigger": "manual",
            "downtime_seconds": 12.0,
            **changes,
        }

    async def detail(self) -> Json:
        """The agent as the API shows it."""
        return dict((await self.get()).json())


def registration(**changes: Any) -> Json:
    """The documented body of a registration, of an agent that nobody else uses."""
    word = clock.new_id().hex[-12:]
    return {
        "logical_agent_id": f"test-{word}",
        "instance_id": f"i-{word}",
        "instance_type": "t3.medium",
        "region": "us-east-1",
        "az": "us-east-1a",
        "mode": "spot",
        "hostname": "ip-10-0-1-100",
        "ami_id": "ami-123456",
        "agent_version": "4.0.0",
        "private_ip": "10.0.1.100",
        "public_ip": "54.123.45.67",
        **changes,
    }


@asynccontextmanager
async def running_system(
    data_dir: Path, port: int, agents: int = 0, /, **environment: str
) -> AsyncIterator[System]:
    """`spotkeeper up` on a data directory, ready; ended by Ctrl-C, after which nothing is left."""
    process = await asyncio.create_subprocess_exec(
        str(Path(sys.executable).parent / "spotkeeper"),
        *("up", "--json", "--agents", str(agents)),
        *("--port", str(port), "--data-dir", str(data_dir)),
        cwd=ROOT,
        env={**os.environ, "SPOTKEEPER_ADMIN_TOKEN": ADMIN_TOKEN, **environment},
        stdout=asyncio.subprocess.PIPE,
    )
    try:
        assert process.stdout is not None
        line = await asyncio.wait_for(process.stdout.readline(), 200)
        ready = json.loads(line)
        async with (
            httpx.AsyncClient(
                base_url=ready["gateway"],
                headers={"Authorization": f"Bearer {ready['client_token']}"},
                timeout=30,
                limits=httpx.Limits(max_connections=200),
            ) as http,
            httpx.AsyncClient(
                base_url=ready["gateway"],
                headers={"Authorization": f"Bearer {ADMIN_TOKEN}"},
                timeout=30,
            ) as admin,
        ):
            yield System(ready, http, admin, process)
    finally:
        if process.returncode is None:
            process.send_signal(signal.SIGINT)
            await asyncio.wait_for(process.wait(), 60)


def _processes() -> dict[int, tuple[int, str]]:
    """All processes: the parent and the command line of each."""
    found = {}
    for folder in Path("/proc").glob("[0-9]*"):
        try:
            parent = int((folder / "stat").read_text().rpartition(")")[2].split()[1])
            command = (folder / "cmdline").read_text().replace("\0", " ")
        except OSError:
            continue  # It ended while we looked.
        found[int(folder.name)] = (parent, command)
    return found
