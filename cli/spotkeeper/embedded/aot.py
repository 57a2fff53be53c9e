"""The AOT cache of Kafka's JVM: its classes loaded and linked beforehand, made once on a machine.

Loading them is half of a broker's start (ADR 0005). The cache is made of a broker's rehearsal at
the first start, and kept beside the jars (67 MB). The JVM itself sees whether it fits, and does
without it otherwise.
"""

import hashlib
import os
import tempfile
from collections.abc import Awaitable, Callable, Sequence
from contextlib import AsyncExitStack
from pathlib import Path

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from spotkeeper.embedded.artifacts import LOCK, Tell, cache_folder
from spotkeeper.embedded.child import Command
from spotkeeper.embedded.errors import StackError

Rehearse = Callable[[Sequence[str]], Awaitable[None]]
"""Runs a broker from its start to its stop, with these JVM flags more."""


async def aot_flags(
    run: Sequence[str], rehearse: Rehearse, *, release: Path, log: Path, tell: Tell
) -> list[str]:
    """The JVM flags that use the cache, which is made first if it is missing.

    `run` is Java and its flags, `release` the file that names its version. If the cache cannot be
    made, there are no flags and Kafka starts without it.
    """
    try:
        folder, name = _place(run, release)
        if name not in os.listdir(folder):
            tell("preparing Kafka's classes for quicker starts, once")
            await _make(folder / name, run, rehearse, log=log)
    except (StackError, OSError) as error:
        tell(f"Kafka starts without prepared classes: {error}")
        return []
    return [f"-XX:AOTCache={folder / name}"]


def _place(run: Sequence[str], release: Path) -> tuple[Path, str]:
    """The folder of the caches, and the name of the one that these jars, Java and flags make."""
    folder = cache_folder().with_name("aot")
    folder.mkdir(parents=True, exist_ok=True)
    seal = hashlib.sha256(LOCK.read_bytes() + release.read_bytes() + " ".join(run[1:]).encode())
    return folder, f"kafka-{seal.hexdigest()[:16]}.aot"


async def _make(cache: Path, run: Sequence[str], rehearse: Rehearse, *, log: Path) -> None:
    """Record a rehearsal, make the cache of it, and put it in place as a whole."""
    with tempfile.TemporaryDirectory(dir=cache.parent) as folder:
        recording, made = Path(folder, "recording"), Path(folder, "cache")
        await rehearse(["-XX:AOTMode=record", f"-XX:AOTConfiguration={recording}"])
        flags = ["-XX:AOTMode=create", f"-XX:AOTConfiguration={recording}", f"-XX:AOTCache={made}"]
        child = Command("Kafka's AOT cache", [*run, *flags], log=log)
        try:
            await child.start()
            if await child.ended() != 0:
                raise StackError(child.last_words())
        finally:
            await child.kill()
        os.replace(made, cache)


async def pass_a_record(bootstrap_servers: str) -> None:
    """Create a topic, write a record into it, and read and commit it as a group."""
    topic = "rehearsal"
    async with AsyncExitStack() as clients:
        admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
        clients.push_async_callback(admin.close)
        await admin.start()
        await admin.create_topics([NewTopic(topic, 1, 1)])
        producer = AIOKafkaProducer(bootstrap_servers=bootstrap_servers, enable_idempotence=True)
        clients.push_async_callback(producer.stop)
        await producer.start()
        await producer.send_and_wait(topic, b"a record")
        consumer = AIOKafkaConsumer(
            topic,
            bootstrap_servers=bootstrap_servers,
            group_id=topic,
            enable_auto_commit=False,
            auto_offset_reset="earliest",
        )
        clients.push_async_callback(consumer.stop)
        await consumer.start()
        await consumer.getone()
        await consumer.commit()
