"""Registrations: each outcome with what it changes, whom it tells, and what it leaves as it was."""

from collections.abc import Mapping
from datetime import timedelta
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene
from registry.rules import DISABLED_CONFIG
from registry.tables import metadata
from spotkeeper_contracts.agents import (
    AgentPromoted,
    AgentRegistered,
    AgentState,
    AgentUpdated,
    DeleteAgent,
    RegistrationRejected,
    ShutDownAgent,
)
from spotkeeper_contracts.configs import AgentConfig, AgentConfigChanged
from spotkeeper_contracts.ids import agent_id
from spotkeeper_contracts.instances import InstanceTerminated, TerminationReason
from spotkeeper_contracts.presence import FirstBeat
from spotkeeper_contracts.values import AgentStatus, InstanceStatus
from tests.registry.fleet import CLIENT, OneAgent

FIRST, SECOND, THIRD = "i-first", "i-second", "i-third"
TRAIL = {"system_events"}


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    """A registered agent."""
    agent = OneAgent(registry)
    await agent.register(FIRST)
    return agent


async def contents(registry: Scene, *, without: set[str]) -> Mapping[str, list[str]]:
    """All rows of all tables but the named ones, as text."""
    return {
        table: [row[0] for row in await registry.db.raw.fetch(f"select t::text from {table} t")]
        for table in metadata.tables.keys() - without
    }


async def open_move(
    agent: OneAgent, *, instance_id: str | None = None, for_: timedelta = timedelta(hours=1)
) -> None:
    """Let a replica of the agent be under way for some time, or until then in the past."""
    await agent.registry.db.raw.execute(
        """
        insert into open_moves (id, agent_id, kind, instance_id, opened_at, expires_at)
        values ($1, $2, 'replica', $3, $4, $5)
        """,
        clock.new_id(),
        agent.id,
        instance_id,
        clock.now(),
        clock.now() + for_,
    )


async def test_a_new_agent_gets_the_default_config_and_lives_on_the_instance_that_told(
    registry: Scene,
) -> None:
    agent = OneAgent(registry)
    answer = await agent.registration(FIRST, agent_version="4.0.0")
    assert (answer.agent_id, answer.client_id) == (agent.id, CLIENT)
    assert (answer.outcome, answer.epoch, answer.config) == ("registered", 1, AgentConfig())
    assert agent.emitted == [AgentRegistered, AgentState, FirstBeat]
    registered, state, _ = registry.emitted
    assert isinstance(registered, AgentRegistered)
    assert (registered.epoch, registered.revived, registered.at) == (1, False, registry.tx.now)
    assert state == await agent.state()
    assert answer.revision == (await agent.state()).revision == 1
    assert await agent.statuses() == {FIRST: "primary"}
    assert await agent.trail() == ["agent_registered"]
    assert await agent.notifications() == ["agent_registered"]


async def test_a_new_agents_state_is_what_it_told(registry: Scene) -> None:
    agent = OneAgent(registry)
    where = {"instance_type": "m5.large", "region": "eu-west-1", "az": "eu-west-1c"}
    await agent.register(FIRST, mode="spot", logical_agent_id="web-1", **where)
    state = await agent.state()
    assert where.items() <= state.model_dump().items()
    assert (state.logical_agent_id, state.instance_id) == ("web-1", FIRST)
    assert (state.current_mode, state.current_pool_id) == ("spot", "m5.large.eu-west-1c")
    assert (state.status, state.deleted) == (AgentStatus.ONLINE, False)


async def test_an_agent_that_registers_on_demand_lies_in_no_pool(registry: Scene) -> None:
    agent = OneAgent(registry)
    await agent.register(FIRST, mode="ondemand")
    state = await agent.state()
    assert (state.current_mode, state.current_pool_id) == ("ondemand", None)


async def test_a_repeat_updates_what_is_known_and_tells_nobody_twice(agent: OneAgent) -> None:
    before = await agent.state()
    answer = await agent.registration(FIRST, agent_version="4.1.0", az="us-east-1f")
    assert (answer.outcome, answer.epoch) == ("updated", before.epoch)
    assert agent.emitted == [AgentUpdated, AgentState, FirstBeat]
    told = {
        "az": "us-east-1f",
        "current_pool_id": "t3.medium.us-east-1f",
        "agent_version": "4.1.0",
        "revision": before.revision + 1,
    }
    assert await agent.state() == before.model_copy(update=told)
    assert await agent.trail() == ["agent_registered", "agent_updated"]
    assert await agent.notifications() == ["agent_registered"]


