"""Print what happens to agents, as a downstream system reads it: aiokafka and the contracts alone.

    make up                                     # in one terminal
    .venv/bin/python examples/consume_events.py # in another

Elsewhere: `pip install aiokafka ./libs/contracts`, and KAFKA_BOOTSTRAP_SERVERS for another broker.
Ctrl-C ends it.
A group id and committed offsets let a real consumer go on where it stopped.
"""

import asyncio
import os

from aiokafka import AIOKafkaConsumer

from spotkeeper_contracts import MESSAGES
from spotkeeper_contracts.topics import AGENT_EVENTS, AGENT_PRESENCE


async def main() -> None:
    servers = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "127.0.0.1:29092")
    async with AIOKafkaConsumer(
        AGENT_EVENTS.name,
        AGENT_PRESENCE.name,
        bootstrap_servers=servers,
        auto_offset_reset="earliest",
    ) as consumer:
        async for record in consumer:
            headers = dict(record.headers)
            kind = MESSAGES.get(headers["ce_type"].decode())
            if kind is not None:  # else a newer release wrote it
                print(kind.type, kind.from_bytes(record.value), flush=True)


if __name__ == "__main__":
    try:
        asyncio.run(main())
    except KeyboardInterrupt:
        pass
