"""Configs: what a change makes true, what it refuses, and how an earlier version comes back."""

import pytest

from chassis.testing import Scene
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.configs import (
    AgentConfig,
    AgentConfigChanged,
    ChangeConfig,
    ConfigAnswer,
    ConfigHistoryPage,
    ListConfigHistory,
    RollbackConfig,
)
from tests.registry.fleet import OneAgent

FIRST = "i-first"


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    """A registered agent, with the default config."""
    agent = OneAgent(registry)
    await agent.register(FIRST)
    return agent


async def versions(agent: OneAgent) -> list[int]:
    """The versions in the agent's history, newest first."""
    page = await agent.ask(ListConfigHistory, limit=500)
    return [item.config_version for item in page.items]


async def test_a_change_is_the_next_version_and_everybody_is_told(agent: OneAgent) -> None:
    before = await agent.state()
    answer = await agent.ask(ChangeConfig, settings={"replica_count": 2, "risk_threshold": 0.5})
    assert isinstance(answer, ConfigAnswer)
    assert answer.config == AgentConfig(config_version=2, replica_count=2, risk_threshold=0.5)
    changed, state = agent.registry.emitted
    assert isinstance(changed, AgentConfigChanged)
    assert (changed.config, changed.changed_by) == (answer.config, "operator:test")
    assert state == before.model_copy(
        update={"config": answer.config, "revision": before.revision + 1}
    )
    assert answer.revision == before.revision + 1
    assert await agent.state() == state


async def test_the_trail_names_the_settings_that_changed_and_no_others(agent: OneAgent) -> None:
    await agent.ask(ChangeConfig, settings={"replica_count": 2, "risk_threshold": 0.3})
    line = await agent.registry.db.raw.fetchrow(
        "select message, data from system_events where event_type = 'config_changed'"
    )
    assert line is not None
    assert line["data"] == {"config_version": 2, "settings": {"replica_count": 2}}
    assert line["message"] == "The config is now at version 2: replica_count changed"


@pytest.mark.parametrize("settings", [{}, {"risk_threshold": 0.3}, {"replica_count": 0}])
async def test_a_change_of_nothing_leaves_no_trace(
    agent: OneAgent, settings: dict[str, object]
) -> None:
    before = await agent.state()
    answer = await agent.ask(ChangeConfig, settings=settings)
    assert (answer.config, answer.revision) == (before.config, before.revision)
    assert agent.emitted == []
    assert await agent.state() == before
    assert await versions(agent) == [1]
    assert await agent.trail() == ["agent_registered"]


async def test_a_change_to_a_version_that_is_not_the_current_one_is_refused(
    agent: OneAgent,
) -> None:
    await agent.ask(ChangeConfig, settings={"enabled": False}, expected_version=1)
    with pytest.raises(Refused, match="VERSION_MISMATCH") as refused:
        await agent.ask(ChangeConfig, settings={"enabled": True}, expected_version=1)
    assert refused.value.refusal.status == 412
    assert refused.value.refusal.error == "The config is at version 2"
    assert await versions(agent) == [2, 1]


async def test_settings_that_exclude_each_other_change_nothing(agent: OneAgent) -> None:
    before = await agent.state()
    settings = {"manual_replica_enabled": True, "replica_count": 1}
    assert await agent.refusal(ChangeConfig, settings=settings) == "INVALID_CONFIGURATION"
    assert await agent.state() == before
    await agent.change(auto_switch_enabled=False, **settings)
    code = await agent.refusal(ChangeConfig, settings={"auto_switch_enabled": True})
    assert code == "INVALID_CONFIGURATION"
    assert await versions(agent) == [2, 1]


async def test_an_earlier_version_comes_back_as_a_new_one(agent: OneAgent) -> None:
    await agent.change(enabled=False, preferred_replica_pools=["a", "b"])
    await agent.change(replica_count=3)
    answer = await agent.ask(RollbackConfig, config_version=1)
    assert answer.config == AgentConfig(config_version=4)
    assert agent.emitted == [AgentConfigChanged, AgentState]
    again = await agent.ask(RollbackConfig, config_version=2)
    assert again.config == AgentConfig(
        config_version=5, enabled=False, preferred_replica_pools=["a", "b"]
    )
    assert (await agent.state()).config == again.config


async def test_going_back_to_what_is_already_so_changes_nothing(agent: OneAgent) -> None:
    await agent.change(enabled=False)
    await agent.change(enabled=True)
    for version in (1, 3):
        answer = await agent.ask(RollbackConfig, config_version=version)
        assert answer.config.config_version == 3
        assert agent.emitted == []


@pytest.mark.parametrize("version", [0, 2, -1])
async def test_there_is_no_way_back_to_a_version_that_never_was(
    agent: OneAgent, version: int
) -> None:
    with pytest.raises(Refused, match="NOT_FOUND") as refused:
        await agent.ask(RollbackConfig, config_version=version)
    assert refused.value.refusal.status == 404


async def test_no_way_back_from_a_version_that_the_caller_does_not_know(agent: OneAgent) -> None:
    await agent.change(enabled=False)
    await agent.change(replica_count=3)
    code = await agent.refusal(RollbackConfig, config_version=1, expected_version=2)
    assert code == "VERSION_MISMATCH"
    answer = await agent.ask(RollbackConfig, config_version=1, expected_version=3)
    assert answer.config == AgentConfig(config_version=4)


async def test_the_history_of_another_agent_is_no_way_back(agent: OneAgent) -> None:
    other = OneAgent(agent.registry)
    await other.register(FIRST)
    await other.change(enabled=False)
    assert await agent.refusal(RollbackConfig, config_version=2) == "NOT_FOUND"


async def test_the_history_tells_each_version_once_with_who_made_it(agent: OneAgent) -> None:
    for count in range(1, 5):
        await agent.change(replica_count=count)
    first = await agent.ask(ListConfigHistory, limit=3)
    assert isinstance(first, ConfigHistoryPage)
    last = await agent.ask(ListConfigHistory, limit=3, cursor=first.next_cursor)
    items = [*first.items, *last.items]
    assert [item.config_version for item in items] == [5, 4, 3, 2, 1]
    assert [item.config.replica_count for item in items] == [4, 3, 2, 1, 0]
    assert {item.changed_by for item in items} == {"operator:test"}
    assert all(item.config.config_version == item.config_version for item in items)
    assert last.next_cursor is None


async def test_numbers_keep_their_last_digit_on_the_way_through_the_database(
    agent: OneAgent,
) -> None:
    told = {"risk_threshold": 0.1 + 0.2, "min_savings_percent": 100 / 3}
    await agent.change(**told)
    config = (await agent.state()).config
    assert told.items() <= config.model_dump().items()
    assert (await agent.ask(ChangeConfig, settings=told)).config == config
    assert agent.emitted == []
