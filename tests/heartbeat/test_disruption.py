"""What the service says of agents while workers and servers die, freeze, come and go.

Each test's verdict is the same: nobody who beats is ever offline or comes online twice, and whoever
falls silent is found.
"""

import os
import signal
from collections.abc import AsyncIterator

import pytest

from chassis import clock
from tests.heartbeat.bed import OFFLINE_AFTER_SECONDS, Bed, Fleet, Worker
from tests.stack import eventually

AGENTS = 240
SILENT = 10
SESSION_SECONDS = 3.0
RECOVERY_SECONDS = 10.0
"""How long a new owner, or servers and clients that find each other again, may take at most."""


@pytest.fixture(scope="module")
async def lasting(bed: Bed) -> AsyncIterator[Worker]:
    """A worker that lives through each outage of a server."""
    async with bed.worker(session_timeout_seconds=SESSION_SECONDS) as worker:
        yield worker


def fall_silent(fleet: Fleet) -> None:
    """Let some agents that beat until now be silent from now on."""
    loud = [id for id in fleet.agent_ids if id not in fleet.silent]
    fleet.silent |= set(loud[:SILENT])


async def everyone_beats_twice(fleet: Fleet) -> None:
    """Wait until all have beaten again and again, so that a worker has something to keep."""
    for _ in range(2):
        await all_have_beaten_since(clock.monotonic(), fleet)


async def all_have_beaten_since(moment: float, fleet: Fleet) -> None:
    """Wait until each agent has beaten after the moment."""
    await eventually(lambda: min(fleet.last_beat_at.values()) > moment, within_seconds=10)


async def longer_than_the_timeout() -> None:
    """Wait for longer than an agent and a worker together may be silent."""
    until = clock.monotonic() + OFFLINE_AFTER_SECONDS + SESSION_SECONDS
    await eventually(lambda: clock.monotonic() > until, within_seconds=60)


async def test_a_worker_that_is_killed_loses_and_repeats_nothing(bed: Bed) -> None:
    brief = {"session_timeout_seconds": SESSION_SECONDS}
    async with bed.worker(**brief) as worker, bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        killed_at = clock.monotonic()
        await worker.kill()
        fall_silent(fleet)
        await worker.start()
        await bed.assert_found(fleet, late_by=clock.monotonic() - killed_at + RECOVERY_SECONDS)


async def test_a_worker_that_joins_and_leaves_loses_and_repeats_nothing(bed: Bed) -> None:
    async with bed.worker(), bed.fleet(AGENTS) as fleet:
        async with bed.worker() as second:
            fall_silent(fleet)
            await bed.assert_found(fleet)
            fall_silent(fleet)
            assert await second.stop() == 0
        await bed.assert_found(fleet)
        assert bed.presence.repeats(fleet.agent_ids) == 0


async def test_a_worker_that_was_paused_is_fenced_and_ends(bed: Bed) -> None:
    brief = {"session_timeout_seconds": SESSION_SECONDS}
    keeps_late = {"flush_interval_seconds": 60}
    async with bed.worker(**brief, **keeps_late) as paused, bed.fleet(AGENTS) as fleet:
        await everyone_beats_twice(fleet)
        paused.pause()
        async with bed.worker(**brief):
            fall_silent(fleet)
            await bed.assert_found(fleet, late_by=RECOVERY_SECONDS)
            paused.resume()
            assert await paused.ended() != 0
            assert "Superseded" in paused.log.read_text()
            fall_silent(fleet)
            await bed.assert_found(fleet, late_by=RECOVERY_SECONDS)


@pytest.mark.usefixtures("lasting")
async def test_a_frozen_broker_makes_nobody_offline(bed: Bed) -> None:
    async with bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        frozen_at = clock.monotonic()
        os.kill(bed.stack.broker.child.pid, signal.SIGSTOP)
        await longer_than_the_timeout()
        os.kill(bed.stack.broker.child.pid, signal.SIGCONT)
        await bed.assert_found(fleet, late_by=clock.monotonic() - frozen_at + RECOVERY_SECONDS)


@pytest.mark.usefixtures("lasting")
async def test_a_broker_that_is_killed_and_comes_back_makes_nobody_offline(bed: Bed) -> None:
    async with bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        killed_at = clock.monotonic()
        await bed.stack.broker.kill()
        await longer_than_the_timeout()
        await bed.stack.broker.start()
        await bed.assert_found(fleet, late_by=clock.monotonic() - killed_at + RECOVERY_SECONDS)


@pytest.mark.usefixtures("lasting")
async def test_a_database_that_is_away_delays_verdicts_and_changes_none(bed: Bed) -> None:
    async with bed.fleet(AGENTS) as fleet:
        fall_silent(fleet)
        killed_at = clock.monotonic()
        await bed.stack.database.kill()
        await longer_than_the_timeout()
        await bed.stack.database.start()
        await bed.assert_found(fleet, late_by=clock.monotonic() - killed_at + RECOVERY_SECONDS)
