"""One hop of the bare chain: each record costs a transaction of six round trips, and is sent on."""

import os
import sys

import asyncpg
import uvloop
from aiokafka import AIOKafkaConsumer, AIOKafkaProducer, TopicPartition

SERVERS = os.environ.get("KAFKA_BOOTSTRAP_SERVERS", "")


def topic(number: int) -> str:
    """The topic that hop `number` reads; its results go to the next."""
    return f"bench-chain-{number}"


def producer() -> AIOKafkaProducer:
    """A producer with the settings of the services."""
    return AIOKafkaProducer(
        bootstrap_servers=SERVERS, acks="all", enable_idempotence=True, linger_ms=0
    )


def consumer() -> AIOKafkaConsumer:
    """A consumer without a group, with the settings of the services."""
    return AIOKafkaConsumer(
        bootstrap_servers=SERVERS, fetch_max_wait_ms=500, auto_offset_reset="earliest"
    )


async def main(number: int) -> None:
    """Take each record through a transaction and on."""
    database = await asyncpg.connect(os.environ["BENCH_DSN"])
    sender, records = producer(), consumer()
    await sender.start()
    records.assign([TopicPartition(topic(number), 0)])
    await records.start()
    async for record in records:
        key, value = record.key.decode(), record.value.decode()
        async with database.transaction():
            await database.execute("insert into bench_inbox values ($1, $2)", number, key)
            row = "select body from bench_rows where hop = $1 for update"
            await database.fetchrow(row, number)
            await database.execute("update bench_rows set body = $2 where hop = $1", number, value)
            await database.execute("insert into bench_outbox values ($1, $2)", key, value)
        await sender.send_and_wait(topic(number + 1), record.value, key=record.key)


if __name__ == "__main__":
    uvloop.run(main(int(sys.argv[1])))
