"""Decisions over HTTP: asked for at a low rate, with few pools and with many."""

from benchmarks.chain import LOW_RATE_PER_SECOND, against_bare_chain
from benchmarks.load import Plan, http, run_load
from benchmarks.processes import System
from benchmarks.report import Line
from benchmarks.requests import register_agents

POOLS = (1, 5, 20)
ASKS = 100
ONDEMAND_PRICE = 0.0416


async def decisions(system: System, seconds: float) -> list[Line]:
    """Decisions at 20 a second: two hops, one transaction and one run of the model each."""
    agents = await register_agents(system, 40, prefix="decide", connections=1)
    lines = []
    for count in POOLS:
        asks = [
            _ask(system, agent, f"i-decide{number}", count, n)
            for n in range(ASKS)
            for number, agent in enumerate(agents)
        ]
        await run_load(Plan("127.0.0.1", system.port, asks[::7], 4, 1.0))
        plan = Plan(
            "127.0.0.1", system.port, asks, 16, seconds, rate_per_second=LOW_RATE_PER_SECOND
        )
        result = await run_load(plan)
        assert result.good == result.answered, result.bodies[:3]
        pools = f"{count} pool" if count == 1 else f"{count} pools"
        lines += [
            Line(f"decide, {pools}: p50 at 20/s", result.percentile_ms(0.5), "ms", at_most=8.0),
            Line(f"decide, {pools}: p99 at 20/s", result.percentile_ms(0.99), "ms", at_most=30.0),
        ]
    lines += await against_bare_chain(system, result, "decide", hops=1, seconds=seconds)
    return lines


def _ask(system: System, agent: str, instance_id: str, pools: int, n: int) -> str:
    """A question whose prices differ a little from those of the one before."""
    priced = [
        {"pool_id": f"bench-pool-{number}", "price": 0.0100 + (n + number) % 10 / 10_000}
        for number in range(pools)
    ]
    return http(
        "POST",
        f"/api/agents/{agent}/decide",
        token=system.token,
        body={
            "current_state": {
                "instance_id": instance_id,
                "instance_type": "t3.medium",
                "current_mode": "spot",
                "current_pool": "t3.medium.us-east-1a",
                "current_price": 0.0104,
            },
            "pricing_data": {"available_pools": priced, "ondemand_price": ONDEMAND_PRICE},
            "metrics": {"uptime_hours": 1.0, "interruption_count": 0},
        },
    )
