"""What is heard of agents: taken over if it is news, and left alone if it comes too late."""

from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts.agents import (
    AgentState,
    DeleteAgent,
    GetAgent,
    ListEvents,
    ShutDownAgent,
)
from spotkeeper_contracts.presence import (
    AgentCameOnline,
    AgentReportedChange,
    AgentWentOffline,
    FirstBeat,
)
from spotkeeper_contracts.switches import ReportSwitch, SwitchReport
from spotkeeper_contracts.values import AgentStatus, PurchaseMode
from tests.registry.fleet import OneAgent, instance

FIRST = "i-first"
Report = AgentCameOnline | AgentReportedChange


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    """An agent that registered just now, on spot."""
    agent = OneAgent(registry)
    await agent.register(FIRST)
    return agent


def after(seconds: float) -> datetime:
    """A moment so long after the registration."""
    return clock.now() + timedelta(seconds=seconds)


async def hear(
    agent: OneAgent,
    at: datetime,
    *,
    kind: type[Report] = AgentReportedChange,
    **told: Any,
) -> None:
    """Let the registry know of a beat."""
    about = {"agent_id": agent.id, "client_id": agent.client_id, "last_heartbeat_at": at}
    await agent.registry.handle(example(kind, **{**about, **told}))


async def miss(agent: OneAgent, at: datetime, **told: Any) -> None:
    """Let the registry know of silence."""
    about = {"agent_id": agent.id, "client_id": agent.client_id, "at": at}
    heard = at - timedelta(seconds=120.4)
    await agent.registry.handle(
        example(AgentWentOffline, **{**about, "last_heartbeat_at": heard, **told})
    )


@pytest.mark.parametrize("instance_id", [FIRST, "i-second"])
@pytest.mark.parametrize(("mode", "pool"), [("spot", "t3.medium.us-east-1a"), ("ondemand", None)])
async def test_a_registration_brings_a_beat_along_so_that_the_agent_is_missed(
    agent: OneAgent, instance_id: str, mode: PurchaseMode, pool: str | None
) -> None:
    await agent.registration(instance_id, mode=mode, agent_version="4.1.0")
    assert agent.registry.emitted[-1] == FirstBeat(
        agent_id=agent.id,
        client_id=agent.client_id,
        instance_id=instance_id,
        current_mode=mode,
        current_pool_id=pool,
        agent_version="4.1.0",
    )


async def test_a_reported_change_is_taken_over(agent: OneAgent) -> None:
    before = await agent.state()
    at = after(10)
    await hear(agent, at, status="degraded", current_pool_id="pool-b", agent_version="5.0")
    told = {
        "status": AgentStatus.DEGRADED,
        "current_pool_id": "pool-b",
        "agent_version": "5.0",
        "revision": before.revision + 1,
    }
    assert agent.registry.emitted == [before.model_copy(update=told)]
    assert await agent.state() == before.model_copy(update=told)
    assert (await agent.ask(GetAgent)).detail.last_heartbeat_at == at
    assert (await agent.trail())[-1] == "agent_changed"


async def test_the_trail_has_what_was_said_and_no_more(agent: OneAgent) -> None:
    said: Any = {"current_mode": None, "current_pool_id": None, "agent_version": None}
    await hear(agent, after(10), status="degraded", **said)
    newest = (await agent.ask(ListEvents, limit=1)).items[0]
    assert (newest.event_type, newest.data) == ("agent_changed", {"status": "degraded"})


async def test_a_beat_from_before_a_move_does_not_tell_where_the_agent_is(agent: OneAgent) -> None:
    heard_at = clock.now()
    old, new = instance(FIRST), instance("i-next", pool_id="pool-b")
    await agent.ask(ReportSwitch, report=example(SwitchReport, old_instance=old, new_instance=new))
    told: Any = {"current_mode": "spot", "current_pool_id": "pool-a", "agent_version": "3.9"}
    await hear(agent, heard_at, status="degraded", **told)
    state = await agent.state()
    assert (state.status, state.current_pool_id) == (AgentStatus.DEGRADED, "pool-b")
    assert state.agent_version != "3.9"


@pytest.mark.parametrize("kind", [AgentCameOnline, AgentReportedChange])
async def test_a_beat_that_tells_nothing_new_changes_nothing(
    agent: OneAgent, kind: type[Report]
) -> None:
    before = await agent.state()
    await hear(agent, after(10), kind=kind)
    nothing: Any = {"current_mode": None, "current_pool_id": None, "agent_version": None}
    await hear(agent, after(20), kind=kind, **nothing)
    assert agent.emitted == []
    assert await agent.state() == before
    assert await agent.trail() == ["agent_registered"]


