"""The processes under measurement: starting them, and what CPU they have used."""

import asyncio
import json
import os
import sys
import tempfile
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import httpx

from spotkeeper.embedded.child import free_port

IDLE_SECONDS = 5.0
TICKS_PER_SECOND = os.sysconf("SC_CLK_TCK")


@dataclass(frozen=True)
class System:
    """A running Spotkeeper, as its ready line tells of it."""

    port: int
    token: str
    kafka: str
    postgres: str
    pids: dict[str, int]

    def cpu_seconds(self) -> dict[str, float]:
        """CPU used so far by each process with its children, in seconds."""
        return {name: cpu_seconds(pid) for name, pid in self.pids.items()}

    async def idle_cpu(self) -> dict[str, float]:
        """CPU that each process uses while nobody calls, in seconds per second."""
        before = self.cpu_seconds()
        await asyncio.sleep(IDLE_SECONDS)
        after = self.cpu_seconds()
        return {name: (after[name] - before[name]) / IDLE_SECONDS for name in before}


@asynccontextmanager
async def system() -> AsyncIterator[System]:
    """Spotkeeper without simulated agents, on a fresh data directory, stopped at the end."""
    with tempfile.TemporaryDirectory(prefix="spotkeeper-bench-") as folder:
        port = free_port()
        process = await asyncio.create_subprocess_exec(
            str(Path(sys.executable).parent / "spotkeeper"),
            *("up", "--json", "--no-agents", "--port", str(port), "--data-dir", folder),
            env={
                **os.environ,
                "SPOTKEEPER_REQUESTS_PER_SECOND": "1000000",
                "SPOTKEEPER_REQUESTS_BURST": "1000000",
            },
            stdout=asyncio.subprocess.PIPE,
            stderr=asyncio.subprocess.DEVNULL,
        )
        try:
            assert process.stdout is not None
            line = await asyncio.wait_for(process.stdout.readline(), 400)
            ready: dict[str, Any] = json.loads(line)
            yield System(
                port, ready["client_token"], ready["kafka"], ready["postgres"], ready["pids"]
            )
        finally:
            process.terminate()
            await process.wait()


@asynccontextmanager
async def baseline(name: str, **environment: str) -> AsyncIterator[tuple[int, int]]:
    """One of `benchmarks.baselines` under uvicorn; gives its port and process id."""
    port = free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        *("-m", "uvicorn", f"benchmarks.baselines.{name}:app", "--port", str(port)),
        *("--loop", "uvloop", "--http", "httptools", "--log-level", "error", "--no-access-log"),
        *("--lifespan", "off" if name == "raw" else "on"),
        env={**os.environ, **environment},
    )
    try:
        async with httpx.AsyncClient() as client:
            for _ in range(200):
                try:
                    await client.get(f"http://127.0.0.1:{port}/")
                except httpx.TransportError:
                    await asyncio.sleep(0.05)
                else:
                    break
        yield port, process.pid
    finally:
        process.terminate()
        await process.wait()


def cpu_seconds(pid: int) -> float:
    """CPU used by a process and all its living descendants, in seconds (user and system)."""
    children: dict[int, list[int]] = {}
    used: dict[int, float] = {}
    for folder in Path("/proc").iterdir():
        if not folder.name.isdecimal():
            continue
        try:
            fields = (folder / "stat").read_text().rpartition(")")[2].split()
        except OSError:
            continue  # It ended while we looked.
        id = int(folder.name)
        children.setdefault(int(fields[1]), []).append(id)
        # Ended children are counted where their parent has waited for them (cutime, cstime).
        used[id] = sum(map(int, fields[11:15])) / TICKS_PER_SECOND
    total, waiting = 0.0, [pid]
    while waiting:
        id = waiting.pop()
        total += used.get(id, 0.0)
        waiting += children.get(id, [])
    return total
