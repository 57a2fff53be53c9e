"""Programs that are forked off one that has loaded what they share."""

import asyncio
import os
import signal
import sys
from collections.abc import AsyncIterator, Mapping
from pathlib import Path

import pytest

from spotkeeper.embedded.child import Child, Process
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.forks import ForkServer
from tests.cli.test_child import lives
from tests.stack import eventually

TELLER = """
import os, sys
print(__name__, sys.argv[1:], dict(os.environ), sys.stdin.read(), "chassis.service" in sys.modules)
sys.exit(7)
"""
PARENT_OF_ONE = """
import subprocess, time
print(subprocess.Popen(["sleep", "600"]).pid, flush=True)
time.sleep(600)
"""
USER = """
import asyncio
from pathlib import Path
from spotkeeper.embedded.forks import ForkServer

async def main():
    forks = ForkServer(log=Path("forkserver.log"))
    print((await forks.fork("parent", log=Path("log"), environment={})).pid, flush=True)
    await asyncio.sleep(600)

asyncio.run(main())
"""


class Run(Child):
    """A module as a child."""

    def __init__(self, forks: ForkServer, *words: str, log: Path) -> None:
        super().__init__("run", log=log)
        self._forks, self._words = forks, words

    async def _launch(self) -> Process:
        environment: Mapping[str, str] = {"TOLD": "so"}
        return await self._forks.fork(*self._words, log=self.log, environment=environment)


@pytest.fixture(scope="module")
def programs(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The folder of the programs."""
    folder = tmp_path_factory.mktemp("programs")
    (folder / "teller.py").write_text(TELLER)
    (folder / "parent.py").write_text(PARENT_OF_ONE)
    return folder


@pytest.fixture(scope="module")
async def forks(programs: Path) -> AsyncIterator[ForkServer]:
    """One server for all tests: it starts anew after it was killed or stopped."""
    server = ForkServer(log=programs / "forkserver.log")
    with pytest.MonkeyPatch.context() as patch:
        patch.setenv("PYTHONPATH", str(programs))
        yield server
        await server.stop()


async def child_of(run: Child) -> int:
    """The process that the `parent` module started."""
    return int(await eventually(lambda: run.log.exists() and run.log.read_text(), within_seconds=9))


def parent_of(pid: int) -> int:
    """The process that started a process."""
    return int(Path(f"/proc/{pid}/stat").read_text().split()[3])


async def test_a_fork_is_the_program_with_its_words_and_surroundings(
    forks: ForkServer, tmp_path: Path
) -> None:
    run = Run(forks, "teller", "one", "two", log=tmp_path / "log")
    for _ in range(2):
        await run.start()
        assert await run.ended() == 7
    line = "__main__ ['one', 'two'] {'TOLD': 'so'}  True\n"
    assert run.log.read_text() == line * 2


async def test_a_fork_is_killed_with_its_own_children(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(forks, "parent", log=tmp_path / "log")
    await run.start()
    pid = await child_of(run)
    await run.kill()
    assert await run.ended() == -signal.SIGKILL
    await eventually(lambda: not lives(pid), within_seconds=5)


async def test_forks_that_are_asked_for_at_once_are_each_their_own(
    forks: ForkServer, tmp_path: Path
) -> None:
    await forks.stop()  # They ask for the server at once as well.
    runs = [Run(forks, "teller", str(n), log=tmp_path / f"log{n}") for n in range(5)]
    await asyncio.gather(*(run.start() for run in runs))
    assert len({run.pid for run in runs}) == 5
    assert [await run.ended() for run in runs] == [7] * 5
    assert all(f"['{n}']" in run.log.read_text() for n, run in enumerate(runs))


async def test_a_start_that_is_given_up_hinders_no_other(forks: ForkServer, tmp_path: Path) -> None:
    run = Run(forks, "teller", log=tmp_path / "log")
    await run.start()
    given_up = asyncio.create_task(Run(forks, "parent", log=tmp_path / "given-up").start())
    await asyncio.wait([given_up], timeout=0)  # It has asked.
    given_up.cancel()
    assert await run.ended() == 7
    await run.start()
    assert await run.ended() == 7
    await asyncio.gather(given_up, return_exceptions=True)


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent's death signal")
async def test_a_server_that_was_killed_takes_its_forks_with_it_and_comes_back(
    forks: ForkServer, tmp_path: Path
) -> None:
    run = Run(forks, "parent", log=tmp_path / "log")
    await run.start()
    first = run.pid
    os.kill(parent_of(first), signal.SIGKILL)
    assert await run.ended() == -signal.SIGKILL
    await eventually(lambda: not lives(first), within_seconds=5)
    await run.start()
    assert run.pid != first
    await run.stop()
    assert await run.ended() == -signal.SIGTERM


@pytest.mark.skipif(sys.platform != "linux", reason="/proc tells who forked")
async def test_a_frozen_server_does_not_keep_anybody_from_stopping(
    forks: ForkServer, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("spotkeeper.embedded.child.KILLED_SECONDS", 0.2)
    monkeypatch.setattr("spotkeeper.embedded.forks.STOP_SECONDS", 0.2)
    run = Run(forks, "parent", log=tmp_path / "log")
    await run.start()
    os.kill(parent_of(run.pid), signal.SIGSTOP)
    await run.stop(within_seconds=0.2)
    await forks.stop()
    assert await run.ended() == -signal.SIGKILL


@pytest.mark.skipif(sys.platform != "linux", reason="only Linux knows a parent's death signal")
async def test_forks_die_with_a_user_that_was_killed(programs: Path, tmp_path: Path) -> None:
    user = await asyncio.create_subprocess_exec(
        *(sys.executable, "-c", USER),
        stdout=asyncio.subprocess.PIPE,
        cwd=tmp_path,
        env={**os.environ, "PYTHONPATH": str(programs)},
    )
    assert user.stdout is not None
    pid = int(await user.stdout.readline())
    assert lives(pid)
    user.kill()
    await user.wait()
    await eventually(lambda: not lives(pid), within_seconds=5)


async def test_a_server_that_cannot_start_is_told_with_its_last_words(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("PYTHONPATH", str(tmp_path))
    (tmp_path / "chassis").mkdir()
    (tmp_path / "chassis" / "__init__.py").write_text('raise RuntimeError("ERROR: no memory")')
    with pytest.raises(StackError, match="the fork server ended: RuntimeError: ERROR: no memory"):
        await Run(
            ForkServer(log=tmp_path / "forkserver.log"), "teller", log=tmp_path / "log"
        ).start()
