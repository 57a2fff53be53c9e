"""Switches as agents report them: one primary, one record, and what became of the old instance."""

import asyncio
import csv
import io
from typing import Any

import pytest

from chassis import clock
from spotkeeper_contracts.topics import AGENT_COMMANDS, AGENT_EVENTS, AGENT_STATE
from spotkeeper_contracts.values import rfc3339
from tests.stack import eventually
from tests.system.driver import Agent, Json, System

KEYS = [
    "switch_id", "command_id", "trigger", "old_instance", "new_instance", "pricing", "timing",
    "downtime_seconds", "promised_savings_per_hour", "realised_savings", "is_settled", "timestamp",
]  # fmt: skip


async def switches(agent: Agent) -> list[Json]:
    return list((await agent.get("switches")).json()["items"])


async def test_a_reported_switch_moves_the_agent(system: System) -> None:
    agent = await system.register()
    command_id = (await agent.issue_switch()).json()["command_id"]
    await agent.fetch()
    new = f"{agent.registration['instance_id']}-new"
    answer = await agent.report_switch(new, command_id=command_id)
    assert (answer.status_code, answer.json()) == (200, {"success": True})
    assert answer.headers["X-Agent-Epoch"] == "2"
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (new, 2)
    assert (detail["az"], detail["current_pool_id"]) == ("us-east-1b", "t3.medium.us-east-1b")
    (item,) = await switches(agent)
    assert list(item) == KEYS
    assert (item["command_id"], item["trigger"]) == (command_id, "manual")
    assert item["promised_savings_per_hour"] == pytest.approx(0.0006)
    assert item["downtime_seconds"] == 12.0
    commands = (await agent.get("commands")).json()["items"]
    assert [command["status"] for command in commands] == ["succeeded"]
    told = [m["type"] for m in await system.messages(AGENT_COMMANDS, agent.id)]
    assert told.count("SwitchCompleted.v1") == 1
    told = [m["type"] for m in await system.messages(AGENT_EVENTS, agent.id)]
    assert told[-2:] == ["AgentPromoted.v1", "InstanceBecameZombie.v1"]


async def test_a_beat_that_says_nothing_of_a_place_moves_nobody_back(system: System) -> None:
    agent = await system.register()
    await agent.heartbeat(current_mode="spot", current_pool_id="t3.medium.us-east-1a")
    new = f"{agent.registration['instance_id']}-new"
    await agent.report_switch(new)
    await agent.heartbeat("degraded", instance_id=new)

    async def is_degraded() -> bool:
        return bool((await agent.detail())["status"] == "degraded")

    await eventually(is_degraded, within_seconds=15)
    detail = await agent.detail()
    assert (detail["az"], detail["current_pool_id"]) == ("us-east-1b", "t3.medium.us-east-1b")


async def test_a_switch_reported_before_its_command_was_fetched_ends_it_as_done(
    system: System,
) -> None:
    agent = await system.register()
    command_id = (await agent.issue_switch()).json()["command_id"]
    new = f"{agent.registration['instance_id']}-new"
    assert (await agent.report_switch(new, command_id=command_id)).status_code == 200
    (command,) = (await agent.get("commands")).json()["items"]
    assert (command["command_id"], command["status"]) == (command_id, "succeeded")
    done = await agent.post(f"commands/{command_id}/executed", {"status": "success"})
    assert done.status_code == 200


async def test_the_switch_from_an_instance_that_aws_took_ends_its_command_as_done(
    system: System,
) -> None:
    agent = await system.register()
    old = {"instance_id": agent.registration["instance_id"]}
    notice = {**old, "termination_time": rfc3339(clock.now())}
    command_id = (await agent.post("termination-imminent", notice)).json()["command_id"]
    taken = await agent.post("termination-report", {**old, "reason": "aws_termination"})
    assert taken.status_code == 200
    report = agent.switch_report(f"{old['instance_id']}-new", command_id=command_id)
    new = {**report["new_instance"], "mode": "ondemand", "pool_id": None}
    report |= {"new_instance": new, "trigger": "emergency"}

    async def is_recorded() -> bool:  # The registry hears of an emergency's command on the way.
        return (await agent.post("switch-report", report)).status_code == 200

    await eventually(is_recorded, within_seconds=10)
    (command,) = (await agent.get("commands")).json()["items"]
    last = command["transitions"][-1]
    assert (command["command_id"], last["status"]) == (command_id, "succeeded")
    assert last["detail"] == "switch_reported"


async def test_the_new_instance_acts_and_the_old_one_is_fenced(system: System) -> None:
    agent = await system.register()
    old = agent.registration["instance_id"]
    await agent.report_switch(f"{old}-new")
    assert "X-Outcome" not in (await agent.heartbeat(instance_id=f"{old}-new")).headers
    assert (await agent.heartbeat(instance_id=old)).headers["X-Outcome"] == "not-primary"
    await agent.issue_switch("t3.medium.us-east-1c")
    fenced = await agent.get("pending-commands", headers={"X-Instance-Id": old})
    assert (fenced.json(), fenced.headers["X-Outcome"]) == ([], "not-primary")
    assert len(await agent.fetch(headers={"X-Instance-Id": f"{old}-new"})) == 1
    refused = await agent.issue_switch(headers={"X-Instance-Id": old})
    assert (refused.status_code, refused.json()["code"]) == (409, "NOT_PRIMARY")


