"""Commands over HTTP: the gate, the queue, and each command's life to its end."""

import asyncio
from typing import Any

import pytest

from chassis import clock
from spotkeeper_contracts.topics import AGENT_COMMANDS
from tests.stack import eventually
from tests.system.driver import Agent, System

UNKNOWN = "01890000-0000-7000-8000-000000000000"
KEYS = [
    "command_id", "command_type", "target_pool", "target_mode", "priority", "created_at",
    "expires_at", "terminate_wait_seconds", "request_id", "parameters",
]  # fmt: skip
CLOSED = {"error": "Auto-switching is disabled for this agent", "code": "AUTO_SWITCH_DISABLED"}
ROUNDS, AT_ONCE = 10, 20


async def types(system: System, agent: Agent) -> list[str]:
    return [message["type"] for message in await system.messages(AGENT_COMMANDS, agent.id)]


async def listed(agent: Agent, **params: Any) -> list[dict[str, Any]]:
    return list((await agent.get("commands", params=params)).json()["items"])


async def test_a_command_goes_from_the_gate_to_its_end(system: System) -> None:
    agent = await system.register()
    issued = await agent.issue_switch()
    assert (issued.status_code, list(issued.json())) == (201, ["command_id", "success"])
    command_id = issued.json()["command_id"]

    async def told() -> bool:
        return bool((await agent.heartbeat()).json()["commands_pending"])

    await eventually(told, within_seconds=2)
    (command,) = await agent.fetch()
    assert list(command) == KEYS
    assert (command["command_id"], command["command_type"]) == (command_id, "switch")
    assert (command["target_pool"], command["target_mode"]) == ("t3.medium.us-east-1b", "spot")
    assert command["priority"] == 75
    assert command["terminate_wait_seconds"] == 300
    parameters = command["parameters"]
    assert parameters["trigger"] == "manual"
    assert parameters["expected_instance_id"] == agent.registration["instance_id"]
    assert parameters["expected_pool"] == "t3.medium.us-east-1a"
    assert (parameters["epoch"], parameters["not_after"]) == (1, command["expires_at"])

    assert await agent.fetch() == [], "it is leased"

    async def quiet() -> bool:
        return not (await agent.heartbeat()).json()["commands_pending"]

    await eventually(quiet, within_seconds=2)
    done = await agent.post(f"commands/{command_id}/executed", {"status": "success"})
    assert (done.status_code, done.json()) == (200, {"success": True})
    (item,) = await listed(agent)
    assert item["status"] == "succeeded"
    steps = [step["status"] for step in item["transitions"]]
    assert steps == ["queued", "delivered", "succeeded"]
    assert all(step["at"].endswith("Z") and step["actor"] for step in item["transitions"])
    assert await types(system, agent) == [
        "CommandQueued.v1", "CommandDelivered.v1", "CommandFinished.v1",
    ]  # fmt: skip


async def test_a_closed_gate_answers_as_documented(system: System) -> None:
    agent = await system.register()
    await agent.change(auto_switch_enabled=False)
    answer = await agent.issue_switch()
    assert (answer.status_code, answer.json()) == (403, CLOSED)
    await agent.change(auto_switch_enabled=True, enabled=False)
    answer = await agent.issue_switch()
    assert (answer.status_code, answer.json()["code"]) == (403, "AGENT_DISABLED")
    assert await types(system, agent) == []


async def test_after_an_operator_has_read_off_no_switch_passes(system: System) -> None:
    agent = await system.register()
    for number in range(ROUNDS):
        await agent.change(auto_switch_enabled=True)
        off = await agent.change(auto_switch_enabled=False)
        assert off.json()["auto_switch_enabled"] is False
        answers = await asyncio.gather(
            *(agent.issue_switch(f"t3.medium.us-east-1{number}-{n}") for n in range(AT_ONCE))
        )
        assert [(a.status_code, a.json()) for a in answers] == [(403, CLOSED)] * AT_ONCE
    assert await listed(agent) == []


async def test_a_switch_queued_before_the_gate_closed_is_cancelled(system: System) -> None:
    agent = await system.register()
    await agent.issue_switch()
    await agent.change(auto_switch_enabled=False)
    assert await agent.fetch() == []
    (item,) = await listed(agent)
    assert (item["status"], item["transitions"][-1]["detail"]) == ("cancelled", "gate_closed")


async def test_an_open_switch_stands_in_the_way_of_others(system: System) -> None:
    agent = await system.register()
    there = await agent.issue_switch("t3.medium.us-east-1a")
    assert (there.status_code, there.json()["code"]) == (409, "ALREADY_ON_TARGET")
    first, again = await agent.issue_switch(), await agent.issue_switch()
    assert (again.status_code, again.json()) == (201, first.json())
    for pool in ("t3.medium.us-east-1c", None):
        other = await agent.issue_switch(pool)
        assert (other.status_code, other.json()["code"]) == (409, "SWITCH_IN_PROGRESS")
    assert len(await listed(agent)) == 1


async def test_on_demand_is_the_one_target_without_a_pool(system: System) -> None:
    agent = await system.register()
    for body in ({}, {"target_pool": None}, {"target_pool": "", "target_type": "spot"}):
        answer = await agent.post("issue-switch-command", body)
        assert (answer.status_code, list(answer.json()["details"])) == (400, ["target_pool"])
    assert (await agent.issue_switch(None)).status_code == 201
    (command,) = await agent.fetch()
    assert (command["target_pool"], command["target_mode"]) == (None, "ondemand")


