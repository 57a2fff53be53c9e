"""Instances that are left behind: listed when their wait is over, and ended for good."""

from typing import Any

import pytest

from spotkeeper_contracts.topics import AGENT_EVENTS
from tests.system.driver import Agent, Json, System


async def with_zombie(system: System, **settings: Any) -> tuple[Agent, str]:
    """An agent that has switched, and the instance that it left behind."""
    agent = await system.register()
    if settings:
        assert (await agent.change(**settings)).status_code == 200
    old = str(agent.registration["instance_id"])
    assert (await agent.report_switch(f"{old}-new")).status_code == 200
    return agent, old


async def to_terminate(agent: Agent) -> list[Json]:
    answer = await agent.get("instances-to-terminate")
    assert answer.status_code == 200
    return list(answer.json())


async def test_a_zombie_is_listed_once_its_wait_is_over(system: System) -> None:
    waiting, _ = await with_zombie(system)
    assert await to_terminate(waiting) == []
    agent, old = await with_zombie(system, terminate_wait_seconds=0)
    (zombie,) = await to_terminate(agent)
    assert list(zombie) == ["instance_id", "reason", "age_hours", "terminate_after"]
    assert (zombie["instance_id"], zombie["reason"]) == (old, "zombie_instance")
    assert zombie["age_hours"] == 0.0
    assert zombie["terminate_after"].endswith("Z")


async def test_nothing_is_listed_while_the_agent_may_not_terminate(system: System) -> None:
    agent, old = await with_zombie(system, terminate_wait_seconds=0)
    await agent.change(auto_terminate_enabled=False)
    assert await to_terminate(agent) == []
    await agent.change(auto_terminate_enabled=True)
    assert [one["instance_id"] for one in await to_terminate(agent)] == [old]


async def test_nobody_is_handed_anothers_instances(system: System) -> None:
    agent, old = await with_zombie(system, terminate_wait_seconds=0)
    neighbour = await system.register()
    await neighbour.change(terminate_wait_seconds=0)
    assert await to_terminate(neighbour) == []
    foreign = await neighbour.post("termination-report", {"instance_id": old})
    assert (foreign.status_code, foreign.json()) == (404, {"error": "Instance not found"})
    async with await system.client("stranger") as stranger:
        assert (await stranger.get(f"{agent.path}/instances-to-terminate")).status_code == 404
    assert [one["instance_id"] for one in await to_terminate(agent)] == [old]


async def test_a_deleted_agent_holds_no_zombie_of_another_back(system: System) -> None:
    deleted = await system.register()
    home = str(deleted.registration["instance_id"])
    assert (await system.http.delete(deleted.path)).status_code == 200
    agent = await system.register(instance_id=home)
    await agent.change(terminate_wait_seconds=0)
    assert (await agent.report_switch(f"{home}-new")).status_code == 200
    assert [one["instance_id"] for one in await to_terminate(agent)] == [home]


async def test_a_reported_end_is_for_good(system: System) -> None:
    agent, old = await with_zombie(system, terminate_wait_seconds=0)
    for _ in range(2):
        answer = await agent.post(
            "termination-report",
            {"instance_id": old, "reason": "system", "termination_type": "graceful"},
        )
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert await to_terminate(agent) == []
    events = [m["type"] for m in await system.messages(AGENT_EVENTS, agent.id)]
    assert events.count("InstanceTerminated.v1") == 1


async def test_a_failed_end_is_left_out_for_a_while_and_stays_a_zombie(system: System) -> None:
    agent, old = await with_zombie(system, terminate_wait_seconds=0)
    failed = {"instance_id": old, "success": False, "error": "UnauthorizedOperation"}
    assert (await agent.post("termination-report", failed)).json() == {"success": True}
    assert await to_terminate(agent) == []
    events = [m["type"] for m in await system.messages(AGENT_EVENTS, agent.id)]
    assert "TerminationFailed.v1" in events
    assert "InstanceTerminated.v1" not in events


@pytest.mark.parametrize("ended", [False, True])
async def test_one_that_was_left_behind_never_comes_back(system: System, ended: bool) -> None:
    agent, old = await with_zombie(system)
    if ended:
        await agent.post("termination-report", {"instance_id": old})
    before = await agent.detail()
    answer = await system.http.post("/api/agents/register", json=agent.registration)
    assert (answer.status_code, answer.headers["X-Outcome"]) == (200, "zombie-rejected")
    assert answer.json()["agent_id"] == agent.id
    assert set(answer.json()["config"].values()) == {False}
    after = await agent.detail()
    assert (after["instance_id"], after["epoch"]) == (before["instance_id"], before["epoch"])


async def test_when_aws_ends_the_primary_the_agent_has_none_until_the_next(
    system: System,
) -> None:
    agent = await system.register()
    old = agent.registration["instance_id"]
    answer = await agent.post(
        "termination-report", {"instance_id": old, "reason": "aws_termination"}
    )
    assert answer.status_code == 200
    assert (await agent.detail())["instance_id"] is None
    await agent.register(instance_id=f"{old}-next")
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (f"{old}-next", 2)


async def test_a_cleanup_is_a_line_of_the_trail(system: System) -> None:
    agent = await system.register()
    summary = {"instances_terminated": ["i-1"], "errors": []}
    answer = await agent.post("cleanup-report", summary)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    lines = (await agent.get("events")).json()["items"]
    assert summary in [line["data"].get("summary") for line in lines]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"instance_id": "x"},
        {"instance_id": "i-1", "reason": "boredom"},
        {"instance_id": "i-1", "termination_type": "slow"},
        {"instance_id": "i-1", "success": "no"},
        {"instance_id": "i-1", "timestamp": "yesterday"},
    ],
)
async def test_a_bad_report_is_400(system: System, body: Json) -> None:
    agent = await system.register()
    answer = await agent.post("termination-report", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
