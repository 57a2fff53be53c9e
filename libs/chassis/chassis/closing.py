"""Closing a consumer of aiokafka, whose own `stop` can end as if its caller had been cancelled."""

import asyncio

from aiokafka import AIOKafkaConsumer

from chassis.log import get_logger

log = get_logger()


async def close(consumer: AIOKafkaConsumer) -> None:
    """Stop a consumer, whatever state the broker's failure has left it in.

    aiokafka 0.14 awaits the fetches that it has just cancelled (`Fetcher.close`), so that one which
    waited to be tried again ends `stop` with `CancelledError`, and whoever awaits it: a reader that
    should connect anew would be gone for good. In a task of its own that error stays there.
    """
    stopping = asyncio.ensure_future(consumer.stop())
    await asyncio.wait({stopping})
    if stopping.cancelled():
        await consumer._client.close()  # What `stop` did not get to.
    elif stopping.exception() is not None:
        log.warning("a consumer did not stop well", error=repr(stopping.exception()))
