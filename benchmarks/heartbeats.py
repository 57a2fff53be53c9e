"""Heartbeats: through gateway, broker, stream and table, against three baselines."""

import asyncio
import time

import asyncpg
from aiokafka.admin import AIOKafkaAdminClient, NewTopic

from benchmarks.load import Plan, Result, http, run_load
from benchmarks.processes import System, baseline, cpu_seconds
from benchmarks.report import Line
from benchmarks.requests import register_agents

AGENTS = 2_000
CONNECTIONS = 512
BODY = {
    "timestamp": "2026-01-01T00:00:00Z",
    "status": "online",
    "current_mode": "spot",
    "current_pool_id": "t3.medium.us-east-1a",
    "spot_price": 0.0104,
    "ondemand_price": 0.0416,
}


async def compare(system: System, seconds: float) -> list[Line]:
    """CPU per beat and beats a second of the whole path, and of the baselines, in one run."""
    agents = await register_agents(system, AGENTS, prefix="beat")
    ours, spent, idle = await _through_spotkeeper(system, agents, seconds)
    raw, raw_cpu = await _through_baseline("raw", agents, seconds, system)
    plain, plain_cpu = await _through_baseline("plain", agents, seconds, system)
    monolith, monolith_cpu = await _through_baseline("monolith", agents, seconds, system)

    def per_beat(process: str) -> float:
        return spent[process] / ours.good * 1e6

    all_in = sum(per_beat(process) for process in spent)
    lines = [
        Line(f"heartbeat: CPU of {process}", per_beat(process), "µs/beat", at_most=goal)
        for process, goal in (
            ("gateway", None),
            ("kafka", None),
            ("heartbeat", 15.0),
            ("postgres", None),
            ("registry", None),
        )
    ]
    return [
        Line("heartbeat: gateway", ours.good / ours.seconds, "beats/s"),
        Line("heartbeat: p50", ours.percentile_ms(0.5), "ms"),
        Line("heartbeat: p99", ours.percentile_ms(0.99), "ms"),
        *lines,
        Line("heartbeat: CPU all in", all_in, "µs/beat", at_most=100.0),
        Line("idle: CPU of everything", sum(idle.values()) * 1000, "ms/s"),
        Line("baseline raw ASGI 200", raw_cpu, "µs/request"),
        Line("baseline plain FastAPI + one send", plain_cpu, "µs/beat"),
        Line("baseline monolith, database included", monolith_cpu, "µs/beat"),
        Line("ratio: gateway CPU / raw ASGI", per_beat("gateway") / raw_cpu, "x", at_most=2.0),
        Line(
            "ratio: gateway rate / plain rate",
            (ours.good / ours.seconds) / (plain.good / plain.seconds),
            "x",
            at_least=6.0,
        ),
        Line("ratio: plain CPU / gateway CPU", plain_cpu / per_beat("gateway"), "x"),
        Line("ratio: monolith CPU / all-in CPU", monolith_cpu / all_in, "x", at_least=8.0),
        Line("baseline raw ASGI 200", raw.good / raw.seconds, "requests/s"),
        Line("baseline monolith", monolith.good / monolith.seconds, "beats/s"),
    ]


async def _through_spotkeeper(
    system: System, agents: list[str], seconds: float
) -> tuple[Result, dict[str, float], dict[str, float]]:
    """Load the gateway; then wait until the stream and its table have caught up.

    Returns the CPU of each process over what it uses idle in seconds, and that in seconds a second.
    """
    requests = [_beat(agent, system.token) for agent in agents]
    await run_load(Plan("127.0.0.1", system.port, requests, CONNECTIONS, 2.0))
    await asyncio.sleep(2.5)
    idle = await system.idle_cpu()
    before, start = system.cpu_seconds(), time.monotonic()
    result = await run_load(Plan("127.0.0.1", system.port, requests, CONNECTIONS, seconds))
    await asyncio.sleep(2.5)
    after, elapsed = system.cpu_seconds(), time.monotonic() - start
    assert result.good == result.answered, result.bodies[:3]
    spent = {name: after[name] - before[name] - idle[name] * elapsed for name in before}
    return result, spent, idle


async def _through_baseline(
    name: str, agents: list[str], seconds: float, system: System
) -> tuple[Result, float]:
    """Load one baseline; its CPU per request in µs, with that of the database for the monolith."""
    await _prepare(name, agents, system)
    environment = {"KAFKA_BOOTSTRAP_SERVERS": system.kafka, "BENCH_DSN": system.postgres}
    requests = [_beat(agent, system.token) for agent in agents]
    async with baseline(name, **environment) as (port, pid):
        await run_load(Plan("127.0.0.1", port, requests, CONNECTIONS, 2.0))
        database = system.pids["postgres"]
        before = cpu_seconds(pid), cpu_seconds(database)
        result = await run_load(Plan("127.0.0.1", port, requests, CONNECTIONS, seconds))
        spent = cpu_seconds(pid) - before[0]
        if name == "monolith":
            spent += cpu_seconds(database) - before[1]
    assert result.good == result.answered, result.bodies[:3]
    return result, spent / result.good * 1e6


async def _prepare(name: str, agents: list[str], system: System) -> None:
    """The topic or the table that a baseline writes."""
    if name == "plain":
        admin = AIOKafkaAdminClient(bootstrap_servers=system.kafka)
        await admin.start()
        await admin.create_topics([NewTopic("bench-plain", 12, 1)])
        await admin.close()
    if name == "monolith":
        database = await asyncpg.connect(system.postgres)
        await database.execute(
            "create table bench_agents (id text primary key, last_heartbeat_at timestamptz, "
            "status text, current_mode text, current_pool_id text, config_version int)"
        )
        await database.executemany(
            "insert into bench_agents (id, config_version) values ($1, 1)",
            [(agent,) for agent in agents],
        )
        await database.close()


def _beat(agent: str, token: str) -> str:
    return http("POST", f"/api/agents/{agent}/heartbeat", token=token, body=BODY)
