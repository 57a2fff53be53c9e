"""What is told of emergencies, as lines of the audit trail."""

from uuid import UUID

import pytest

from chassis.testing import Scene, example
from spotkeeper_contracts.agents import DeleteAgent
from spotkeeper_contracts.emergencies import EmergencyChanged, EmergencyClosed, EmergencyOpened
from tests.registry.fleet import OneAgent


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    agent = OneAgent(registry)
    await agent.register("i-first")
    return agent


async def opens(agent: OneAgent, **fields: object) -> None:
    told = {"agent_id": agent.id, "client_id": agent.client_id, **fields}
    await agent.registry.handle(example(EmergencyOpened, **told))


async def changes(agent: OneAgent, action: str) -> None:
    told = {"agent_id": agent.id, "client_id": agent.client_id, "action_taken": action}
    await agent.registry.handle(example(EmergencyChanged, **told))


async def closes(agent: OneAgent, outcome: str) -> None:
    told = {"agent_id": agent.id, "client_id": agent.client_id, "outcome": outcome}
    await agent.registry.handle(example(EmergencyClosed, **told))


async def test_an_emergency_and_its_end_stand_in_the_trail(agent: OneAgent) -> None:
    await opens(agent, kind="termination_notice", instance_id="i-first", action_taken="no_action")
    line = await agent.registry.db.raw.fetchrow(
        "select message, severity, data->>'action_taken' from system_events"
        " where agent_id = $1 and event_type = 'emergency_opened'",
        agent.id,
    )
    text = "AWS is about to terminate instance i-first: no_action"
    assert tuple(line) == (text, "warning", "no_action")
    await changes(agent, "switch_to_ondemand")
    await closes(agent, "success")
    told = [f"emergency_{word}" for word in ("opened", "changed", "closed")]
    assert (await agent.trail())[-3:] == told


async def test_what_was_over_at_once_takes_one_line(agent: OneAgent) -> None:
    await opens(agent, kind="rebalance_recommendation", instance_id=None)
    await closes(agent, "none")
    assert (await agent.trail())[-1] == "emergency_opened"


async def test_an_emergency_of_nobody_known_is_passed_over(agent: OneAgent) -> None:
    before = await agent.trail()
    stranger = OneAgent(agent.registry, client_id=UUID(int=8))
    stranger.id = agent.id
    await opens(stranger)
    await changes(stranger, "replica_promoted")
    await closes(stranger, "expired")
    assert await agent.trail() == before


async def test_the_end_of_an_emergency_of_a_deleted_agent_is_still_told(agent: OneAgent) -> None:
    await agent.ask(DeleteAgent)
    await closes(agent, "expired")
    kept = "select 1 from system_events where agent_id = $1 and event_type = 'emergency_closed'"
    assert await agent.registry.db.raw.fetchval(kept, agent.id) == 1
