"""`spotkeeper up` as a person or another tool uses it: one process that runs everything."""

import asyncio
import json
import os
import pty
import signal
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx
import pytest

from spotkeeper.embedded.child import HOST, free_port
from spotkeeper.folder import DataFolder
from tests.cli.test_child import lives
from tests.cli.test_forks import parent_of
from tests.stack import eventually

READY_SECONDS = 180.0
AGENT = {
    "logical_agent_id": "kept",
    "instance_id": "i-0123456789abcdef0",
    "instance_type": "t3.medium",
    "region": "us-east-1",
    "az": "us-east-1a",
    "mode": "spot",
}
IN_A_TERMINAL = """
import fcntl, os, sys, termios
os.setsid()
fcntl.ioctl(0, termios.TIOCSCTTY, 0)
os.execv(sys.argv[1], sys.argv[1:])
"""


@dataclass
class Up:
    """A running `spotkeeper up`, and what it said when it was ready."""

    process: asyncio.subprocess.Process
    ready: dict[str, Any]
    migrating: Path
    """The log of the registry's migrations."""

    migrated: int
    """How long that log was before."""

    def client(self) -> httpx.AsyncClient:
        """A client of the gateway with the demo token."""
        headers = {"Authorization": f"Bearer {self.ready['client_token']}"}
        return httpx.AsyncClient(base_url=self.ready["gateway"], headers=headers, timeout=20)

    async def answers(self) -> bool:
        """Whether an agent can be registered and listed: all parts work together."""
        try:
            async with self.client() as http:
                registered = await http.post("/api/agents/register", json=AGENT)
                return registered.is_success and await self.agents() == ["kept"]
        except httpx.HTTPError:
            return False

    async def agents(self) -> list[str]:
        """The logical ids of all agents."""
        async with self.client() as http:
            answer = (await http.get("/api/agents")).raise_for_status()
        return [agent["logical_agent_id"] for agent in answer.json()["items"]]

    async def kill(self, name: str) -> None:
        """`kill -9` for one of its processes."""
        pid = self.ready["pids"][name]
        os.kill(pid, signal.SIGKILL)
        await eventually(lambda: not lives(pid), within_seconds=5)

    async def end(self, word: signal.Signals) -> int:
        """End it by a signal, and return its exit status."""
        if self.process.returncode is None:
            self.process.send_signal(word)
        return await asyncio.wait_for(self.process.wait(), 60)


def descendants(pid: int) -> list[int]:
    """The processes that a process has started, those that they have, and so on."""
    found = []
    for children in Path(f"/proc/{pid}/task").glob("*/children"):
        try:
            started = [int(child) for child in children.read_text().split()]
        except OSError:
            continue  # It ended while we looked.
        found += [each for child in started for each in (child, *descendants(child))]
    return found


async def spawn(folder: Path, *options: str, **variables: str) -> asyncio.subprocess.Process:
    return await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spotkeeper", "up", "--json", "--no-agents"),
        *("--data-dir", str(folder), *options),
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
        env={**os.environ, **variables},
    )


@asynccontextmanager
async def running_up(folder: Path, *options: str, **variables: str) -> AsyncIterator[Up]:
    """`spotkeeper up` once it is ready; stopped at the end if it still runs."""
    process = await spawn(folder, "--port", str(free_port()), *options, **variables)
    assert process.stdout is not None
    assert process.stderr is not None
    migrating = folder / "logs" / "registry-migrate.log"
    up = Up(process, {}, migrating, migrating.stat().st_size if migrating.exists() else 0)
    try:
        line = await asyncio.wait_for(process.stdout.readline(), READY_SECONDS)
        assert line, (await process.stderr.read()).decode()
        up.ready = json.loads(line)
        yield up
    finally:
        await up.end(signal.SIGTERM)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return tmp_path_factory.mktemp("up")


@pytest.fixture(scope="module")
async def first(folder: Path) -> AsyncIterator[Up]:
    """The start that makes a stack."""
    async with running_up(folder, SPOTKEEPER_ADMIN_TOKEN="chosen") as up:
        assert await up.answers()
        yield up


@pytest.fixture(scope="module")
async def again(folder: Path, first: Up) -> AsyncIterator[Up]:
    """A later start over the same data, which is killed in the end."""
    await first.end(signal.SIGTERM)
    async with running_up(folder) as up:
        yield up


async def test_a_stack_is_made_and_stopped(first: Up) -> None:
    assert first.ready["admin_token"] == "chosen"
    assert {"kafka", "postgres", "gateway", "registry", "heartbeat"} <= set(first.ready["pids"])
    assert set(first.ready["operations"]) >= {"gateway", "registry", "heartbeat"}
    assert await first.end(signal.SIGTERM) == 0
    assert not [name for name, pid in first.ready["pids"].items() if lives(pid)]


async def test_a_stack_that_is_started_again_knows_all_it_knew(again: Up) -> None:
    assert await again.agents() == ["kept"]
    assert 0 < again.migrated == again.migrating.stat().st_size


@pytest.mark.usefixtures("again")
async def test_all_that_it_keeps_is_known_as_its_own(folder: Path) -> None:
    own = {entry.name for entry in DataFolder(folder).contents}
    assert set(os.listdir(folder)) == {"lock", *own} - {"control"}


async def test_a_second_up_over_the_same_data_is_refused(folder: Path, again: Up) -> None:
    second = await spawn(folder, "--port", str(free_port()))
    output, errors = await second.communicate()
    assert (second.returncode, output) == (1, b"")
    assert errors.decode().count("\n") == 1
    assert "runs Spotkeeper over" in errors.decode()


async def test_whatever_is_killed_comes_back(again: Up) -> None:
    assert await again.answers()
    for name in ("gateway", "registry", "heartbeat", "postgres", "kafka"):
        await again.kill(name)
        await eventually(again.answers, within_seconds=120)
    if sys.platform == "linux":  # /proc tells who forked them, and its end is theirs.
        pid = again.ready["pids"]["commands"]
        os.kill(parent_of(pid), signal.SIGKILL)
        await eventually(lambda: not lives(pid), within_seconds=5)
        await eventually(again.answers, within_seconds=120)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent's death signal")
async def test_nothing_outlives_a_killed_up(again: Up) -> None:
    processes = descendants(again.process.pid)
    assert len(processes) > len(again.ready["pids"])
    await again.end(signal.SIGKILL)
    await eventually(lambda: not any(lives(pid) for pid in processes), within_seconds=30)


async def test_a_closed_terminal_stops_it_in_an_orderly_way(folder: Path) -> None:
    ours, terminal = pty.openpty()
    up = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", IN_A_TERMINAL, sys.executable, "-m", "spotkeeper", "up"),
        *("--no-agents", "--port", str(free_port()), "--data-dir", str(folder)),
        stdin=terminal,
        stdout=terminal,
        stderr=terminal,
    )
    os.close(terminal)
    shown = b""
    while b"client-token" not in shown:
        shown += await asyncio.to_thread(os.read, ours, 4096)
    os.close(ours)
    assert await asyncio.wait_for(up.wait(), 15) == 0


async def test_a_taken_port_is_refused(tmp_path: Path) -> None:
    server = await asyncio.start_server(lambda reader, writer: None, HOST, 0)
    async with server:
        port = server.sockets[0].getsockname()[1]
        process = await spawn(tmp_path, "--port", str(port))
        output, errors = await process.communicate()
    assert (process.returncode, output) == (1, b"")
    assert errors.decode() == (
        f"spotkeeper: The gateway needs port {port} on {HOST}, but it is taken.\n"
    )
