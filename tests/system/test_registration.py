"""Registration over HTTP: every rule of the contract."""

import asyncio
from typing import Any
from uuid import UUID

import pytest

from chassis.envelope import Envelope
from chassis.producer import Producer
from spotkeeper_contracts import ids
from spotkeeper_contracts.agents import RegisterAgent
from spotkeeper_contracts.topics import AGENT_EVENTS, AGENT_PRESENCE, AGENT_STATE
from tests.stack import eventually
from tests.system.driver import Agent, System, registration

CONFIG = {
    "enabled": True,
    "auto_switch_enabled": True,
    "auto_terminate_enabled": True,
    "terminate_wait_seconds": 300,
    "replica_enabled": False,
    "replica_count": 0,
    "min_savings_percent": 15.0,
    "risk_threshold": 0.30,
    "max_switches_per_week": 10,
    "min_pool_duration_hours": 2,
}


async def types(system: System, agent: Agent) -> list[str]:
    return [message["type"] for message in await system.messages(AGENT_EVENTS, agent.id)]


async def test_a_new_agent_gets_an_id_and_the_default_config(system: System) -> None:
    agent = await system.register()
    assert list(agent.answer) == ["agent_id", "client_id", "config"]
    assert agent.answer["config"] == CONFIG
    assert list(agent.answer["config"]) == list(CONFIG)
    assert await types(system, agent) == ["AgentRegistered.v1"]
    detail = await agent.detail()
    assert detail["status"] == "online"
    assert detail["epoch"] == 1
    assert detail["current_pool_id"] == "t3.medium.us-east-1a"


async def test_a_repeated_registration_changes_nothing_but_tells(system: System) -> None:
    agent = await system.register()
    again = await agent.register(agent_version="4.0.1")
    assert again.json()["agent_id"] == agent.id
    assert await types(system, agent) == ["AgentRegistered.v1", "AgentUpdated.v1"]
    detail = await agent.detail()
    assert (detail["agent_version"], detail["epoch"]) == ("4.0.1", 1)


async def test_another_instance_takes_over_and_the_former_one_is_fenced(system: System) -> None:
    agent = await system.register()
    former = agent.registration["instance_id"]
    await agent.register(instance_id=f"{former}-b", az="us-east-1b")
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (f"{former}-b", 2)
    assert "AgentPromoted.v1" in await types(system, agent)
    beat = await agent.heartbeat(instance_id=former)
    assert (beat.status_code, beat.headers["X-Outcome"]) == (200, "not-primary")
    fenced = await agent.post("shutdown", {}, headers={"X-Instance-Id": former})
    assert (fenced.status_code, fenced.json()["code"]) == (409, "NOT_PRIMARY")
    read = await agent.get("config", headers={"X-Instance-Id": former})
    assert (read.status_code, read.headers["X-Outcome"]) == (200, "not-primary")


async def test_a_repeat_from_an_instance_replaced_since_gets_the_stored_answer(
    system: System,
) -> None:
    agent = await system.register()
    former = agent.registration["instance_id"]
    done, fenced = ({"X-Instance-Id": former, "Idempotency-Key": k} for k in ("done", "fenced"))
    assert (await agent.post("cleanup-report", {}, headers=done)).status_code == 200
    await agent.register(instance_id=f"{former}-b")
    again = await agent.post("cleanup-report", {}, headers=done)
    refused = await agent.post("cleanup-report", {}, headers=fenced)
    assert (again.status_code, refused.status_code) == (200, 409)
    await agent.register()
    refused = await agent.post("cleanup-report", {}, headers=fenced)
    assert (refused.status_code, refused.json()["code"]) == (409, "NOT_PRIMARY")
    await system.http.delete(agent.path)
    assert (await agent.post("cleanup-report", {}, headers=done)).json() == again.json()
    assert (await agent.post("shutdown", {}, headers={"Idempotency-Key": "x"})).status_code == 410


async def test_a_superseded_instance_that_registers_again_takes_over_again(
    system: System,
) -> None:
    agent = await system.register()
    first = agent.registration["instance_id"]
    await agent.register(instance_id=f"{first}-b")
    await agent.register(instance_id=first)
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (first, 3)


