"""The demo client: made once, published by who starts next, given another token if asked."""

from collections.abc import AsyncIterator
from hashlib import sha256

import asyncpg
import pytest

from chassis.envelope import Envelope, partition_for
from chassis.outbox import Outbox
from chassis.query import Connection, prepare_connection
from chassis.tables import bus_tables
from registry.demo import CLIENT_ID, make_demo_client
from registry.settings import RegistrySettings
from registry.tables import metadata
from spotkeeper_contracts import PARTITIONS
from spotkeeper_contracts.clients import ClientState
from spotkeeper_contracts.values import Role


class Demo:
    """The command `demo` on a database of its own."""

    def __init__(self, address: str, db: Connection) -> None:
        self._address = address
        self._db = db

    async def make(self, token: str = "client-token") -> None:
        """Run the command with this token."""
        told = {"dsn": self._address, "demo_token": token}
        await make_demo_client(RegistrySettings.model_validate(told))

    async def dumped(self) -> str:
        """All rows that the command may have written, as text."""
        found = []
        for table in ("clients", "client_tokens", "outbox"):
            rows = await self._db.raw.fetch(f"select to_jsonb(row)::text from {table} as row")
            found += [row[0] for row in rows]
        assert found
        return "\n".join(found)

    async def published(self) -> list[ClientState]:
        """What waits in the outbox for the registry that starts next."""
        outbox = Outbox(bus_tables(metadata))
        left = await outbox.left_over(self._db, range(PARTITIONS), limit=10)
        found = []
        for _, record in left:
            assert record.partition == partition_for(str(CLIENT_ID))
            message = Envelope.from_record(record.value, record.headers).message
            assert isinstance(message, ClientState)
            found.append(message)
        return found


@pytest.fixture
async def demo(own_address: str) -> AsyncIterator[Demo]:
    """The command, which has not run yet."""
    raw = await asyncpg.connect(own_address)
    await prepare_connection(raw)
    await raw.execute("truncate clients, client_tokens, outbox")
    yield Demo(own_address, Connection(raw))
    await raw.close()


async def test_the_demo_client_waits_to_be_published_with_its_token(demo: Demo) -> None:
    await demo.make()
    (state,) = await demo.published()
    assert (state.client_id, state.name, state.deleted) == (CLIENT_ID, "demo", False)
    (token,) = state.tokens
    assert token.hash == sha256(b"client-token").hexdigest()
    assert token.roles == [Role.AGENT, Role.OPERATOR]
    assert token.revoked_at is None


async def test_a_second_time_changes_nothing(demo: Demo) -> None:
    await demo.make()
    before = await demo.published()
    await demo.make()
    assert await demo.published() == before


async def test_another_token_is_added_beside_the_first(demo: Demo) -> None:
    await demo.make()
    await demo.make("another-token")
    first, second = await demo.published()
    assert second.revision == first.revision + 1
    assert second.tokens[0] == first.tokens[0]
    assert [token.hash for token in second.tokens] == [
        sha256(token).hexdigest() for token in (b"client-token", b"another-token")
    ]


async def test_the_token_itself_is_nowhere_in_the_database(demo: Demo) -> None:
    await demo.make("a-secret-of-the-demo")
    (state,) = await demo.published()
    assert "a-secret-of-the-demo" not in state.model_dump_json()
    assert "a-secret-of-the-demo" not in await demo.dumped()
