"""Request and reply over the bus: latency at a low rate, registrations at a high one."""

import asyncio
import json

from benchmarks.chain import LOW_RATE_PER_SECOND, against_bare_chain
from benchmarks.load import Plan, Result, http, run_load
from benchmarks.processes import System
from benchmarks.report import Line


async def latency(system: System, seconds: float) -> list[Line]:
    """Config changes at 20 a second: two hops, one transaction each."""
    agents = await register_agents(system, 40, prefix="ask")
    changes = [
        http(
            "PATCH",
            f"/api/agents/{agent}/config",
            token=system.token,
            body={"risk_threshold": n / 200},
        )
        for n in range(100)
        for agent in agents
    ]
    plan = Plan("127.0.0.1", system.port, changes, 16, seconds, rate_per_second=LOW_RATE_PER_SECOND)
    result = await run_load(plan)
    assert result.good == result.answered, result.bodies[:3]
    return [
        Line("request and reply: p50 at 20/s", result.percentile_ms(0.5), "ms", at_most=6.0),
        Line("request and reply: p99 at 20/s", result.percentile_ms(0.99), "ms", at_most=25.0),
        *await against_bare_chain(system, result, "request and reply", hops=1, seconds=seconds),
    ]


async def registrations(system: System, _: float) -> list[Line]:
    """New agents as fast as they come in."""
    await _register(system, 1_000, "warm", connections=128)
    before = system.cpu_seconds()
    result = await _register(system, 6_000, "new", connections=256)
    await asyncio.sleep(1.5)
    after = system.cpu_seconds()
    spent = {name: (after[name] - before[name]) / result.good * 1e6 for name in before}
    return [
        Line("registration: rate", result.good / result.seconds, "per s", at_least=1_000.0),
        Line("registration: p50", result.percentile_ms(0.5), "ms"),
        Line("registration: p99", result.percentile_ms(0.99), "ms"),
        Line("registration: CPU of registry", spent["registry"], "µs", at_most=300.0),
        Line("registration: CPU of gateway", spent["gateway"], "µs"),
        Line("registration: CPU of kafka", spent["kafka"], "µs"),
        Line("registration: CPU of postgres", spent["postgres"], "µs"),
    ]


async def register_agents(
    system: System, count: int, *, prefix: str, connections: int = 32
) -> list[str]:
    """Register agents and return their ids; by one connection, in the order of their instances."""
    result = await _register(system, count, prefix, connections=connections)
    return [json.loads(body)["agent_id"] for body in result.bodies]


async def _register(system: System, count: int, prefix: str, *, connections: int) -> Result:
    requests = [
        http(
            "POST",
            "/api/agents/register",
            token=system.token,
            body={
                "logical_agent_id": f"{prefix}-{n}",
                "instance_id": f"i-{prefix}{n}",
                "instance_type": "t3.medium",
                "region": "us-east-1",
                "az": "us-east-1a",
                "mode": "spot",
            },
        )
        for n in range(count)
    ]
    plan = Plan("127.0.0.1", system.port, requests, connections, 120.0, once=True)
    result = await run_load(plan)
    assert result.good == count, (result.statuses, result.bodies[:3])
    return result