async def test_a_repeat_keeps_the_config_that_an_operator_made(agent: OneAgent) -> None:
    await agent.change(min_savings_percent=40.0)
    answer = await agent.registration(FIRST)
    assert answer.config == AgentConfig(config_version=2, min_savings_percent=40.0)


async def test_an_agent_that_said_goodbye_is_online_again_when_it_registers(
    agent: OneAgent,
) -> None:
    await agent.ask(ShutDownAgent)
    assert await agent.register(FIRST) == "updated"
    assert (await agent.state()).status is AgentStatus.ONLINE


async def test_another_instance_takes_over_and_fences_the_former(agent: OneAgent) -> None:
    answer = await agent.registration(SECOND)
    assert (answer.outcome, answer.epoch) == ("promoted", 2)
    assert agent.emitted == [AgentUpdated, AgentPromoted, AgentState, FirstBeat]
    promoted = agent.registry.emitted[1]
    assert isinstance(promoted, AgentPromoted)
    assert (promoted.instance_id, promoted.epoch) == (SECOND, 2)
    assert (promoted.previous_instance_id, promoted.previous_instance_status) == (
        FIRST,
        InstanceStatus.SUPERSEDED,
    )
    state = await agent.state()
    assert (state.instance_id, state.epoch, state.revision) == (SECOND, 2, answer.revision)
    assert await agent.statuses() == {FIRST: "superseded", SECOND: "primary"}
    assert await agent.trail() == ["agent_registered", "instance_promoted"]
    assert await agent.notifications() == ["agent_registered", "instance_promoted"]


async def test_the_first_of_two_clones_takes_over_again_and_every_time_is_told(
    agent: OneAgent,
) -> None:
    assert await agent.register(SECOND) == "promoted"
    assert await agent.register(FIRST) == "promoted"
    assert await agent.register(SECOND) == "promoted"
    assert (await agent.state()).epoch == 4
    assert await agent.statuses() == {FIRST: "superseded", SECOND: "primary"}
    assert await agent.notifications() == ["agent_registered"] + 3 * ["instance_promoted"]


async def test_a_superseded_instance_is_never_listed_for_termination(agent: OneAgent) -> None:
    await agent.register(SECOND)
    clock.move(timedelta(days=30))
    assert await agent.to_terminate() == []


async def test_a_newcomer_stands_by_while_a_move_is_open(agent: OneAgent) -> None:
    await open_move(agent)
    before = await agent.state()
    answer = await agent.registration(SECOND)
    assert (answer.outcome, answer.config) == ("standby", DISABLED_CONFIG)
    assert (answer.epoch, answer.revision) == (before.epoch, None)
    assert agent.emitted == []
    assert await agent.state() == before
    assert await agent.statuses() == {FIRST: "primary", SECOND: "standby"}
    assert await agent.trail() == ["agent_registered", "instance_stands_by"]
    assert await agent.notifications() == ["agent_registered"]


async def test_the_primary_is_no_newcomer_while_a_move_is_open(agent: OneAgent) -> None:
    await open_move(agent)
    assert await agent.register(FIRST) == "updated"


async def test_a_move_that_has_expired_stands_in_nobodys_way(agent: OneAgent) -> None:
    await open_move(agent, for_=-timedelta(seconds=1))
    assert await agent.register(SECOND) == "promoted"


async def test_a_replicas_own_instance_stands_by_however_old_the_replica_is(
    agent: OneAgent,
) -> None:
    await open_move(agent, instance_id=SECOND, for_=-timedelta(days=1))
    assert await agent.register(SECOND) == "standby"
    assert await agent.register(THIRD) == "promoted"


async def test_a_standby_is_promoted_if_the_move_came_to_nothing(agent: OneAgent) -> None:
    await open_move(agent)
    assert await agent.register(SECOND) == "standby"
    clock.move(timedelta(hours=2))
    assert await agent.register(SECOND) == "promoted"
    assert await agent.statuses() == {FIRST: "superseded", SECOND: "primary"}


