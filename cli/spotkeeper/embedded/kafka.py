"""A real Apache Kafka of one node in KRaft mode, on 127.0.0.1."""

import asyncio
import base64
import os
import tempfile
from collections.abc import Sequence
from pathlib import Path
from types import TracebackType
from typing import Self

from aiokafka.client import AIOKafkaClient
from aiokafka.errors import KafkaError

from chassis import clock
from spotkeeper.embedded.aot import aot_flags, pass_a_record
from spotkeeper.embedded.artifacts import LOCK, Tell, fetch
from spotkeeper.embedded.child import HOST, Child, Command, accepts, claim, free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.java import bundled_release, find_java

PROPERTIES = LOCK.with_name("kafka.properties")
START_SECONDS = 60.0
STOP_SECONDS = 30.0  # Writing a rehearsal down takes some seconds.
PROBE_MS = 2_000
JVM_FLAGS = (
    "-Xms64m",
    "-Xmx256m",
    "-XX:MinHeapFreeRatio=10",
    "-XX:MaxHeapFreeRatio=25",
    "-XX:+UseSerialGC",
    "-XX:TieredStopAtLevel=1",
    "-XX:+ExitOnOutOfMemoryError",
    "-Dorg.slf4j.simpleLogger.defaultLogLevel=warn",
)


class Kafka:
    """One broker over one data directory. It can be stopped, killed and started again."""

    name = "kafka"

    def __init__(
        self,
        data_dir: Path,
        *,
        log: Path,
        port: int | None = None,
        flags: Sequence[str] | None = None,
    ) -> None:
        """`flags` are JVM flags that take the place of those for the AOT cache."""
        self._data_dir = data_dir
        self._flags = flags
        self._log = log
        self.port = port or free_port()
        self._controller_port = free_port()
        self._child: Child | None = None

    @property
    def bootstrap_servers(self) -> str:
        """The address for clients."""
        return f"{HOST}:{self.port}"

    @property
    def pid(self) -> int:
        """The broker's process id."""
        return self.child.pid

    @property
    def child(self) -> Child:
        """The broker's process."""
        assert self._child is not None, "Kafka was never started"
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

    async def start(self, tell: Tell = lambda text: None) -> None:
        """Start, and return when clients are answered; raises `StackError`."""
        claim(self.port, "Kafka")
        claim(self._controller_port, "Kafka's controller")
        java = find_java()
        jars = await asyncio.to_thread(fetch, tell)
        run = [str(java), "-cp", os.pathsep.join(map(str, jars)), *JVM_FLAGS]
        properties = self._write_properties()
        if self._flags is None:
            self._flags = await self._aot_flags(run, tell)
        if not (self._data_dir / "log" / "meta.properties").exists():
            await self._format(run, properties)
        command = [*run, *self._flags, "kafka.Kafka", str(properties)]
        self._child = Command("Kafka", command, log=self._log)
        await self._child.start()
        await self._child.until(self._answers, within_seconds=START_SECONDS)

    async def ended(self) -> int:
        """Wait for the broker's end and return its exit status."""
        return await self.child.ended()

    def last_words(self) -> str:
        """The last error in its log, or its last line."""
        return self.child.last_words()

    async def stop(self) -> None:
        """Stop in an orderly way."""
        if self._child is not None:
            await self._child.stop(within_seconds=STOP_SECONDS)

    async def kill(self) -> None:
        """`kill -9`."""
        await self.child.kill()

    def _write_properties(self) -> Path:
        """The committed settings, and those that tell where this broker is."""
        self._data_dir.mkdir(parents=True, exist_ok=True)
        broker, controller = self.bootstrap_servers, f"{HOST}:{self._controller_port}"
        here = {
            "process.roles": "broker,controller",
            "node.id": "1",
            "controller.quorum.voters": f"1@{controller}",
            "listeners": f"PLAINTEXT://{broker},CONTROLLER://{controller}",
            "advertised.listeners": f"PLAINTEXT://{broker}",
            "controller.listener.names": "CONTROLLER",
            "listener.security.protocol.map": "PLAINTEXT:PLAINTEXT,CONTROLLER:PLAINTEXT",
            "log.dirs": str((self._data_dir / "log").resolve()),
        }
        path = self._data_dir / "server.properties"
        lines = "".join(f"{name}={value}\n" for name, value in here.items())
        path.write_text(PROPERTIES.read_text(encoding="utf-8") + lines, encoding="utf-8")
        return path

    async def _format(self, run: list[str], properties: Path) -> None:
        cluster_id = base64.urlsafe_b64encode(clock.new_id().bytes).decode().rstrip("=")
        tool = ["kafka.tools.StorageTool", "format", "--ignore-formatted", "-t", cluster_id]
        child = Command("Kafka's formatting", [*run, *tool, "-c", str(properties)], log=self._log)
        await child.start()
        if await child.ended() != 0:
            raise StackError(f"Kafka's data directory cannot be made: {child.last_words()}")

    async def _aot_flags(self, run: list[str], tell: Tell) -> list[str]:
        """The flags for the AOT cache of the bundled Java; an installed one may be too old."""
        release = bundled_release()
        if release is None:
            return []
        return await aot_flags(run, self._rehearse, release=release, log=self._log, tell=tell)

    async def _rehearse(self, flags: Sequence[str]) -> None:
        """Start a broker of no data, let a record through it as a group does, and stop it."""
        with tempfile.TemporaryDirectory() as folder:
            async with Kafka(Path(folder), log=self._log, flags=flags) as broker:
                await pass_a_record(broker.bootstrap_servers)

    async def _answers(self) -> bool:
        if not await accepts(self.port):
            return False
        client = AIOKafkaClient(
            bootstrap_servers=self.bootstrap_servers, request_timeout_ms=PROBE_MS
        )
        try:
            await client.bootstrap()
            return bool(client.cluster.brokers())
        except (KafkaError, OSError):
            return False
        finally:
            await client.close()