async def test_one_key_orders_one_switch(system: System) -> None:
    agent = await system.register()
    key = {"Idempotency-Key": f"switch-{agent.id}"}
    answers = await asyncio.gather(*(agent.issue_switch(headers=key) for _ in range(10)))
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
    assert len(await listed(agent)) == 1


async def test_a_refusal_is_kept_under_its_key_too(system: System) -> None:
    agent = await system.register()
    await agent.change(auto_switch_enabled=False)
    key = {"Idempotency-Key": f"refused-{agent.id}"}
    assert (await agent.issue_switch(headers=key)).json() == CLOSED
    await agent.change(auto_switch_enabled=True)
    again = await agent.issue_switch(headers=key)
    assert (again.status_code, again.json()) == (403, CLOSED)
    assert (await agent.issue_switch()).status_code == 201


async def test_a_waiting_agent_is_woken_within_a_second(system: System) -> None:
    agent = await system.register()
    fetching = asyncio.create_task(agent.fetch(wait=20))
    assert await agent.fetch(wait=0.5) == []
    assert not fetching.done()
    start = clock.monotonic()
    issued = await agent.issue_switch()
    (command,) = await fetching
    assert clock.monotonic() - start < 1
    assert command["command_id"] == issued.json()["command_id"]


async def test_the_most_urgent_comes_first_then_the_oldest(system: System) -> None:
    agent = await system.register()
    await agent.issue_switch()
    await agent.post("replicas", {})
    await agent.post("rebalance-recommendation", {})
    limited = await agent.get("pending-commands", params={"limit": 1})
    found = [*limited.json(), *await agent.fetch()]
    assert [(one["priority"], one["command_type"]) for one in found] == [
        (100, "create_replica"), (75, "switch"), (75, "create_replica"),
    ]  # fmt: skip


async def test_an_end_is_final(system: System) -> None:
    agent = await system.register()
    await agent.issue_switch()
    (command,) = await agent.fetch()
    place = f"commands/{command['command_id']}"
    failed = {"status": "failed", "error": "no capacity", "result": {"tried": 3}}
    for _ in range(2):
        assert (await agent.post(f"{place}/executed", failed)).status_code == 200
    for status in ("success", "partial"):
        other = await agent.post(f"{place}/executed", {"status": status})
        assert (other.status_code, sorted(other.json())) == (409, ["code", "error"])
    assert (await agent.post(f"{place}/cancel")).status_code == 409
    (item,) = await listed(agent, status="failed")
    assert (item["status"], item["error"]) == ("failed", "no capacity")
    assert await listed(agent, status="queued") == []


async def test_an_operator_takes_a_command_back(system: System) -> None:
    agent = await system.register()
    command_id = (await agent.issue_switch()).json()["command_id"]
    cancelled = await agent.post(f"commands/{command_id}/cancel")
    assert (cancelled.status_code, cancelled.json()) == (200, {"success": True})
    assert await agent.fetch() == []
    (item,) = await listed(agent, status="cancelled")
    assert item["transitions"][-1]["actor"].startswith("operator:")

    async def free() -> bool:
        answer = await agent.issue_switch("t3.medium.us-east-1c")
        return answer.status_code == 201

    await eventually(free, within_seconds=5)


@pytest.mark.parametrize("command_id", [UNKNOWN, "nonsense"])
async def test_an_unknown_command_is_404(system: System, command_id: str) -> None:
    agent = await system.register()
    for place, body in (("executed", {"status": "success"}), ("cancel", None)):
        answer = await agent.post(f"commands/{command_id}/{place}", body)
        assert (answer.status_code, answer.json()) == (404, {"error": "Command not found"})


async def test_another_agents_command_is_unknown(system: System) -> None:
    agent, other = await system.register(), await system.register()
    command_id = (await agent.issue_switch()).json()["command_id"]
    answer = await other.post(f"commands/{command_id}/executed", {"status": "success"})
    assert answer.status_code == 404
    assert [item["status"] for item in await listed(agent)] == ["queued"]


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "done"},
        {"status": "success", "duration_seconds": -1},
        {"status": "success", "duration_seconds": "5"},
        {"status": "success", "message": "x" * 256},
        {"status": "success", "result": []},
        {"status": "success", "result": {"a": "\0"}},
        [],
    ],
)
async def test_a_bad_report_is_400_and_changes_nothing(system: System, body: Any) -> None:
    agent = await system.register()
    command_id = (await agent.issue_switch()).json()["command_id"]
    answer = await agent.post(f"commands/{command_id}/executed", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    assert [item["status"] for item in await listed(agent)] == ["queued"]


async def test_the_list_pages_newest_first(system: System) -> None:
    agent = await system.register()
    made = []
    for number in range(5):
        issued = await agent.post("replicas", {"pool_id": f"pool-{number}"})
        made.append(issued.json()["command_id"])
    found, cursor = [], None
    while True:
        params = {"limit": 2} | ({"cursor": cursor} if cursor else {})
        page = (await agent.get("commands", params=params)).json()
        found += [item["command_id"] for item in page["items"]]
        cursor = page["next_cursor"]
        if cursor is None:
            break
    assert found == made[::-1]
    for params in ({"cursor": "nonsense"}, {"status": "fine"}, {"limit": 501}):
        assert (await agent.get("commands", params=params)).status_code == 400


async def test_what_the_services_keep_is_sound(system: System) -> None:
    assert await system.violations() == {}
