"""Whatever happens to agents, in whatever order: one primary, and nobody's home is listed."""

import random
from collections.abc import Awaitable, Callable
from datetime import timedelta

import pytest

from chassis import clock
from chassis.testing import Scene
from registry.invariants import violations
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import DeleteAgent
from spotkeeper_contracts.instances import RetireInstance
from spotkeeper_contracts.replicas import PromoteInstance
from tests.registry.fleet import OneAgent, instance

INSTANCES = [f"i-{n}" for n in range(5)]
STEPS = 40
HOMES = """
    select i.agent_id, i.instance_id from instances i join agents a on a.id = i.agent_id
    where i.status in ('primary', 'standby') and a.deleted_at is null
"""


async def step(agent: OneAgent, chance: random.Random) -> None:
    """Let one thing happen to an agent; a refusal is an answer like any other."""
    first, second = chance.sample(INSTANCES, 2)
    happenings: list[Callable[[], Awaitable[object]]] = [
        lambda: agent.register(first),
        lambda: agent.report(first, second),
        lambda: agent.issue(chance.choice(["pool-a", "pool-b"])),
        lambda: agent.terminated(first, success=chance.random() < 0.8),
        lambda: agent.ask(RetireInstance, instance=instance(first)),
        lambda: agent.ask(PromoteInstance, instance=instance(first), epoch=None),
        lambda: agent.change(auto_switch_enabled=chance.random() < 0.8),
        lambda: agent.ask(DeleteAgent),
    ]
    weights = [8, 6, 3, 3, 2, 3, 1, 1]
    try:
        await chance.choices(happenings, weights)[0]()
    except Refused:
        assert agent.registry.emitted == []


@pytest.mark.parametrize("seed", range(20))
async def test_any_history_leaves_one_primary_and_lists_no_home(registry: Scene, seed: int) -> None:
    chance = random.Random(seed)
    agents = [OneAgent(registry) for _ in range(3)]
    for _ in range(STEPS):
        await step(chance.choice(agents), chance)
        assert await violations(registry.db.raw) == {}
    homes = {(row[0], row[1]) for row in await registry.db.raw.fetch(HOMES)}
    clock.move(timedelta(hours=1))
    try:
        for agent in agents:
            try:
                listed = await agent.to_terminate()
            except Refused:
                continue
            assert not {home for _, home in homes} & set(listed)
            assert (await agent.state()).instance_id not in listed
    finally:
        clock.move(timedelta())
