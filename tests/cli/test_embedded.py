"""The embedded Kafka and PostgreSQL: what survives which end."""

from collections.abc import Sequence
from pathlib import Path

import asyncpg
import pytest
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from spotkeeper.embedded import aot
from spotkeeper.embedded.child import HOST
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.java import bundled_release
from spotkeeper.embedded.kafka import Kafka
from spotkeeper.embedded.postgres import Postgres
from spotkeeper.embedded.roles import Passwords, create_database
from tests.stack import EmbeddedStack, Stack

A_MEGABYTE = 1_000_000


@pytest.fixture
def broken_cache(tmp_path: Path) -> Path:
    path = tmp_path / "broken.aot"
    path.write_bytes(b"no classes" * 1000)
    return path


async def write_a_row(dsn: str) -> int:
    """Insert a row that a role's own table did not have, and return how many it has now."""
    connection = await asyncpg.connect(dsn)
    try:
        await connection.execute("create table if not exists kept (at timestamptz)")
        await connection.execute("insert into kept values (now())")
        return int(await connection.fetchval("select count(*) from kept"))
    finally:
        await connection.close()


def size_of_cache(pid: int) -> int:
    """The size of the AOT cache that a process was told to use, in bytes."""
    words = Path(f"/proc/{pid}/cmdline").read_text().split("\0")
    [flag] = [word for word in words if word.startswith("-XX:AOTCache=")]
    return Path(flag.partition("=")[2]).stat().st_size


async def create_topic(bootstrap_servers: str, name: str) -> None:
    admin = AIOKafkaAdminClient(bootstrap_servers=bootstrap_servers)
    await admin.start()
    try:
        await admin.create_topics([NewTopic(name, 1, 1)])
    finally:
        await admin.close()


async def write_and_read_back(bootstrap_servers: str, topic: str) -> int:
    """Append a record that the broker acknowledges, and return how many it gives back."""
    async with AIOKafkaProducer(
        bootstrap_servers=bootstrap_servers, acks="all", enable_idempotence=True
    ) as producer:
        offset = (await producer.send_and_wait(topic, b"kept")).offset
    async with AIOKafkaConsumer(
        topic, bootstrap_servers=bootstrap_servers, auto_offset_reset="earliest"
    ) as consumer:
        values = [(await consumer.getone()).value for _ in range(offset + 1)]
    assert set(values) == {b"kept"}
    return len(values)


async def test_a_killed_database_comes_back_with_what_was_committed(
    own_stack: EmbeddedStack,
) -> None:
    before = await write_a_row(own_stack.dsn("registry"))
    await own_stack.database.kill()
    await own_stack.database.start()
    assert await write_a_row(own_stack.dsn("registry")) == before + 1


async def test_a_killed_broker_comes_back_with_what_it_acknowledged(
    own_stack: EmbeddedStack,
) -> None:
    await create_topic(own_stack.kafka, "kept")
    assert await write_and_read_back(own_stack.kafka, "kept") == 1
    await own_stack.broker.kill()
    await own_stack.broker.start()
    assert await write_and_read_back(own_stack.kafka, "kept") == 2


async def test_a_stale_pid_file_does_not_hinder_the_next_start(own_stack: EmbeddedStack) -> None:
    """Process 1 lives for ever, and is surely not this PostgreSQL."""
    await own_stack.database.stop()
    pid_file = own_stack.database.cluster / "postmaster.pid"
    pid_file.write_text("1\n")
    await own_stack.database.start()
    assert pid_file.read_text().split()[0] == str(own_stack.database.child.pid)


async def test_a_taken_port_is_told_in_one_sentence(own_stack: EmbeddedStack) -> None:
    folder = own_stack.database.cluster.parent
    taken = own_stack.database.port
    for server in (
        Kafka(folder / "other", log=folder / "log", port=taken),
        Postgres(folder / "other", log=folder / "log", port=taken),
    ):
        with pytest.raises(StackError, match=rf"needs port {taken} .* but it is taken\."):
            await server.start()


async def test_the_broker_loads_its_classes_from_a_cache(own_stack: EmbeddedStack) -> None:
    assert size_of_cache(own_stack.broker.pid) > A_MEGABYTE


async def test_a_broken_cache_of_classes_does_not_hinder_the_start(
    tmp_path: Path, broken_cache: Path
) -> None:
    flag = f"-XX:AOTCache={broken_cache}"
    broker = Kafka(tmp_path / "kafka", log=tmp_path / "log", flags=[flag])
    async with broker:
        await create_topic(broker.bootstrap_servers, "made")


async def test_kafka_starts_without_a_cache_that_cannot_be_made(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    async def rehearse(flags: Sequence[str]) -> None:
        raise StackError(f"Kafka ended while starting with {flags[0]}")

    monkeypatch.setattr(aot, "cache_folder", lambda: tmp_path / "jars")
    release = bundled_release()
    assert release is not None
    told: list[str] = []
    flags = await aot.aot_flags(
        ["java"], rehearse, release=release, log=tmp_path / "log", tell=told.append
    )
    assert flags == []
    assert told[-1].startswith("Kafka starts without prepared classes: Kafka ended while starting")
    assert list((tmp_path / "aot").iterdir()) == []


async def test_the_superusers_address_may_have_options_and_its_password_stays_its_own(
    own_stack: EmbeddedStack,
) -> None:
    server = own_stack.database
    passwords = Passwords(server.cluster.parent.with_name("postgres-passwords"))
    who = f"user=postgres&password={passwords['postgres']}"
    admin_dsn = (
        f"postgresql:///postgres?host={HOST}&port={server.port}&{who}&application_name=a%20b"
    )
    dsns = await create_database(admin_dsn, passwords, database="optional")
    assert [dsn for dsn in dsns.values() if passwords["postgres"] in dsn] == []
    connection = await asyncpg.connect(dsns["registry"])
    try:
        row = await connection.fetchrow("select current_user, current_setting('application_name')")
        assert row == ("registry", "a b")
    finally:
        await connection.close()


async def test_a_role_sees_its_own_schema_only(stack: Stack) -> None:
    await write_a_row(stack.dsn("registry"))
    other = await asyncpg.connect(stack.dsn("heartbeat"))
    try:
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.fetch("select * from registry.kept")
        with pytest.raises(asyncpg.InsufficientPrivilegeError):
            await other.execute("create table public.anything (id int)")
    finally:
        await other.close()
