"""A fleet as a process: its burst, its silences, its end, and what it costs."""

import asyncio
import os
import signal
import sys
from collections import Counter
from collections.abc import AsyncIterator, Collection, Sequence
from contextlib import asynccontextmanager
from pathlib import Path

import pytest

from spotkeeper_agent.api import CONNECTIONS
from spotkeeper_agent.control import Control, ControlError
from tests.agent.control_plane import TOKEN, ControlPlane
from tests.agent.worlds import switch_command
from tests.stack import eventually

AGENTS = 25
BURST_SECONDS = 2.0
REACTION_SECONDS = 1.0
MOST_KIB = 93 * 1024
LOG = "log"
MODULE = ("-m", "spotkeeper_agent")
IN_A_SHORT_BURST = (
    "-c",
    "from spotkeeper_agent import __main__, world; "
    "world.REGISTRATIONS_PER_SECOND = 1_000; __main__.app()",
)
"""The same, but with a burst as short as a small fleet's."""


@asynccontextmanager
async def running_fleet(
    plane: ControlPlane,
    folder: Path,
    *,
    agents: int = AGENTS,
    interval_seconds: float = 1.0,
    program: Sequence[str] = MODULE,
) -> AsyncIterator[asyncio.subprocess.Process]:
    """A simulator that runs until the end of the context, if not shorter."""
    with (folder / LOG).open("wb") as log:
        process = await asyncio.create_subprocess_exec(
            *(sys.executable, *program, "simulate"),
            *("--gateway", plane.url, "--agents", str(agents), "--control-dir", str(folder)),
            *("--interval-seconds", str(interval_seconds)),
            env={**os.environ, "SPOTKEEPER_TOKEN": TOKEN},
            stdout=log,
        )
    try:
        yield process
    finally:
        if process.returncode is None:
            process.terminate()
            await asyncio.wait_for(process.wait(), 5)


def beating(plane: ControlPlane) -> Counter[str]:
    """How often each instance has beaten so far."""
    return Counter(call.body["instance_id"] for call in plane.of("heartbeat"))


async def registered(plane: ControlPlane, agents: int = AGENTS) -> dict[str, str]:
    """The instances of the fleet by name, once all are registered."""
    await eventually(lambda: len(plane.of("register")) >= agents, within_seconds=120)
    bodies = [call.body for call in plane.of("register")]
    return {body["logical_agent_id"]: body["instance_id"] for body in bodies}


async def crash(folder: Path, name: str) -> None:
    """Stop an agent, and wait until the fleet says that it has crashed."""
    Control(folder).stop(name)
    log = folder / LOG
    await eventually(lambda: f"{name} crashes" in log.read_text(), within_seconds=REACTION_SECONDS)


async def beats_of(plane: ControlPlane, instances: Collection[str], more: int) -> Counter[str]:
    """All beats, once each of these instances has beaten some more times."""
    before = beating(plane)
    await eventually(
        lambda: all(beating(plane)[i] >= before[i] + more for i in instances), within_seconds=10
    )
    return beating(plane)


def peak_kib(pid: int) -> int:
    """The most memory that a process has had."""
    status = Path(f"/proc/{pid}/status").read_text()
    (peak,) = [line.split()[1] for line in status.splitlines() if line.startswith("VmHWM")]
    return int(peak)