async def test_an_agent_on_spot_that_names_no_pool_is_where_it_was(agent: OneAgent) -> None:
    pool = (await agent.state()).current_pool_id
    await hear(agent, after(10), status="degraded", current_pool_id=None)
    assert (await agent.state()).current_pool_id == pool


async def test_an_agent_that_pays_on_demand_lies_in_no_pool_unless_it_names_one(
    agent: OneAgent,
) -> None:
    await hear(agent, after(10), current_mode="ondemand", current_pool_id=None)
    state = await agent.state()
    assert (state.current_mode, state.current_pool_id) == ("ondemand", None)
    await hear(agent, after(20), current_mode=None, current_pool_id=None, status="degraded")
    assert (await agent.state()).current_pool_id is None
    await hear(agent, after(30), current_mode="ondemand", current_pool_id="pool-b")
    assert (await agent.state()).current_pool_id == "pool-b"
    await hear(agent, after(40), current_mode=None, current_pool_id=None)
    state = await agent.state()
    assert (state.status, state.current_pool_id) == ("online", "pool-b")


async def test_a_beat_after_the_registration_counts_though_the_brokers_clock_is_behind(
    agent: OneAgent,
) -> None:
    await hear(agent, after(-2), status="stopping")
    assert (await agent.state()).status is AgentStatus.STOPPING
    await hear(agent, after(-1), kind=AgentCameOnline)
    assert (await agent.state()).status is AgentStatus.ONLINE


async def test_a_beat_from_before_the_goodbye_does_not_call_the_agent_back(
    agent: OneAgent,
) -> None:
    beat_at = after(0)
    await agent.ask(ShutDownAgent)
    await hear(agent, beat_at, status="degraded")
    assert (await agent.state()).status is AgentStatus.STOPPING
    await hear(agent, after(1), kind=AgentCameOnline)
    assert (await agent.state()).status is AgentStatus.ONLINE


async def test_a_silent_agent_is_offline_and_its_client_is_told_once(agent: OneAgent) -> None:
    before = await agent.state()
    await miss(agent, after(121), silent_seconds=120.4)
    told = {"status": AgentStatus.OFFLINE, "revision": before.revision + 1}
    assert agent.registry.emitted == [before.model_copy(update=told)]
    await miss(agent, after(240))
    assert agent.emitted == []
    assert await agent.notifications() == ["agent_registered", "agent_offline"]
    line = await agent.registry.db.raw.fetchrow(
        "select severity, message from system_events where event_type = 'agent_offline'"
    )
    assert line is not None
    assert line["severity"] == "warning"
    assert line["message"] == f"Agent {agent.id} has been silent for 120 s"


async def test_an_agent_that_is_heard_again_is_online(agent: OneAgent) -> None:
    await miss(agent, after(121))
    await hear(agent, after(130), kind=AgentCameOnline)
    assert agent.emitted == [AgentState]
    assert (await agent.state()).status is AgentStatus.ONLINE
    assert (await agent.trail())[-2:] == ["agent_offline", "agent_online"]


async def test_silence_from_before_the_last_sign_of_life_is_ignored(agent: OneAgent) -> None:
    await miss(agent, after(-1))
    await hear(agent, after(130), status="degraded")
    await miss(agent, after(121))
    assert agent.emitted == []
    assert (await agent.state()).status is AgentStatus.DEGRADED


@pytest.mark.parametrize("by_request", [True, False])
async def test_an_agent_that_said_goodbye_is_not_missed(agent: OneAgent, by_request: bool) -> None:
    if by_request:
        await agent.ask(ShutDownAgent)
    else:
        await hear(agent, after(1), status="stopping")
    await miss(agent, after(300))
    assert agent.emitted == []
    assert (await agent.state()).status is AgentStatus.STOPPING


async def test_the_last_heartbeat_never_goes_back(agent: OneAgent) -> None:
    await hear(agent, after(60), status="degraded")
    known = (await agent.ask(GetAgent)).detail.last_heartbeat_at
    await miss(agent, after(180), last_heartbeat_at=after(30))
    assert (await agent.ask(GetAgent)).detail.last_heartbeat_at == known


async def test_nothing_is_heard_of_a_deleted_agent_nor_of_another_clients(
    agent: OneAgent,
) -> None:
    before = await agent.state()
    strangers = OneAgent(agent.registry, client_id=UUID(int=8))
    strangers.id = agent.id
    for unheard in (strangers, OneAgent(agent.registry)):
        await hear(unheard, after(10), status="error")
        assert agent.emitted == []
        await miss(unheard, after(200))
        assert agent.emitted == []
    assert await agent.state() == before
    await agent.ask(DeleteAgent)
    await hear(agent, after(10), status="error")
    await miss(agent, after(200))
    assert agent.emitted == []
