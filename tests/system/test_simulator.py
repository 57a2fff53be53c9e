"""The fleet that `spotkeeper up` brings with it: it comes, one of it crashes, one comes back."""

import asyncio
import sys
from collections.abc import AsyncIterator
from dataclasses import dataclass
from pathlib import Path

import pytest

from spotkeeper.embedded.child import free_port
from tests.stack import eventually
from tests.system.driver import Json, System, running_system

AGENTS = 5
INTERVAL_SECONDS, OFFLINE_AFTER_SECONDS = 1, 4


@dataclass
class Fleet:
    """A system with its fleet."""

    system: System
    data_dir: Path

    async def agents(self) -> dict[str, Json]:
        """The agents as the API lists them, by logical id."""
        items = (await self.system.http.get("/api/agents")).json()["items"]
        return {item["logical_agent_id"]: item for item in items}

    async def status(self, name: str) -> str:
        """The status of one of them."""
        return str((await self.agents())[name]["status"])

    async def tell(self, word: str, name: str) -> None:
        """Stop or start an agent as a person would."""
        spotkeeper = Path(sys.executable).with_name("spotkeeper")
        process = await asyncio.create_subprocess_exec(
            *(str(spotkeeper), "agents", word, name, "--data-dir", str(self.data_dir))
        )
        assert await process.wait() == 0


@pytest.fixture(scope="module")
async def fleet(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Fleet]:
    """A system with a small fleet that beats fast, and with a short silence limit."""
    folder = tmp_path_factory.mktemp("fleet")
    fast = {
        "SPOTKEEPER_AGENT_INTERVAL_SECONDS": str(INTERVAL_SECONDS),
        "SPOTKEEPER_OFFLINE_AFTER_SECONDS": str(OFFLINE_AFTER_SECONDS),
    }
    async with running_system(folder, free_port(), AGENTS, **fast) as system:
        fleet = Fleet(system, folder)

        async def all_there() -> bool:
            return len(await fleet.agents()) == AGENTS

        await eventually(all_there, within_seconds=10)
        yield fleet


async def test_a_crashed_agent_goes_offline_and_comes_back(fleet: Fleet) -> None:
    async def offline() -> bool:
        return await fleet.status("agent-02") == "offline"

    async def online() -> bool:
        return await fleet.status("agent-02") == "online"

    before = await fleet.agents()
    await fleet.tell("stop", "agent-02")
    await eventually(offline, within_seconds=OFFLINE_AFTER_SECONDS + 4)
    others = {name: a["status"] for name, a in (await fleet.agents()).items() if name != "agent-02"}
    assert "offline" not in others.values()

    await fleet.tell("start", "agent-02")
    await eventually(online, within_seconds=4)
    after = (await fleet.agents())["agent-02"]
    for key in ("agent_id", "instance_id", "epoch"):
        assert after[key] == before["agent-02"][key]


async def test_a_changed_config_reaches_its_agent(fleet: Fleet) -> None:
    agent_id = (await fleet.agents())["agent-03"]["agent_id"]

    async def disabled() -> bool:
        return await fleet.status("agent-03") == "disabled"

    changed = await fleet.system.http.patch(
        f"/api/agents/{agent_id}/config", json={"enabled": False}
    )
    assert changed.status_code == 200
    await eventually(disabled, within_seconds=INTERVAL_SECONDS * 4)


async def test_a_deleted_agent_that_lives_comes_back(fleet: Fleet) -> None:
    before = (await fleet.agents())["agent-04"]

    async def revived() -> Json | None:
        agent = (await fleet.agents()).get("agent-04")
        return agent if agent is not None and agent["epoch"] > before["epoch"] else None

    deleted = await fleet.system.http.delete(f"/api/agents/{before['agent_id']}")
    assert deleted.status_code == 200
    after = await eventually(revived, within_seconds=INTERVAL_SECONDS * 4)
    assert after is not None
    assert after["instance_id"] == before["instance_id"]