async def test_a_fleet_registers_in_a_spread_burst_and_beats(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async with running_fleet(plane, tmp_path):
        instances = await registered(plane)
        await eventually(lambda: len(beating(plane)) == AGENTS, within_seconds=5)
    times = [call.at for call in plane.of("register")]
    assert sorted(instances) == [f"agent-{n:02}" for n in range(1, AGENTS + 1)]
    assert 0.5 < max(times) - min(times) < BURST_SECONDS
    assert plane.connections < 2 * AGENTS  # Each waits for commands on one of its own.


async def test_a_stopped_agent_falls_silent_alone_and_comes_back(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async with running_fleet(plane, tmp_path, interval_seconds=0.4):
        instances = await registered(plane)
        silent = instances.pop("agent-07")
        await crash(tmp_path, "agent-07")
        before = await beats_of(plane, instances.values(), 1)  # One of its own was on its way.
        after = await beats_of(plane, instances.values(), 3)
        assert after[silent] == before[silent]

        Control(tmp_path).start("agent-07")
        await eventually(
            lambda: len(plane.of("register")) > AGENTS, within_seconds=REACTION_SECONDS
        )
    (back,) = plane.of("register")[AGENTS:]
    assert back.body["logical_agent_id"] == "agent-07"
    assert back.body["instance_id"] == silent


async def test_a_stopped_agent_stays_silent_when_the_fleet_is_started_again(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async with running_fleet(plane, tmp_path, interval_seconds=0.4):
        first = await registered(plane)
        await crash(tmp_path, "agent-07")
    plane.calls.clear()
    async with running_fleet(plane, tmp_path, interval_seconds=0.4):
        again = await registered(plane, AGENTS - 1)
        await eventually(lambda: len(beating(plane)) == AGENTS - 1, within_seconds=5)
    assert again == {name: i for name, i in first.items() if name != "agent-07"}


@pytest.mark.parametrize("word", [signal.SIGTERM, signal.SIGINT])
async def test_a_fleet_ends_at_once_without_goodbyes(
    plane: ControlPlane, tmp_path: Path, word: signal.Signals
) -> None:
    async with running_fleet(plane, tmp_path) as process:
        await registered(plane)
        process.send_signal(word)
        assert await asyncio.wait_for(process.wait(), 1) == 0
    assert {call.body.get("status") for call in plane.of("heartbeat")} <= {"online"}


async def test_nobody_is_stopped_who_is_not_there(plane: ControlPlane, tmp_path: Path) -> None:
    control = Control(tmp_path)
    with pytest.raises(ControlError, match="No simulated fleet runs with"):
        control.stop("agent-01")
    async with running_fleet(plane, tmp_path):
        await registered(plane)
        with pytest.raises(ControlError, match="has no agent-26; there are agent-01 to agent-25"):
            control.stop("agent-26")
    with pytest.raises(ControlError, match="No simulated fleet runs with"):
        control.start("agent-01")


def test_a_stopped_agent_is_not_interrupted(tmp_path: Path) -> None:
    control = Control(tmp_path)
    control.open(["agent-01"])
    control.stop("agent-01")
    with pytest.raises(ControlError, match="agent-01 is stopped"):
        control.interrupt("agent-01")
    control.start("agent-01")
    assert control.take_interrupted() == set()
    control.interrupt("agent-01")
    assert control.take_interrupted() == {"agent-01"}


@pytest.mark.parametrize(
    ("word", "name", "sentence"),
    [
        ("stop", "folder", "No simulated fleet runs with {}.\n"),
        ("start", "folder", "No simulated fleet runs with {}.\n"),
        ("stop", "file", "[Errno 20] Not a directory: '{}/fleet'\n"),
    ],
)
async def test_a_refusal_is_one_sentence(
    tmp_path: Path, word: str, name: str, sentence: str
) -> None:
    (tmp_path / "file").touch()
    folder = tmp_path / name
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", "spotkeeper_agent", word, "agent-01"),
        *("--control-dir", str(folder)),
        stderr=asyncio.subprocess.PIPE,
    )
    _, errors = await process.communicate()
    assert process.returncode == 1
    assert errors.decode() == sentence.format(folder)


@pytest.mark.slow
@pytest.mark.skipif(sys.platform != "linux", reason="reads the memory from /proc")
async def test_a_thousand_agents_are_no_burden(plane: ControlPlane, tmp_path: Path) -> None:
    async with running_fleet(
        plane, tmp_path, agents=1_000, interval_seconds=60, program=IN_A_SHORT_BURST
    ) as process:
        instances = await registered(plane, 1_000)
        assert peak_kib(process.pid) < MOST_KIB
    assert len(instances) == 1_000
    assert plane.connections <= 2 * CONNECTIONS


async def test_a_fleet_that_is_killed_comes_back_on_the_instances_it_moved_to(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async with running_fleet(plane, tmp_path, agents=1, interval_seconds=0.3):
        (home,) = (await registered(plane, 1)).values()
        kind, az = plane.of("register")[0].body["instance_type"], "us-east-1b"
        expected = {"expected_instance_id": home, "expected_pool": None, "epoch": 1}
        plane.order({**switch_command(**expected), "target_pool": f"{kind}.{az}"})
        await eventually(lambda: bool(plane.of("switch-report")), within_seconds=10)
    report = plane.of("switch-report")[0].body
    moved_to = report["new_instance"]["instance_id"]
    assert report["old_instance"]["instance_id"] == home

    plane.calls.clear()
    async with running_fleet(plane, tmp_path, agents=1, interval_seconds=0.3):
        await eventually(lambda: len(plane.of("register")) == 2, within_seconds=10)
    assert {call.body["instance_id"] for call in plane.of("register")} == {home, moved_to}


async def test_an_interrupted_agent_tells_of_it_and_ends_with_its_instance(
    plane: ControlPlane, tmp_path: Path
) -> None:
    async with running_fleet(plane, tmp_path, agents=3, interval_seconds=0.3):
        instances = await registered(plane, 3)
        await eventually(lambda: len(beating(plane)) == 3, within_seconds=5)
        for name in instances:
            Control(tmp_path).interrupt(name)
        await eventually(lambda: bool(plane.of("termination-imminent")), within_seconds=10)
    told = plane.of("rebalance-recommendation")[0].body["instance_id"]
    assert told in instances.values()
    assert not Control(tmp_path).take_interrupted()
