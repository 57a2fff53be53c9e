"""What the tests of services share: a transaction that is rolled back, and messages to handle."""

from collections.abc import AsyncIterator, Sequence
from contextlib import asynccontextmanager

import asyncpg

from chassis import clock
from chassis.envelope import Envelope
from chassis.query import Connection, prepare_connection
from chassis.service import Service
from chassis.settings import ServiceSettings
from chassis.transaction import Tx
from spotkeeper_contracts import PARTITIONS, Message, Reply, Request
from spotkeeper_contracts.examples import example

__all__ = ["Scene", "example", "scene"]


class Scene:
    """A service's handlers on a real database, without a bus; nothing is kept.

    `tx` is the transaction of the last handled message, with what it emitted.
    """

    def __init__(self, service: Service, settings: ServiceSettings, db: Connection) -> None:
        self._service = service
        self._settings = settings
        self.db = db
        self.tx: Tx = self._new_tx(None, "system:test", None)

    @property
    def emitted(self) -> list[Message]:
        """What the last handled message emitted."""
        return self.tx.emitted

    async def handle(
        self, message: Message, *, actor: str = "operator:test", client_id: str | None = None
    ) -> Reply | Request | None:
        """Run the service's handler of a message; raises what it raises."""
        self.tx = self._new_tx(message, actor, client_id)
        return await self._service.handlers[type(message)](message, self.tx)

    async def sweep(self, partitions: Sequence[int] = range(PARTITIONS)) -> bool:
        """Do what is due by the clock; returns whether more is due."""
        assert self._service.sweep is not None
        self.tx = self._new_tx(None, f"system:{self._service.name}", None)
        return await self._service.sweep(partitions, self.tx)

    def _new_tx(self, message: Message | None, actor: str, client_id: str | None) -> Tx:
        client = client_id or getattr(message, "client_id", None)
        envelope = Envelope(
            message or Message(),
            clock.new_id(),
            "test",
            clock.now(),
            actor,
            client and str(client),
        )
        return Tx(self.db, envelope, service=self._service.name, settings=self._settings)


@asynccontextmanager
async def scene(service: Service, dsn: str) -> AsyncIterator[Scene]:
    """A scene on a migrated database; everything is rolled back at its end."""
    raw = await asyncpg.connect(dsn)
    await prepare_connection(raw)
    transaction = raw.transaction()
    await transaction.start()
    try:
        yield Scene(service, service.settings(), Connection(raw))
    finally:
        await transaction.rollback()
        await raw.close()
