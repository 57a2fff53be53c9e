"""What the service says of agents while workers and servers die, freeze, come and go.

Each test's verdict is the same: nobody who beats is ever offline or comes online twice, and whoever
falls silent is found.
"""

import asyncio
import os
import signal
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from spotkeeper.embedded.child import Child
from tests.heartbeat.bed import OFFLINE_AFTER_SECONDS, Bed, Fleet

AGENTS = 240
SILENT = 10
SESSION_SECONDS = 6.0
START_SECONDS = 5.0


def fall_silent(fleet: Fleet) -> None:
    """Let some agents that beat until now be silent from now on."""
    loud = [id for id in fleet.agent_ids if id not in fleet.silent]
    fleet.silent |= set(loud[:SILENT])


@asynccontextmanager
async def frozen(child: Child) -> AsyncIterator[None]:
    """A server that hears nothing for longer than an agent may be silent."""
    os.kill(child.pid, signal.SIGSTOP)
    try:
        await asyncio.sleep(OFFLINE_AFTER_SECONDS * 2)
    finally:
        os.kill(child.pid, signal.SIGCONT)


async def test_a_worker_that_is_killed_loses_and_repeats_nothing(bed: Bed) -> None:
    async with bed.worker() as worker, bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        await worker.kill()
        fall_silent(fleet)
        await worker.start()
        await bed.assert_found(fleet, late_by=SESSION_SECONDS + START_SECONDS)


async def test_a_worker_that_joins_and_leaves_loses_and_repeats_nothing(bed: Bed) -> None:
    async with bed.worker(), bed.fleet(AGENTS) as fleet:
        async with bed.worker() as second:
            fall_silent(fleet)
            await bed.assert_found(fleet)
            fall_silent(fleet)
            assert await second.stop() == 0
        await bed.assert_found(fleet)
        assert bed.presence.repeats(fleet.agent_ids) == 0


async def test_a_worker_that_was_paused_finds_itself_replaced_and_ends(bed: Bed) -> None:
    async with bed.worker() as paused, bed.fleet(AGENTS) as fleet:
        paused.pause()
        async with bed.worker():
            fall_silent(fleet)
            await bed.assert_found(fleet, late_by=SESSION_SECONDS)
            before = await epochs(bed)
            paused.resume()
            assert await paused.ended() != 0
            fall_silent(fleet)
            await bed.assert_found(fleet)
            assert await epochs(bed) == before
        assert "Superseded" in paused.log.read_text()


async def test_a_frozen_broker_makes_nobody_offline(bed: Bed) -> None:
    async with bed.worker(), bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        async with frozen(bed.stack.broker.child):
            pass
        await bed.assert_found(fleet, late_by=OFFLINE_AFTER_SECONDS * 3)


async def test_a_broker_that_is_killed_and_comes_back_makes_nobody_offline(bed: Bed) -> None:
    async with bed.worker(), bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        await bed.stack.broker.kill()
        await asyncio.sleep(OFFLINE_AFTER_SECONDS)
        await bed.stack.broker.start()
        await bed.assert_found(fleet, late_by=OFFLINE_AFTER_SECONDS * 4)


async def test_a_database_that_is_away_delays_verdicts_and_changes_none(bed: Bed) -> None:
    async with bed.worker(), bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        await bed.stack.database.kill()
        await asyncio.sleep(OFFLINE_AFTER_SECONDS)
        await bed.stack.database.start()
        await bed.assert_found(fleet, late_by=OFFLINE_AFTER_SECONDS + START_SECONDS)


async def epochs(bed: Bed) -> list[int]:
    rows = await bed.db.fetch("select epoch from presence_partitions order by partition")
    return [row["epoch"] for row in rows]
