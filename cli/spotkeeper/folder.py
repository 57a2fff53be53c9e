"""The data directory of `spotkeeper up`: who uses it, what it holds, how it is emptied."""

import fcntl
import os
import shutil
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.postgres import passwords_beside
from spotkeeper.embedded.roles import Passwords


class DataFolder:
    """Where Kafka, PostgreSQL, the fleet's control, secrets and logs of one stack lie."""

    def __init__(self, path: Path) -> None:
        self._path = path.resolve()
        self._lock = self._path / "lock"
        self.kafka = self._path / "kafka"
        self.postgres = self._path / "postgres"
        self.control = self._path / "control"
        self.logs = self._path / "logs"
        self.prepared = self._path / "prepared"
        self.secrets = Passwords(self._path / "secrets")

    @property
    def contents(self) -> tuple[Path, ...]:
        """All that a stack keeps here beside its lock, whether it is there yet or not."""
        servers = self.kafka, self.postgres, passwords_beside(self.postgres)
        return self.prepared, *servers, self.control, self.logs, self._path / "secrets"

    @property
    def births(self) -> tuple[Path, ...]:
        """Files of the broker and of the database that are written when they are made."""
        return self.kafka / "log" / "meta.properties", self.postgres / "cluster" / "PG_VERSION"

    def log(self, name: str) -> Path:
        """The log file of one process."""
        return self.logs / f"{name}.log"

    @contextmanager
    def locked(self) -> Iterator[None]:
        """Hold the directory for this process alone; raises `StackError` if another does.

        The kernel frees the lock when its holder dies, so that none is ever stale. Its file tells
        that what has the names of `contents` is Spotkeeper's: without it, that is refused.
        """
        try:
            self._path.mkdir(parents=True, exist_ok=True)
            if not self._lock.exists():
                self._refuse_what_is_not_ours()
            lock = self._lock.open("a+")
        except OSError as error:
            raise StackError(f"The data directory cannot be used: {error}.") from error
        with lock:
            try:
                fcntl.flock(lock, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                lock.seek(0)
                holder = lock.read().strip() or "?"
                text = f"Process {holder} runs Spotkeeper over {self._path} already; stop it first."
                raise StackError(text) from None
            lock.truncate(0)
            lock.write(str(os.getpid()))
            lock.flush()
            yield

    def empty(self) -> None:
        """Remove all data of the stack, and nothing else; the lock must be held.

        Raises `StackError`.
        """
        for entry in self.contents:
            try:
                if entry.is_dir():
                    shutil.rmtree(entry)
                else:
                    entry.unlink(missing_ok=True)
            except OSError as error:
                why = error.strerror or error  # Of a file deep in there it tells the last name.
                raise StackError(f"{entry} cannot be removed: {why}.") from error

    def _refuse_what_is_not_ours(self) -> None:
        # A simulated fleet that runs by itself makes its control folder before there is a stack.
        for entry in self.contents:
            if entry != self.control and entry.exists():
                text = f"{entry} is not Spotkeeper's"
                raise StackError(f"{text}; name another directory as --data-dir.")
