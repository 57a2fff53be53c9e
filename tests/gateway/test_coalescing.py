"""No beat waits for the broker longer than its limit, whatever record it is to go with."""

import asyncio

import pytest

from chassis.producer import BusUnavailable, Producer
from gateway.coalescing import Coalescer
from spotkeeper_contracts.examples import example_beat

LIMIT_SECONDS = 0.1


class Broker(Producer):
    """A broker that takes each record at once, or when it is let."""

    def __init__(self) -> None:
        super().__init__("nowhere:9092", client_id="test")
        self.arrived: asyncio.Queue[int] = asyncio.Queue()
        self.lets = asyncio.Semaphore(0)
        self.stalls = False

    @property
    def ready(self) -> bool:
        """It is there."""
        return True

    async def send_raw(
        self, topic: str, partition: int, value: bytes, headers: list[tuple[str, bytes]]
    ) -> None:
        """Take a record."""
        self.arrived.put_nowait(partition)
        if self.stalls:
            await self.lets.acquire()


def coalescer(broker: Broker, *, gap_seconds: float) -> Coalescer:
    """One that sends to this broker, two beats in a record at most."""
    return Coalescer(
        broker,
        waiting_limit=100,
        beats_per_record=2,
        record_gap_seconds=gap_seconds,
        acknowledge_seconds=LIMIT_SECONDS,
    )


async def beat(beats: Coalescer, partition: int = 0) -> None:
    """Append a beat; raises `BusUnavailable`, and `TimeoutError` long after the limit."""
    async with asyncio.timeout(50 * LIMIT_SECONDS):
        await beats.append(example_beat(), partition=partition)


async def test_a_beat_that_joins_a_tick_is_given_up_in_time() -> None:
    beats = coalescer(Broker(), gap_seconds=60)
    await beat(beats)
    ticking = asyncio.create_task(beats.tick_for_ever(tick_seconds=60))
    await beat(beats, partition=1)  # The tick of partition 0 waits for the gap to pass by now.
    with pytest.raises(BusUnavailable):
        await beat(beats)
    ticking.cancel()


async def test_a_beat_that_joins_others_that_were_given_up_is_given_up_in_time() -> None:
    broker = Broker()
    broker.stalls = True
    beats = coalescer(broker, gap_seconds=0.001)
    early = [asyncio.create_task(beat(beats))]
    await broker.arrived.get()
    early += [asyncio.create_task(beat(beats)) for _ in range(3)]
    errors = await asyncio.gather(*early, return_exceptions=True)
    assert [type(error) for error in errors] == 4 * [BusUnavailable]

    broker.lets.release()
    await broker.arrived.get()  # The second record is on its way, and the third has room.
    with pytest.raises(BusUnavailable):
        await beat(beats)
