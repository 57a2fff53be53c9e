"""Latencies held against the bare chain, the least that as many hops take in the same minute."""

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.baselines.hop import topic
from benchmarks.load import Plan, Result, http, run_load
from benchmarks.processes import System, baseline
from benchmarks.report import Line

LOW_RATE_PER_SECOND = 20.0


async def against_bare_chain(
    system: System, ours: Result, what: str, *, hops: int, seconds: float
) -> list[Line]:
    """What the bare chain takes at the same rate, and how many times as long `ours` does."""
    await _prepare(system, hops)
    environment = {
        "KAFKA_BOOTSTRAP_SERVERS": system.kafka,
        "BENCH_DSN": system.postgres,
        "BENCH_HOPS": str(hops),
    }
    asks = [http("POST", "/", token=system.token, body={"number": n}) for n in range(100)]
    async with baseline("chain", **environment) as (port, _):
        await run_load(Plan("127.0.0.1", port, asks, 4, 2.0))
        plan = Plan("127.0.0.1", port, asks, 16, seconds, rate_per_second=LOW_RATE_PER_SECOND)
        bare = await run_load(plan)
    assert bare.good == bare.answered, bare.bodies[:3]
    lines = []
    for name, share in (("p50", 0.5), ("p99", 0.99)):
        least = bare.percentile_ms(share)
        lines += [
            Line(f"baseline bare chain, {hops} in a row: {name} at 20/s", least, "ms"),
            Line(f"ratio: {what} {name} / bare chain", ours.percentile_ms(share) / least, "x"),
        ]
    return lines


async def _prepare(system: System, hops: int) -> None:
    """The topics and tables of the chain."""
    admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
    await admin.start()
    await admin.create_topics([NewTopic(topic(number), 1, 1) for number in range(hops + 1)])
    await admin.close()
    database = await asyncpg.connect(system.postgres)
    await database.execute(
        "create table bench_inbox (hop int, key text, primary key (hop, key)); "
        "create table bench_rows (hop int primary key, body text); "
        "create table bench_outbox (key text, body text)"
    )
    await database.executemany(
        "insert into bench_rows values ($1, '')", [(n,) for n in range(hops)]
    )
    await database.close()
