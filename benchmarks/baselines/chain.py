"""The bare chain: a raw ASGI route, plain aiokafka, and a process or two with one transaction each.

The least that a request over the bus takes on this machine: no checks, no schemas, no views.
"""

import asyncio
import itertools
import os
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

from benchmarks.baselines.hop import consumer, producer, topic
from benchmarks.baselines.raw import HEADERS

HOPS = int(os.environ.get("BENCH_HOPS", "1"))
waiting: dict[bytes, asyncio.Future[bytes]] = {}
numbers = itertools.count()
sender: AIOKafkaProducer


async def app(scope: dict[str, Any], receive: Any, send: Any) -> None:
    """Send the body down the chain and answer what comes back."""
    if scope["type"] == "lifespan":
        await _lifespan(receive, send)
    elif scope["type"] == "http":
        message = await receive()
        key = str(next(numbers)).encode()
        answered = waiting[key] = asyncio.get_running_loop().create_future()
        await sender.send_and_wait(topic(0), message["body"], key=key)
        answer = await answered
        headers = [HEADERS[0], (b"content-length", str(len(answer)).encode())]
        await send({"type": "http.response.start", "status": 200, "headers": headers})
        await send({"type": "http.response.body", "body": answer})


async def _lifespan(receive: Any, send: Any) -> None:
    await receive()
    async with _chain():
        await send({"type": "lifespan.startup.complete"})
        await receive()
    await send({"type": "lifespan.shutdown.complete"})


@asynccontextmanager
async def _chain() -> AsyncIterator[None]:
    """The processes behind, the producer, and a reader of answers."""
    global sender
    hops = [
        await asyncio.create_subprocess_exec(
            sys.executable, "-m", "benchmarks.baselines.hop", str(number)
        )
        for number in range(HOPS)
    ]
    sender, answers = producer(), consumer()
    await sender.start()
    answers.assign([TopicPartition(topic(HOPS), 0)])
    await answers.start()
    reading = asyncio.create_task(_read(answers))
    try:
        yield
    finally:
        reading.cancel()
        await answers.stop()
        await sender.stop()
        for hop in hops:
            hop.terminate()
            await hop.wait()


async def _read(answers: AIOKafkaConsumer) -> None:
    async for record in answers:
        if (answered := waiting.pop(record.key, None)) is not None:
            answered.set_result(record.value)
