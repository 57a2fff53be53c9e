"""The loop of a switch, over HTTP alone: let through, fetched, made, reported, cleaned up after."""

import asyncio
from typing import Any

import pytest

from tests.stack import eventually
from tests.system.driver import Agent, Json, System

POOL = "t3.medium.us-east-1b"


def instance(id: str, az: str) -> Json:
    """A spot instance as a switch report names it."""
    told = {"instance_id": id, "instance_type": "t3.medium", "mode": "spot"}
    return {**told, "pool_id": f"t3.medium.{az}", "az": az, "region": "us-east-1"}


def report(agent: Agent, new: str, **changes: Any) -> Json:
    """The report of a switch from where the agent registered to another zone."""
    return {
        "old_instance": instance(agent.registration["instance_id"], "us-east-1a"),
        "new_instance": instance(new, "us-east-1b"),
        "pricing": {"old_spot": 0.0104, "new_spot": 0.0098, "on_demand": 0.0416},
        "timing": {"initiated_at": "2024-11-26T10:00:00Z"},
        "trigger": "manual",
        "downtime_seconds": 2.0,
        **changes,
    }


async def issue(agent: Agent, pool: str = POOL) -> Any:
    """Ask for a switch."""
    return await agent.post("issue-switch-command", {"target_pool": pool})


async def statuses(agent: Agent) -> list[str]:
    """Where its commands stand, newest first."""
    return [command["status"] for command in (await agent.get("commands")).json()["items"]]


async def test_a_switch_goes_round_the_whole_loop(system: System) -> None:
    agent = await system.register()
    home, new = agent.registration["instance_id"], f"{agent.registration['instance_id']}-b"
    await agent.change(terminate_wait_seconds=0)
    issued = await issue(agent)
    assert (issued.status_code, issued.json()["success"]) == (201, True)
    command_id = issued.json()["command_id"]
    assert (await issue(agent)).json()["command_id"] == command_id
    other = await issue(agent, "t3.medium.us-east-1c")
    assert (other.status_code, other.json()["code"]) == (409, "SWITCH_IN_PROGRESS")

    [command] = (await agent.get("pending-commands", params={"wait": 5})).json()
    assert (command["command_id"], command["target_pool"]) == (command_id, POOL)
    assert command["parameters"]["expected_instance_id"] == home
    assert (await agent.get("pending-commands")).json() == []
    assert (await agent.register(instance_id=new)).headers["X-Outcome"] == "standby"
    agent.registration["instance_id"] = home

    told = report(agent, new, command_id=command_id)
    for _ in range(2):
        answer = await agent.post("switch-report", told)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"], detail["current_pool_id"]) == (new, 2, POOL)
    stale = await agent.post("switch-report", report(agent, f"{new}-c"))
    assert (stale.status_code, stale.json()["code"]) == (409, "STALE_REPORT")

    done = await agent.post(f"commands/{command_id}/executed", {"status": "success"})
    assert (done.status_code, done.json()) == (200, {"success": True})
    [command] = (await agent.get("commands")).json()["items"]
    steps = [step["status"] for step in command["transitions"]]
    assert steps == ["queued", "delivered", "succeeded"]
    assert all(step["at"] and step["actor"] for step in command["transitions"])

    [listed] = (await agent.get("instances-to-terminate")).json()
    assert (listed["instance_id"], listed["reason"]) == (home, "zombie_instance")
    await agent.post("termination-report", {"instance_id": home})
    assert (await agent.get("instances-to-terminate")).json() == []
    [switch] = (await agent.get("switches")).json()["items"]
    assert switch["promised_savings_per_hour"] == pytest.approx(0.0006)
    figures = (await agent.get("statistics")).json()["statistics"]
    assert figures["switches_executed"] == 1
    assert figures["decisions_by_trigger"] == {"automatic": 0, "manual": 1}
    assert figures["avg_downtime_seconds"] == 2


async def test_no_switch_passes_once_an_operator_has_read_that_it_is_off(system: System) -> None:
    agent = await system.register()
    for _ in range(10):
        assert (await agent.change(auto_switch_enabled=False)).status_code == 200
        answers = await asyncio.gather(*(issue(agent) for _ in range(20)))
        assert {answer.status_code for answer in answers} == {403}
        assert answers[0].json() == {
            "error": "Auto-switching is disabled for this agent",
            "code": "AUTO_SWITCH_DISABLED",
        }
        await agent.change(auto_switch_enabled=True)
    assert await statuses(agent) == []


async def test_a_switch_that_waits_is_cancelled_when_switching_goes_off(system: System) -> None:
    agent = await system.register()
    await issue(agent)
    await agent.change(auto_switch_enabled=False)
    assert (await agent.get("pending-commands")).json() == []
    [command] = (await agent.get("commands")).json()["items"]
    assert (command["status"], command["transitions"][-1]["detail"]) == ("cancelled", "gate_closed")


async def test_a_waiting_agent_gets_its_command_at_once(system: System) -> None:
    agent = await system.register()
    waiting = asyncio.create_task(agent.get("pending-commands", params={"wait": 20}))
    issued = await issue(agent)
    [command] = (await asyncio.wait_for(waiting, 5)).json()
    assert command["command_id"] == issued.json()["command_id"]

    async def heard() -> bool:
        return (await agent.heartbeat()).json()["commands_pending"] is False

    await eventually(heard, within_seconds=30)
    cancel = f"commands/{command['command_id']}/cancel"
    assert (await agent.post(cancel)).status_code == 200
    assert (await agent.post(cancel)).status_code == 200
