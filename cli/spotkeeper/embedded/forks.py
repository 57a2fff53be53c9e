"""Starts Python programs as forks of a process that has loaded what they share (`forkserver`)."""

import asyncio
import json
import signal
import socket
import sys
from collections import deque
from collections.abc import Mapping
from pathlib import Path

from spotkeeper.embedded.child import Child, Command
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.forkserver import Program

STOP_SECONDS = 5.0


class Fork:
    """The process of one program; what `Child` needs of a process."""

    def __init__(self, pid: int) -> None:
        self.pid = pid
        self.returncode: int | None = None
        self._ended = asyncio.Event()

    async def wait(self) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        await self._ended.wait()
        assert self.returncode is not None
        return self.returncode

    def end(self, status: int) -> None:
        """Note that it has ended."""
        self.returncode = status
        self._ended.set()


class ForkServer:
    """The process that forks; it starts with the first fork, and anew after it was killed."""

    def __init__(self, *, log: Path) -> None:
        self._log = log
        self._child: Child | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._listening: asyncio.Task[None] | None = None
        self._forks: dict[int, Fork] = {}
        self._asked: deque[asyncio.Future[Fork]] = deque()
        """Who waits for a fork; they are answered in the order of asking."""

        self._starting = asyncio.Lock()

    async def fork(
        self, module: str, *words: str, log: Path, environment: Mapping[str, str]
    ) -> Fork:
        """Start `python -m <module> <words>`; raises `StackError`."""
        program = Program(module, list(words), str(log), dict(environment))
        async with self._starting:
            if self._writer is None:
                await self._start()
        assert self._writer is not None
        asked: asyncio.Future[Fork] = asyncio.get_running_loop().create_future()
        self._asked.append(asked)
        self._writer.write(program.to_line())
        return await asked

    async def stop(self) -> None:
        """End it, after its forks have ended; on Linux it takes with it those that have not."""
        if self._child is None or self._listening is None:
            return
        if self._writer is not None:
            self._writer.close()
        await self._child.stop(within_seconds=STOP_SECONDS)
        await self._listening

    async def _start(self) -> None:
        ours, theirs = socket.socketpair()
        with theirs:
            program = [sys.executable, "-m", "spotkeeper.embedded.forkserver"]
            self._child = Command("the fork server", program, log=self._log, stdin=theirs.fileno())
            await self._child.start()
        reader, self._writer = await asyncio.open_connection(sock=ours)
        self._listening = asyncio.create_task(self._listen(reader, self._child))

    async def _listen(self, reader: asyncio.StreamReader, child: Child) -> None:
        """Take the process's news until it ends."""
        try:
            while line := await reader.readline():
                news = json.loads(line)
                if "forked" in news:
                    fork = self._forks[news["forked"]] = Fork(news["forked"])
                    asked = self._asked.popleft()
                    if not asked.cancelled():
                        asked.set_result(fork)
                else:
                    self._forks.pop(news["ended"]).end(news["status"])
        except ConnectionError:
            pass  # It was killed while we wrote.
        await self._lost(child)

    async def _lost(self, child: Child) -> None:
        """Note that the process has ended, and with it all that it has forked."""
        if self._writer is not None:
            self._writer.close()
            self._writer = None  # Whoever asks from here on has another one started.
        in_vain, self._asked = self._asked, deque()
        for fork in self._forks.values():
            fork.end(-signal.SIGKILL)
        self._forks.clear()
        await child.ended()
        for asked in in_vain:
            if not asked.cancelled():
                asked.set_exception(StackError(f"{child.name} ended: {child.last_words()}"))