async def test_simultaneous_registrations_end_in_one_agent_with_one_primary(
    system: System,
) -> None:
    body = registration()
    bodies = [{**body, "instance_id": f"{body['instance_id']}-{n}"} for n in range(10)]
    answers = await asyncio.gather(
        *(system.http.post("/api/agents/register", json=each) for each in bodies)
    )
    assert {answer.status_code for answer in answers} == {200}
    assert len({answer.json()["agent_id"] for answer in answers}) == 1
    agent_id = answers[0].json()["agent_id"]
    detail = (await system.http.get(f"/api/agents/{agent_id}")).json()
    assert detail["epoch"] == 10
    states = await system.messages(AGENT_STATE, agent_id)
    revisions = [state["revision"] for state in states]
    assert revisions == sorted(revisions)
    assert states[-1]["instance_id"] == detail["instance_id"]


async def test_a_deleted_agent_is_gone_and_a_registration_revives_it(system: System) -> None:
    agent = await system.register()
    await agent.change(risk_threshold=0.9)
    assert (await system.http.delete(agent.path)).status_code == 200
    gone = await agent.get("config")
    assert (gone.status_code, gone.json()["code"]) == (410, "AGENT_DELETED")
    assert (await agent.heartbeat()).status_code == 410
    revived = (await agent.register()).json()
    assert (revived["agent_id"], revived["config"]) == (agent.id, CONFIG)
    events = await system.messages(AGENT_EVENTS, agent.id)
    assert [e.get("revived") for e in events if e["type"] == "AgentRegistered.v1"] == [False, True]
    assert (await agent.heartbeat()).status_code == 200


async def test_an_agent_whose_registration_no_gateway_saw_through_is_watched(
    system: System,
) -> None:
    known, body = await system.register(), registration()
    client_id = UUID(known.answer["client_id"])
    agent_id = ids.agent_id(client_id, body["logical_agent_id"])
    producer = Producer(system.kafka, client_id="test")
    await producer.start()
    asked = RegisterAgent(agent_id=agent_id, client_id=client_id, registration=body)
    await producer.send(Envelope.of(asked, source="gateway").to_record())
    await producer.stop()

    async def watched() -> bool:
        return bool(await system.messages(AGENT_PRESENCE, str(agent_id)))

    await eventually(watched, within_seconds=15, every=0.5)
    (online,) = await system.messages(AGENT_PRESENCE, str(agent_id))
    assert (online["type"], online["status"]) == ("AgentCameOnline.v1", "online")


async def test_an_on_demand_agent_has_no_pool(system: System) -> None:
    agent = await system.register(mode="on-demand")
    detail = await agent.detail()
    assert (detail["current_mode"], detail["current_pool_id"]) == ("ondemand", None)


async def test_one_key_registers_once_and_another_body_is_refused(system: System) -> None:
    body, key = registration(), {"Idempotency-Key": "one-key"}
    body["logical_agent_id"] += "-key"
    first = await system.http.post("/api/agents/register", json=body, headers=key)
    again = await system.http.post("/api/agents/register", json=body, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    other = await system.http.post(
        "/api/agents/register", json={**body, "mode": "ondemand"}, headers=key
    )
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert len(await system.messages(AGENT_EVENTS, first.json()["agent_id"])) == 1


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("logical_agent_id", None),
        ("logical_agent_id", ""),
        ("logical_agent_id", "a b"),
        ("logical_agent_id", "x" * 129),
        ("instance_id", "1234"),
        ("instance_id", "i-" + "x" * 61),
        ("instance_type", ""),
        ("region", "x" * 33),
        ("az", "eu-west-1a"),
        ("mode", "reserved"),
        ("mode", 1),
        ("hostname", "x" * 256),
        ("hostname", ["a"]),
        ("agent_version", "\x00"),
    ],
)
async def test_a_bad_field_is_named(system: System, field: str, value: Any) -> None:
    body = {**registration(), field: value}
    if value is None:
        del body[field]
    answer = await system.http.post("/api/agents/register", json=body)
    assert answer.status_code == 400
    assert answer.json()["error"] == "Validation failed"
    assert list(answer.json()["details"]) == [field]


async def test_unknown_fields_are_ignored(system: System) -> None:
    agent = await system.register(client_id="another", epoch=99, role="admin")
    assert (await agent.detail())["epoch"] == 1


async def test_the_audit_trail_tells_of_it(system: System) -> None:
    agent = await system.register()
    await agent.register(instance_id=agent.registration["instance_id"] + "-b")

    async def told() -> list[str]:
        items = (await agent.get("events")).json()["items"]
        return [item["event_type"] for item in items] if len(items) >= 2 else []

    assert len(await eventually(told, within_seconds=5)) >= 2
