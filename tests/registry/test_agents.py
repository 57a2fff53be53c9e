"""Agents as operators see them: one, pages of them, their audit trail, and how they end."""

from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene
from spotkeeper_contracts import Refused, Request
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentDeleted,
    AgentPage,
    AgentShutDown,
    AgentState,
    DeleteAgent,
    GetAgent,
    ListAgents,
    ListEvents,
    ShutDownAgent,
)
from spotkeeper_contracts.configs import ChangeConfig, ListConfigHistory, RollbackConfig
from spotkeeper_contracts.instances import ListInstancesToTerminate, ReportCleanup
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.switches import IssueSwitch
from spotkeeper_contracts.values import AgentStatus
from tests.registry.fleet import CLIENT, OneAgent

FIRST, SECOND = "i-first", "i-second"
STRANGER = UUID(int=8)
OF_ONE_AGENT: list[type[Request]] = [
    GetAgent,
    DeleteAgent,
    ShutDownAgent,
    ListEvents,
    ChangeConfig,
    RollbackConfig,
    ListConfigHistory,
    ListInstancesToTerminate,
    ReportCleanup,
    IssueSwitch,
]
NAMES = ["web-a", "web-b", "web-c", "job-d", "job-e"]


@pytest.fixture
async def agent(registry: Scene) -> OneAgent:
    """A registered agent."""
    agent = OneAgent(registry)
    await agent.register(FIRST)
    return agent


@pytest.fixture
async def fleet(registry: Scene) -> list[OneAgent]:
    """Five agents of one client, registered one after the other."""
    agents = [OneAgent(registry) for _ in NAMES]
    for agent, name in zip(agents, NAMES, strict=True):
        await agent.register(f"i-{name}", logical_agent_id=name)
    return agents


async def listed(registry: Scene, **asked: Any) -> AgentPage:
    page = await registry.handle(ListAgents(client_id=CLIENT, **asked))
    assert isinstance(page, AgentPage)
    return page


async def names(registry: Scene, **asked: Any) -> list[str]:
    return [item.logical_agent_id for item in (await listed(registry, **asked)).items]


async def test_an_agent_is_told_of_in_detail_and_as_its_state(agent: OneAgent) -> None:
    await agent.change(enabled=False)
    answer = await agent.ask(GetAgent)
    assert isinstance(answer, AgentAnswer)
    detail, state = answer.detail, answer.state
    assert (detail.agent_id, detail.config_version, detail.enabled) == (agent.id, 2, False)
    assert detail.registered_at == detail.last_heartbeat_at == state.registered_at
    shared = AgentState.model_fields.keys() & type(detail).model_fields.keys()
    assert {name: getattr(detail, name) for name in shared} == {
        name: getattr(state, name) for name in shared
    }


@pytest.mark.parametrize("kind", OF_ONE_AGENT)
async def test_an_unknown_agent_and_another_clients_are_refused_in_the_same_words(
    agent: OneAgent, kind: type[Request]
) -> None:
    before = await agent.state()
    unknown, strangers = OneAgent(agent.registry), OneAgent(agent.registry, client_id=STRANGER)
    strangers.id = agent.id
    assert await refusal(strangers, kind) == await refusal(unknown, kind)
    assert await refusal(unknown, kind) == ("AGENT_NOT_FOUND", "Agent not found", 404)
    assert await agent.state() == before


@pytest.mark.parametrize("kind", OF_ONE_AGENT)
async def test_a_deleted_agent_is_gone_for_every_request(
    agent: OneAgent, kind: type[Request]
) -> None:
    await agent.ask(DeleteAgent)
    assert (await refusal(agent, kind))[::2] == ("AGENT_DELETED", 410)
    assert agent.emitted == []


async def refusal(agent: OneAgent, kind: type[Request]) -> tuple[str, str, int]:
    with pytest.raises(Refused) as refused:
        await agent.ask(kind)
    told = refused.value.refusal
    return told.code, told.error, told.status


async def test_a_deletion_is_told_and_kept_in_the_trail(agent: OneAgent) -> None:
    before = await agent.state()
    done = await agent.ask(DeleteAgent)
    assert done == Done(revision=before.revision + 1)
    assert agent.emitted == [AgentDeleted, AgentState]
    told = {"deleted": True, "revision": before.revision + 1, "status": AgentStatus.STOPPING}
    assert agent.registry.emitted[1] == before.model_copy(update=told)
    lines = await agent.registry.db.raw.fetch(
        "select event_type, severity from system_events where agent_id = $1 order by created_at",
        agent.id,
    )
    assert [tuple(line) for line in lines][-1] == ("agent_deleted", "warning")


