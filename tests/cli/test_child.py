"""Processes that never outlive the one that started them, and the supervision of those that end."""

import asyncio
import os
import signal
import sys
from pathlib import Path

import pytest

from spotkeeper import supervisor
from spotkeeper.embedded.child import LOWEST_PORT, Child, Command, free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.supervisor import keep_running
from tests.stack import eventually

PARENT = """
import asyncio, sys
from pathlib import Path
from spotkeeper.embedded.child import LOWEST_PORT, Child, Command, free_port

async def main():
    child = Command("child", ["sleep", "600"], log=Path(sys.argv[1]))
    await child.start()
    print(child.pid, flush=True)
    await child.ended()

asyncio.run(main())
"""


def lives(pid: int) -> bool:
    """Whether a process runs; one that has ended and waits for its parent does not."""
    try:
        state = Path(f"/proc/{pid}/stat").read_text().rpartition(")")[2].split()[0]
    except (FileNotFoundError, ProcessLookupError):
        return False
    return state != "Z"


def child(tmp_path: Path, *command: str) -> Child:
    return Command("child", command, log=tmp_path / "child.log")


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent's death signal")
async def test_a_child_dies_with_a_parent_that_was_killed(tmp_path: Path) -> None:
    parent = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", PARENT, str(tmp_path / "log")), stdout=asyncio.subprocess.PIPE
    )
    assert parent.stdout is not None
    pid = int(await parent.stdout.readline())
    assert lives(pid)
    parent.kill()
    await parent.wait()
    await eventually(lambda: not lives(pid), within_seconds=5)


async def test_a_child_that_does_not_stop_is_killed(tmp_path: Path) -> None:
    deaf = child(tmp_path, "sh", "-c", "trap '' TERM; echo deaf; while :; do sleep 1; done")
    await deaf.start()
    await eventually(lambda: "deaf" in deaf.log.read_text(), within_seconds=5)
    await deaf.stop(within_seconds=0.2)
    assert await deaf.ended() == -signal.SIGKILL


async def test_the_end_of_a_child_while_it_starts_is_told_with_its_last_words(
    tmp_path: Path,
) -> None:
    async def never() -> bool:
        return False

    failing = child(tmp_path, "sh", "-c", "echo the disk is full; exit 3")
    await failing.start()
    with pytest.raises(StackError, match="child ended while starting: the disk is full"):
        await failing.until(never, within_seconds=10)


async def test_of_a_line_in_json_the_error_alone_is_told(tmp_path: Path) -> None:
    line = '{"error": "OSError(28)", "event": "ended", "exception": "Traceback…"}'
    failing = child(tmp_path, "echo", line)
    await failing.start()
    await failing.ended()
    assert failing.last_words() == f"OSError(28) (see {failing.log})"


async def test_what_was_started_wrongly_is_not_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    part = child(tmp_path, "sh", "-c", "echo 'Error: fast is no number'; exit 2")
    await part.start()
    with pytest.raises(StackError, match="child was started wrongly: Error: fast is no number"):
        await keep_running(part, told.append)
    assert told == []


async def test_a_later_start_that_ends_with_2_is_repeated(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(supervisor, "FIRST_PAUSE_SECONDS", 0.0)
    told: list[str] = []
    once = "if [ -e once ]; then exit 2; else touch once; exit 1; fi"
    part = Command("child", ["sh", "-c", once], log=tmp_path / "log", directory=tmp_path)
    await part.start()
    keeping = asyncio.create_task(keep_running(part, told.append))
    try:
        await eventually(lambda: len(told) > 2, within_seconds=5)
        assert ["status 1" in told[0], "status 2" in told[1], "status 2" in told[2]] == [True] * 3
    finally:
        keeping.cancel()
        await part.stop()


async def test_what_was_killed_is_started_again(tmp_path: Path) -> None:
    told: list[str] = []
    part = child(tmp_path, "sleep", "600")
    await part.start()
    first = part.pid
    keeping = asyncio.create_task(keep_running(part, told.append))
    try:
        os.kill(first, signal.SIGKILL)
        await eventually(lambda: part.pid != first and part.running, within_seconds=5)
        assert told == ["child ended with status -9; starting it again in 0.2 s"]
    finally:
        keeping.cancel()
        await part.stop()


def test_a_preferred_port_is_given_out_once() -> None:
    first = free_port(LOWEST_PORT)
    assert free_port(first) > first