@pytest.mark.parametrize("status", [InstanceStatus.ZOMBIE, InstanceStatus.TERMINATED])
@pytest.mark.parametrize("deleted", [False, True])
async def test_an_instance_left_behind_is_rejected_and_changes_nothing_but_the_trail(
    agent: OneAgent, status: InstanceStatus, deleted: bool
) -> None:
    await agent.report(FIRST, SECOND, timing={"old_terminated_at": None})
    if status is InstanceStatus.TERMINATED:
        await agent.terminated(FIRST)
    if deleted:
        await agent.ask(DeleteAgent)
    before = await contents(agent.registry, without=TRAIL)
    answer = await agent.registration(FIRST)
    assert (answer.agent_id, answer.outcome) == (agent.id, "zombie-rejected")
    assert (answer.config, answer.revision) == (DISABLED_CONFIG, None)
    (rejected,) = agent.registry.emitted
    assert isinstance(rejected, RegistrationRejected)
    assert (rejected.instance_id, rejected.instance_status) == (FIRST, status)
    assert await contents(agent.registry, without=TRAIL) == before
    (line,) = await agent.registry.db.raw.fetch(
        "select severity from system_events where event_type = 'registration_rejected'"
    )
    assert line["severity"] == "warning"


@pytest.mark.parametrize("instance_id", [FIRST, SECOND])
async def test_a_deleted_agent_comes_back_with_the_defaults_as_the_next_version(
    agent: OneAgent, instance_id: str
) -> None:
    await agent.change(enabled=False)
    deleted = await agent.ask(DeleteAgent)
    answer = await agent.registration(instance_id)
    assert (answer.outcome, answer.epoch) == ("revived", 2)
    assert answer.config == AgentConfig(config_version=3)
    assert agent.emitted == [AgentRegistered, AgentConfigChanged, AgentState, FirstBeat]
    registered, changed, *_ = agent.registry.emitted
    assert isinstance(registered, AgentRegistered)
    assert (registered.revived, registered.epoch) == (True, 2)
    assert isinstance(changed, AgentConfigChanged)
    assert changed.config == answer.config
    state = await agent.state()
    assert (state.deleted, state.config) == (False, answer.config)
    assert state.revision == answer.revision > deleted.revision
    assert (await agent.statuses())[instance_id] == "primary"
    assert (await agent.trail())[-2:] == ["agent_deleted", "agent_revived"]
    assert await agent.notifications() == ["agent_registered", "agent_revived"]


async def test_the_moves_of_an_agents_former_life_do_not_outlast_it(agent: OneAgent) -> None:
    await open_move(agent)
    await agent.ask(DeleteAgent)
    assert await agent.register(FIRST) == "revived"
    assert await agent.register(SECOND) == "promoted"


async def test_an_agent_whose_primary_is_gone_promotes_whoever_registers(agent: OneAgent) -> None:
    await agent.terminated(FIRST, reason=TerminationReason.AWS_TERMINATION)
    assert agent.emitted == [InstanceTerminated, AgentState]
    answer = await agent.registration(SECOND)
    promoted = agent.registry.emitted[1]
    assert (answer.outcome, answer.epoch) == ("promoted", 2)
    assert isinstance(promoted, AgentPromoted)
    assert (promoted.previous_instance_id, promoted.previous_instance_status) == (None, None)


async def test_the_same_logical_id_of_two_clients_names_two_agents(registry: Scene) -> None:
    ours, theirs = OneAgent(registry), OneAgent(registry, client_id=UUID(int=8))
    for agent in (ours, theirs):
        agent.id = agent_id(agent.client_id, "web-1")
        assert await agent.register(FIRST, logical_agent_id="web-1") == "registered"
    await ours.ask(DeleteAgent)
    assert (await theirs.state()).client_id == theirs.client_id
    assert await theirs.statuses() == {FIRST: "primary"}


async def test_two_agents_of_one_client_do_not_touch_each_other(agent: OneAgent) -> None:
    other = OneAgent(agent.registry)
    assert await other.register(FIRST) == "registered"
    before = await agent.state()
    assert await other.register(SECOND) == "promoted"
    assert await agent.state() == before
    assert await agent.statuses() == {FIRST: "primary"}


async def test_the_trail_names_who_did_it_and_where_the_instance_is(registry: Scene) -> None:
    await OneAgent(registry).register(FIRST, mode="spot")
    line = await registry.db.raw.fetchrow("select actor, severity, data from system_events")
    assert line is not None
    assert (line["actor"], line["severity"]) == ("operator:test", "info")
    assert line["data"] == {
        "instance_id": FIRST,
        "instance_type": "t3.medium",
        "az": "us-east-1a",
        "mode": "spot",
    }
