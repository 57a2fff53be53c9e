"""`kill -9` and restarts under traffic: nothing acknowledged is lost, nothing happens twice."""

import asyncio
import os
import signal
from collections import Counter
from dataclasses import dataclass, field
from typing import Any

import httpx
import pytest

from chassis import clock
from spotkeeper_contracts.topics import AGENT_EVENTS, AGENT_PRESENCE, AGENT_STATE
from tests.stack import eventually
from tests.system.driver import Agent, System, registration
from tests.system.outages.conftest import OFFLINE_AFTER_SECONDS

pytestmark = pytest.mark.timeout(600)
FROZEN_SECONDS = OFFLINE_AFTER_SECONDS + 1.0
"""Longer than the silence that makes an agent offline, and than a client waits for Kafka."""
MAY_FAIL = {503, 504}


@dataclass
class Traffic:
    """Agents that beat, register and change configs, and a journal of what was acknowledged."""

    system: System
    agents: list[Agent] = field(default_factory=list)
    registered: dict[str, str] = field(default_factory=dict)
    changes: Counter[str] = field(default_factory=Counter)
    statuses: Counter[int] = field(default_factory=Counter)
    bad: list[str] = field(default_factory=list)
    _tasks: list[asyncio.Task[None]] = field(default_factory=list)

    async def __aenter__(self) -> "Traffic":
        self.agents = [await self.system.register() for _ in range(12)]
        self._tasks = [asyncio.create_task(self._beat(agent)) for agent in self.agents]
        self._tasks += [asyncio.create_task(self._change(agent)) for agent in self.agents[:6]]
        self._tasks += [asyncio.create_task(self._register()) for _ in range(3)]
        return self

    async def __aexit__(self, *_: object) -> None:
        for task in self._tasks:
            task.cancel()
        await asyncio.gather(*self._tasks, return_exceptions=True)

    async def _beat(self, agent: Agent) -> None:
        while True:
            await self._send(self.system.http.post, f"{agent.path}/heartbeat", {"status": "online"})
            await asyncio.sleep(0.5)

    async def _change(self, agent: Agent) -> None:
        """Each change is retried under its own key until it is acknowledged."""
        while True:
            self.changes[agent.id] += 1
            body = {"terminate_wait_seconds": 1_000 + self.changes[agent.id]}
            await self._until_acknowledged("patch", f"{agent.path}/config", body)
            await asyncio.sleep(0.1)

    async def _register(self) -> None:
        while True:
            body = registration()
            answer = await self._until_acknowledged("post", "/api/agents/register", body)
            self.registered[body["logical_agent_id"]] = answer["agent_id"]
            await asyncio.sleep(0.1)

    async def _until_acknowledged(self, method: str, path: str, body: Any) -> Any:
        headers = {"Idempotency-Key": str(clock.new_id())}
        send = getattr(self.system.http, method)

        async def acknowledged() -> httpx.Response | None:
            return await self._send(send, path, body, headers)

        answer = await eventually(acknowledged, within_seconds=150, every=0.2)
        assert answer is not None
        return answer.json()

    async def _send(
        self, send: Any, path: str, body: Any, headers: dict[str, str] | None = None
    ) -> httpx.Response | None:
        try:
            answer: httpx.Response = await send(path, json=body, headers=headers)
        except httpx.TransportError:
            return None
        self.statuses[answer.status_code] += 1
        if answer.status_code == 200:
            return answer
        if answer.status_code not in MAY_FAIL or sorted(answer.json()) != ["code", "error"]:
            self.bad.append(f"{answer.status_code} {answer.text}")
        return None

    async def check(self) -> None:
        """What was acknowledged is there, once; nobody was called offline."""
        assert not self.bad, self.bad[:5]
        assert self.statuses[200] > 20
        states = {s["agent_id"]: s for s in await self.system.messages(AGENT_STATE)}
        for logical_id, agent_id in self.registered.items():
            assert states[agent_id]["logical_agent_id"] == logical_id
        # A change that nobody waits for any more may still be made: the events are read last.
        shown = {one.id: (await one.get("config")).json()["config_version"] for one in self.agents}
        events = await self.system.messages(AGENT_EVENTS)
        made = Counter(
            e["agent_id"]
            for e in {e["id"]: e for e in events}.values()
            if e["type"] == "AgentRegistered.v1"
        )
        assert [made[agent_id] for agent_id in self.registered.values()] == [1] * len(
            self.registered
        )
        for agent in self.agents[:6]:
            acknowledged = self.changes[agent.id]
            versions = [
                e["config"]["config_version"]
                for e in {e["id"]: e for e in events}.values()
                if e["type"] == "AgentConfigChanged.v1" and e["agent_id"] == agent.id
            ]
            told = len(versions) + 1
            assert versions == list(range(2, told + 1))
            assert acknowledged <= shown[agent.id] <= told <= acknowledged + 1
        presence = await self.system.messages(AGENT_PRESENCE)
        beating = {agent.id for agent in self.agents}
        wrong = [e for e in presence if e["agent_id"] in beating and "Offline" in e["type"]]
        assert not wrong


async def works_again(traffic: Traffic) -> None:
    """Until every kind of call has succeeded anew."""
    registered, changed = len(traffic.registered), sum(traffic.changes.values())

    def moved() -> bool:
        return len(traffic.registered) > registered + 3 and (
            sum(traffic.changes.values()) > changed + 12
        )

    await eventually(moved, within_seconds=150)


@pytest.mark.parametrize("name", ["gateway", "registry", "heartbeat", "kafka", "postgres"])
async def test_kill_9_under_traffic_loses_and_doubles_nothing(fragile: System, name: str) -> None:
    async with Traffic(fragile) as traffic:
        await works_again(traffic)
        fragile.kill(name)
        await works_again(traffic)
    await traffic.check()


@pytest.mark.slow
@pytest.mark.parametrize("name", ["registry", "heartbeat", "kafka"])
async def test_a_process_frozen_under_traffic_loses_and_doubles_nothing(
    fragile: System, name: str
) -> None:
    async with Traffic(fragile) as traffic:
        await works_again(traffic)
        pid = fragile.pid(name)
        os.kill(pid, signal.SIGSTOP)
        thaws_at = clock.monotonic() + FROZEN_SECONDS
        await eventually(lambda: clock.monotonic() >= thaws_at, within_seconds=FROZEN_SECONDS + 5)
        os.kill(pid, signal.SIGCONT)
        await works_again(traffic)
    await traffic.check()
