"""Child processes that never outlive this one, and ports that are free."""

import asyncio
import fcntl
import json
import os
import random
import signal
import socket
import sys
import tempfile
from abc import ABC, abstractmethod
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Protocol

from spotkeeper.embedded.errors import StackError

LAUNCH = Path(__file__).with_name("launch.py")
POLL_SECONDS = 0.05
KILLED_SECONDS = 5.0
HOST = "127.0.0.1"

# Linux hands out 32768-60999 to outgoing connections, so that a server there may find its port
# taken by a passing client.
LOWEST_PORT, HIGHEST_PORT = 20_000, 28_999
PORT_TRIES = 1_000
_reservations: list[int] = []
"""Descriptors of locks that the kernel frees when this process ends, however it ends."""


@dataclass(frozen=True)
class Account:
    """The user and group that a process runs as."""

    uid: int
    gid: int

    @classmethod
    def ours(cls) -> "Account":
        """The account that we run as."""
        return cls(os.getuid(), os.getgid())


class Process(Protocol):
    """What `Child` needs of a process."""

    @property
    def pid(self) -> int:
        """Its process id."""

    @property
    def returncode(self) -> int | None:
        """Its exit status, negative for a signal; None while it runs."""

    async def wait(self) -> int:
        """Wait for its end and return its exit status."""


class Child(ABC):
    """One process; it may be started again after it has ended."""

    def __init__(self, name: str, *, log: Path) -> None:
        self.name = name
        self.log = log
        self._process: Process | None = None

    @abstractmethod
    async def _launch(self) -> Process:
        """Start it in a process group of its own; what it prints is appended to its log."""

    @property
    def pid(self) -> int:
        """The process id of the latest start."""
        assert self._process is not None, f"{self.name} was never started"
        return self._process.pid

    @property
    def running(self) -> bool:
        """Whether it was started and has not ended."""
        return self._process is not None and self._process.returncode is None

    async def start(self) -> None:
        """Start it."""
        assert not self.running, f"{self.name} runs already"
        self.log.parent.mkdir(parents=True, exist_ok=True)
        self._process = await self._launch()

    async def until(self, ready: Callable[[], Awaitable[bool]], *, within_seconds: float) -> None:
        """Wait until `ready` says so; raises `StackError` if it ends before or takes longer."""
        try:
            async with asyncio.timeout(within_seconds):
                while not await ready():
                    if not self.running:
                        raise StackError(f"{self.name} ended while starting: {self.last_words()}")
                    await asyncio.sleep(POLL_SECONDS)
        except TimeoutError:
            text = f"{self.name} was not ready within {within_seconds:.0f} s; see {self.log}."
            raise StackError(text) from None

    async def ended(self) -> int:
        """Wait for its end and return its exit status, negative for a signal."""
        assert self._process is not None, f"{self.name} was never started"
        return await self._process.wait()

    async def stop(
        self, word: signal.Signals = signal.SIGTERM, *, within_seconds: float = 20.0
    ) -> None:
        """Ask it to end, and kill it if it does not."""
        if not self.running:
            return
        self._signal(word)
        try:
            async with asyncio.timeout(within_seconds):
                await self.ended()
        except TimeoutError:
            await self.kill()

    async def kill(self) -> None:
        """End it and its own children at once, as `kill -9` does."""
        if not self.running:
            return
        try:
            os.killpg(self.pid, signal.SIGKILL)
            async with asyncio.timeout(KILLED_SECONDS):
                await self.ended()
        except (ProcessLookupError, TimeoutError):
            pass  # It is gone, and whoever should tell us of its end does not.

    def last_words(self) -> str:
        """The last error in its log, or its last line, and where the log lies."""
        text = self.log.read_text(encoding="utf-8", errors="replace")
        lines = [line.strip() for line in text.splitlines() if line.strip()][-200:]
        errors = [line for line in lines if "ERROR" in line or "FATAL" in line]
        last = (errors or lines or ["it said nothing"])[-1]
        return f"{_error_in(last)} (see {self.log})"

    def _signal(self, word: signal.Signals) -> None:
        try:
            os.kill(self.pid, word)
        except ProcessLookupError:
            pass  # It has just ended by itself.


class Command(Child):
    """A program with its arguments."""

    def __init__(
        self,
        name: str,
        command: Sequence[str | Path],
        *,
        log: Path,
        environment: Mapping[str, str] | None = None,
        directory: Path | None = None,
        account: Account | None = None,
        stdin: int = asyncio.subprocess.DEVNULL,
    ) -> None:
        super().__init__(name, log=log)
        self._command = [str(word) for word in command]
        self._environment = environment
        self._directory = directory
        self._account = account or Account.ours()
        self._stdin = stdin

    async def _launch(self) -> Process:
        account = self._account
        launch = [sys.executable, "-I", "-S", str(LAUNCH), str(os.getpid())]
        with self.log.open("ab") as log:
            return await asyncio.create_subprocess_exec(
                *(*launch, str(account.uid), str(account.gid), *self._command),
                stdin=self._stdin,
                stdout=log,
                stderr=log,
                env=self._environment,
                cwd=self._directory,
                start_new_session=True,
            )


def _error_in(line: str) -> str:
    """The error that a line of a service's log tells, without its trace; else the line itself."""
    try:
        return str(json.loads(line)["error"])
    except (ValueError, LookupError, TypeError):
        return line


def is_free(port: int) -> bool:
    """Whether a server could listen on the port now."""
    with socket.socket() as server:
        server.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            server.bind((HOST, port))
        except OSError:
            return False
    return True


def free_port(preferred: int | None = None) -> int:
    """A free port: the preferred one or the next free one above it, else any.

    A preferred one stays ours until this process ends: whoever starts at the same moment finds it
    free as well, and might then take another's server for its own.
    """
    candidates: Iterable[int]
    if preferred is None:
        candidates = (random.randint(LOWEST_PORT, HIGHEST_PORT) for _ in range(PORT_TRIES))
    else:
        candidates = range(preferred, preferred + PORT_TRIES)
    for port in candidates:
        if is_free(port) and (preferred is None or _reserved(port)):
            return port
    raise StackError(f"No port on {HOST} is free.")


def _reserved(port: int) -> bool:
    """Whether no other process of this user has reserved the port; now we have."""
    folder = Path(tempfile.gettempdir(), f"spotkeeper-ports-{os.getuid()}")
    folder.mkdir(mode=0o700, exist_ok=True)
    lock = os.open(folder / str(port), os.O_CREAT | os.O_RDWR, 0o600)
    try:
        fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        os.close(lock)
        return False
    _reservations.append(lock)
    return True


def claim(port: int, name: str) -> None:
    """Raise `StackError` if somebody else listens on a port that we need."""
    if not is_free(port):
        raise StackError(f"{name} needs port {port} on {HOST}, but it is taken.")


async def accepts(port: int) -> bool:
    """Whether a server accepts connections on the port."""
    try:
        _, writer = await asyncio.open_connection(HOST, port)
    except OSError:
        return False
    writer.close()
    return True
