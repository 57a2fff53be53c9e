"""Commands: a switch through the gate and into the queue, and what agents fetch from it."""

import asyncio
import json

from benchmarks.chain import LOW_RATE_PER_SECOND, against_bare_chain
from benchmarks.load import Plan, Result, http, run_load
from benchmarks.processes import System
from benchmarks.report import Line
from benchmarks.requests import register_agents

QUEUED = 3_000
CONNECTIONS = 128


async def switches(system: System, seconds: float) -> list[Line]:
    """Switches issued at 20 a second: three hops, two transactions each."""
    warm_up = await register_agents(system, 20, prefix="warm-switch")
    await _issue(system, warm_up, connections=4)
    agents = await register_agents(system, int(LOW_RATE_PER_SECOND * seconds), prefix="switch")
    plan = Plan(
        "127.0.0.1",
        system.port,
        [_switch(system, agent) for agent in agents],
        16,
        seconds + 30,
        rate_per_second=LOW_RATE_PER_SECOND,
        once=True,
    )
    result = await run_load(plan)
    assert result.good == len(agents), (result.statuses, result.bodies[:3])
    return [
        Line("issue switch: p50 at 20/s", result.percentile_ms(0.5), "ms", at_most=12.0),
        Line("issue switch: p99 at 20/s", result.percentile_ms(0.99), "ms", at_most=50.0),
        *await against_bare_chain(system, result, "issue switch", hops=2, seconds=seconds),
    ]


async def leases(system: System, _: float) -> list[Line]:
    """Switches issued, then fetched, as fast as they go; one command for each agent."""
    agents = await register_agents(system, QUEUED, prefix="lease")
    issued = await _issue(system, agents, connections=CONNECTIONS)
    fetches = [
        http("GET", f"/api/agents/{agent}/pending-commands", token=system.token) for agent in agents
    ]
    await asyncio.sleep(1.5)
    before = system.cpu_seconds()
    plan = Plan("127.0.0.1", system.port, fetches, CONNECTIONS, 120.0, once=True)
    fetched = await run_load(plan)
    await asyncio.sleep(1.5)
    after = system.cpu_seconds()
    leased = sum(len(json.loads(body)) for body in fetched.bodies)
    assert leased == QUEUED, (leased, fetched.statuses, fetched.bodies[:3])

    def spent(process: str) -> float:
        return (after[process] - before[process]) / leased * 1e6

    return [
        Line("issue switch: rate", issued.good / issued.seconds, "per s"),
        Line("commands leased: rate", leased / fetched.seconds, "per s"),
        Line("commands leased: p50", fetched.percentile_ms(0.5), "ms"),
        Line("commands leased: p99", fetched.percentile_ms(0.99), "ms"),
        Line("commands leased: CPU of commands", spent("commands"), "µs"),
        Line("commands leased: CPU of gateway", spent("gateway"), "µs"),
        Line("commands leased: CPU of postgres", spent("postgres"), "µs"),
    ]


async def _issue(system: System, agents: list[str], *, connections: int) -> Result:
    requests = [_switch(system, agent) for agent in agents]
    plan = Plan("127.0.0.1", system.port, requests, connections, 120.0, once=True)
    result = await run_load(plan)
    assert result.good == len(agents), (result.statuses, result.bodies[:3])
    return result


def _switch(system: System, agent: str) -> str:
    return http(
        "POST",
        f"/api/agents/{agent}/issue-switch-command",
        token=system.token,
        body={"target_pool": "t3.medium.us-east-1b", "confidence": 0.9, "reason": "benchmark"},
    )