@pytest.mark.parametrize("instance_id", [None, FIRST])
async def test_an_agent_says_goodbye_by_its_primary_or_by_nobody_named(
    agent: OneAgent, instance_id: str | None
) -> None:
    done = await agent.ask(ShutDownAgent, instance_id=instance_id, reason="replaced")
    assert agent.emitted == [AgentShutDown, AgentState]
    state = await agent.state()
    assert (state.status, state.revision) == (AgentStatus.STOPPING, done.revision)
    assert (await agent.trail())[-1] == "agent_shut_down"
    assert await agent.notifications() == ["agent_registered"]


async def test_a_goodbye_of_another_instance_is_refused(agent: OneAgent) -> None:
    await agent.register(SECOND)
    before = await agent.state()
    with pytest.raises(Refused, match="NOT_PRIMARY") as refused:
        await agent.ask(ShutDownAgent, instance_id=FIRST)
    assert refused.value.refusal.status == 409
    assert await agent.state() == before


async def test_pages_show_each_agent_once_the_newest_first(
    registry: Scene, fleet: list[OneAgent]
) -> None:
    first = await listed(registry, limit=2)
    await OneAgent(registry).register("i-newer")
    second = await listed(registry, limit=2, cursor=first.next_cursor)
    last = await listed(registry, limit=2, cursor=second.next_cursor)
    found = [item.agent_id for page in (first, second, last) for item in page.items]
    assert found == [agent.id for agent in reversed(fleet)]
    assert last.next_cursor is None


async def test_agents_of_one_moment_are_paged_without_gap_or_repeat(
    registry: Scene, fleet: list[OneAgent]
) -> None:
    await registry.db.raw.execute("update agents set registered_at = $1", clock.now())
    found, cursor = [], None
    for _ in fleet:
        page = await listed(registry, limit=1, cursor=cursor)
        found += [item.agent_id for item in page.items]
        cursor = page.next_cursor
    assert found == sorted((agent.id for agent in fleet), reverse=True)
    assert cursor is None


@pytest.mark.usefixtures("fleet")
async def test_a_page_that_just_suffices_has_no_next_one(registry: Scene) -> None:
    assert (await listed(registry, limit=len(NAMES))).next_cursor is None
    assert (await listed(registry, limit=len(NAMES) - 1)).next_cursor is not None


@pytest.mark.parametrize(
    ("q", "found"),
    [
        ("web", ["web-c", "web-b", "web-a"]),
        ("JOB-D", ["job-d"]),
        ("i-web-b", ["web-b"]),
        ("%", []),
        ("web_a", []),
        ("", NAMES[::-1]),
    ],
)
@pytest.mark.usefixtures("fleet")
async def test_agents_are_found_by_part_of_their_name_or_instance(
    registry: Scene, q: str, found: list[str]
) -> None:
    assert await names(registry, q=q) == found


async def test_agents_are_found_by_status_and_region(
    registry: Scene, fleet: list[OneAgent]
) -> None:
    await fleet[0].ask(ShutDownAgent)
    await fleet[1].register("i-web-b", logical_agent_id="web-b", region="eu-west-1")
    assert await names(registry, status=AgentStatus.STOPPING) == ["web-a"]
    assert await names(registry, region="eu-west-1") == ["web-b"]
    assert await names(registry, status=AgentStatus.ONLINE, region="us-east-1", q="web") == [
        "web-c"
    ]


async def test_lists_leave_out_the_deleted_and_everybody_elses(
    registry: Scene, fleet: list[OneAgent]
) -> None:
    await OneAgent(registry, client_id=STRANGER).register("i-strange")
    await fleet[-1].ask(DeleteAgent)
    assert await names(registry) == NAMES[-2::-1]


async def test_the_trail_is_paged_newest_first(agent: OneAgent) -> None:
    for _ in range(3):
        await agent.register(FIRST)
    first = await agent.ask(ListEvents, limit=3)
    last = await agent.ask(ListEvents, limit=3, cursor=first.next_cursor)
    told = [event.event_type for event in [*first.items, *last.items]]
    assert told == 3 * ["agent_updated"] + ["agent_registered"]
    assert last.next_cursor is None
    times = [event.timestamp for event in first.items]
    assert times == sorted(times, reverse=True)


@pytest.mark.parametrize("kind", [ListAgents, ListEvents, ListConfigHistory])
@pytest.mark.parametrize("cursor", ["", "nonsense", "MTczMjYxNTIwMC4w", "-1", "1e3", "0", "٣"])
async def test_a_cursor_that_is_none_of_ours_is_refused(
    agent: OneAgent, kind: type[Request], cursor: str
) -> None:
    asked = {"client_id": CLIENT, "agent_id": agent.id, "cursor": cursor}
    with pytest.raises(Refused) as refused:
        await agent.registry.handle(kind.model_validate(asked))
    told = refused.value.refusal
    assert (told.error, told.status) == ("Validation failed", 400)
    assert told.details == {"cursor": ["Not a cursor of this list"]}
