"""`python -m registry demo`: the demo client, so that the first steps need no administrator."""

from hashlib import sha256

import asyncpg

from chassis import clock
from chassis.envelope import Envelope, partition_for
from chassis.outbox import Outbox
from chassis.query import Connection, prepare_connection
from chassis.settings import ServiceSettings
from chassis.tables import bus_tables
from registry.settings import RegistrySettings
from registry.store import clients
from registry.tables import metadata
from spotkeeper_contracts import ids
from spotkeeper_contracts.clients import TokenState
from spotkeeper_contracts.values import Role

CLIENT_ID = ids.derived_id("client", "demo")


async def make_demo_client(settings: ServiceSettings) -> None:
    """Make the client `demo` with the token of `demo_token`; a second time changes nothing.

    Its state waits in the outbox for the registry that starts next, which publishes it.
    """
    assert isinstance(settings, RegistrySettings)
    assert settings.dsn is not None, "set SPOTKEEPER_DSN"
    raw = await asyncpg.connect(settings.dsn.get_secret_value())
    try:
        await prepare_connection(raw)
        async with raw.transaction():
            await _make(Connection(raw), settings.demo_token.get_secret_value())
    finally:
        await raw.close()


async def _make(db: Connection, token: str) -> None:
    digest = sha256(token.encode()).hexdigest()
    now = clock.now()
    await clients.insert_client(db, CLIENT_ID, name="demo", email="demo@example.com", at=now)
    known = await clients.tokens(db, CLIENT_ID)
    if digest in {token.hash for token in known}:
        return
    roles = [Role.AGENT, Role.OPERATOR]
    made = TokenState(
        id=ids.derived_id("token", digest), hash=digest, roles=roles, label="demo", created_at=now
    )
    await clients.add_token(db, CLIENT_ID, made)
    state = await clients.touch(db, CLIENT_ID)
    record = Envelope.of(state, source="registry").to_record()
    await Outbox(bus_tables(metadata)).add(db, [(partition_for(str(CLIENT_ID)), record)])
