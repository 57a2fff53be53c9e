"""Ends that libraries may leave open: of a consumer of aiokafka, and of the whole process."""

import asyncio
import os
import threading

from aiokafka import AIOKafkaConsumer

from chassis.log import get_logger

log = get_logger()

CLOSE_SECONDS = 5.0
"""How long after an orderly stop a process may still close what it has open."""


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


def end_within(drain_seconds: float) -> None:
    """End the process with 1 if its stop lasts longer than the drain and what is closed after it.

    A library that waits for ever would keep a process that handles nothing and is never restarted.
    Nothing is lost by it that `kill -9` would not lose.
    """
    timer = threading.Timer(drain_seconds + CLOSE_SECONDS, _end)
    timer.daemon = True  # It does not hold up the end that it waits for.
    timer.start()


def _end() -> None:
    log.error("the stop hangs; ending without it")
    os._exit(1)