@pytest.mark.parametrize("named", [True, False])
async def test_a_repeated_report_changes_nothing(system: System, named: bool) -> None:
    agent = await system.register()
    told = {}
    if named:
        told["command_id"] = (await agent.issue_switch()).json()["command_id"]
    new = f"{agent.registration['instance_id']}-new"
    answers = await asyncio.gather(*(agent.report_switch(new, **told) for _ in range(5)))
    assert [answer.status_code for answer in answers] == [200] * 5
    assert (await agent.detail())["epoch"] == 2
    assert len(await switches(agent)) == 1


async def test_a_report_from_an_instance_that_is_not_the_primary_is_stale(system: System) -> None:
    agent = await system.register()
    old = agent.registration["instance_id"]
    await agent.report_switch(f"{old}-b")
    answer = await agent.report_switch(f"{old}-c")
    assert (answer.status_code, answer.json()["code"]) == (409, "STALE_REPORT")
    assert (await agent.detail())["instance_id"] == f"{old}-b"


@pytest.mark.parametrize("auto_terminate", [True, False])
async def test_the_old_instance_is_gone_only_if_that_was_told_and_wanted(
    system: System, auto_terminate: bool
) -> None:
    agent = await system.register()
    await agent.change(auto_terminate_enabled=auto_terminate)
    now = rfc3339(clock.now())
    await agent.report_switch(
        f"{agent.registration['instance_id']}-new",
        timing={"initiated_at": now, "old_instance_terminated_at": now},
    )
    told = [m["type"] for m in await system.messages(AGENT_EVENTS, agent.id)]
    assert ("InstanceTerminated.v1" in told) is auto_terminate
    assert ("InstanceBecameZombie.v1" in told) is not auto_terminate


async def test_prices_are_another_name_of_pricing(system: System) -> None:
    agent = await system.register()
    body = agent.switch_report(f"{agent.registration['instance_id']}-new")
    body["prices"] = body.pop("pricing")
    assert (await agent.post("switch-report", body)).status_code == 200
    (item,) = await switches(agent)
    assert item["pricing"] == {"old_spot": 0.0104, "new_spot": 0.0098, "on_demand": 0.0416}


async def test_a_newcomer_before_the_report_is_no_second_primary(system: System) -> None:
    agent = await system.register()
    old = agent.registration["instance_id"]
    command_id = (await agent.issue_switch()).json()["command_id"]
    newcomer = {**agent.registration, "instance_id": f"{old}-new", "az": "us-east-1b"}
    registered = await system.http.post("/api/agents/register", json=newcomer)
    assert registered.headers["X-Outcome"] == "standby"
    assert set(registered.json()["config"].values()) == {False}
    assert (await agent.detail())["instance_id"] == old
    assert (await agent.heartbeat(instance_id=f"{old}-new")).headers["X-Outcome"] == "not-primary"
    await agent.report_switch(f"{old}-new", command_id=command_id)
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (f"{old}-new", 2)
    again = await system.http.post("/api/agents/register", json=newcomer)
    assert "X-Outcome" not in again.headers
    states = await system.messages(AGENT_STATE, agent.id)
    primaries = {(state["epoch"], state["instance_id"]) for state in states}
    assert primaries == {(1, old), (2, f"{old}-new")}


async def test_switches_come_as_csv_too(system: System) -> None:
    agent = await system.register()
    new = f"{agent.registration['instance_id']}-new"
    await agent.report_switch(new)
    answer = await agent.get("switches", headers={"Accept": "text/csv"})
    (line,) = list(csv.DictReader(io.StringIO(answer.text)))
    assert (line["new_instance.instance_id"], line["trigger"]) == (new, "manual")
    assert float(line["promised_savings_per_hour"]) == pytest.approx(0.0006)


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("old_instance", None),
        ("new_instance", {"instance_id": "i-1"}),
        ("timing", {}),
        ("trigger", "urgent"),
        ("command_id", "x"),
        ("downtime_seconds", -1),
    ],
)
async def test_a_bad_report_is_400_and_changes_nothing(
    system: System, field: str, value: Any
) -> None:
    agent = await system.register()
    answer = await agent.report_switch("i-new", **{field: value})
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    assert all(name.split(".")[0] == field for name in answer.json()["details"])
    assert (await agent.detail())["epoch"] == 1


async def test_a_switch_frees_the_way_for_the_next(system: System) -> None:
    agent = await system.register()
    await agent.issue_switch()
    await agent.report_switch(f"{agent.registration['instance_id']}-new")

    async def free() -> bool:
        return (await agent.issue_switch("t3.medium.us-east-1c")).status_code == 201

    await eventually(free, within_seconds=5)
