"""A small service for the chassis's tests: it counts, per key, what it was told.

It speaks real messages of the registry's topic, so that no test message is ever declared.
"""

import asyncio
import os
from uuid import UUID

from sqlalchemy import Column, Integer, MetaData, Table, Uuid, bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis import metrics
from chassis.query import Query
from chassis.service import Running, Service, main
from chassis.tables import bus_tables
from chassis.transaction import Tx
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentShutDown, AgentState, GetAgent, ShutDownAgent
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.presence import AgentWentOffline
from spotkeeper_contracts.topics import RECORD_BYTES

UNANSWERED = UUID(int=2)

metadata = MetaData()
counts = Table(
    "counts",
    metadata,
    Column("id", Uuid, primary_key=True),
    Column("count", Integer, nullable=False),
)
bus_tables(metadata)

TOLD = metrics.RECORDS_SENT.labels("told")
"""Counts what was told: a metric of this file's own would be one that no page tells of."""
_ADD = Query(
    insert(counts)
    .values(id=bindparam("new_id"), count=1)
    .on_conflict_do_update(index_elements=["id"], set_={"count": counts.c.count + 1})
    .returning(counts.c.count)
)
_COUNT = Query(select(counts.c.count).where(counts.c.id == bindparam("wanted")))


async def shut_down_agent(request: ShutDownAgent, tx: Tx) -> Done:
    """Count; `poison` raises, `late` refuses after writing, `early` before, `slow` takes time.

    `large` has an answer that is larger than any record.
    """
    if request.reason == "large":
        raise Refused("LARGE", "x" * RECORD_BYTES, 409)
    if request.reason == "early":
        raise Refused("EARLY", "refused before writing", 409)
    if request.reason == "slow":
        await asyncio.sleep(0.3)
    count = await _ADD.value(tx.db, new_id=request.agent_id)
    tx.count(TOLD.inc)
    if request.reason == "late":
        raise Refused("LATE", "refused after writing", 409)
    if request.reason == "poison":
        raise RuntimeError("a bug")
    tx.emit(
        AgentShutDown(
            agent_id=request.agent_id,
            client_id=request.client_id,
            reason=request.reason,
            at=tx.now,
        )
    )
    if request.reason == "state":
        tx.emit(example(AgentState, agent_id=request.agent_id, revision=count))
    return Done(revision=count)


async def agent_went_offline(event: AgentWentOffline, tx: Tx) -> None:
    """A fact that others tell; it counts as a request does."""
    await _ADD.value(tx.db, new_id=event.agent_id)


async def get_agent(request: GetAgent, tx: Tx) -> Done:
    """How often the key was counted, as a refusal's text; it leaves no trace.

    For one client the database never answers in time.
    """
    if request.client_id == UNANSWERED:
        raise TimeoutError
    count = await _COUNT.value(tx.db, wanted=request.agent_id) or 0
    raise Refused("COUNTED", str(count), 409)


async def stay(running: Running) -> None:
    """Background work that no stop ends."""
    while True:
        try:
            await asyncio.Event().wait()
        except asyncio.CancelledError:
            continue


async def fail(running: Running) -> None:
    """Background work with a bug."""
    raise RuntimeError("a bug")


BACKGROUND = {"STAYS": stay, "FAILS": fail}
service = Service(
    name="registry",
    handlers={
        ShutDownAgent: shut_down_agent,
        GetAgent: get_agent,
        AgentWentOffline: agent_went_offline,
    },
    metadata=metadata,
    background=[work for name, work in BACKGROUND.items() if name in os.environ],
)

if __name__ == "__main__":
    main(service)
