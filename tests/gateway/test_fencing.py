"""Of an agent's machines only its primary acts: every call that names another one is told so."""

from typing import Any

import pytest

from spotkeeper_contracts import Refusal, Request
from spotkeeper_contracts.agents import AgentAnswer, GetAgent
from spotkeeper_contracts.commands import CommandsLeased, LeaseCommands
from spotkeeper_contracts.emergencies import EmergencyStatus, GetEmergencyStatus
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.instances import (
    InstancesToTerminate,
    ListInstancesToTerminate,
    ReportTermination,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import (
    ListReplicas,
    Replica,
    ReplicaAnswer,
    ReplicaList,
    ReportReplicaStatus,
    ReportReplicaSync,
)
from spotkeeper_contracts.switches import ReportSwitch
from tests.gateway.conftest import Tenant
from tests.gateway.documented import NOTICE, SWITCH_REPORT, SYNC
from tests.gateway.driver import Bus
from tests.stack import eventually

ID = "01936820-1c00-7a3e-8b1d-5c0f6e2a9d41"
OTHER = {"X-Instance-Id": "i-other"}
CHANGES = [
    ("POST", "/cleanup-report", {}),
    ("POST", "/shutdown", {}),
    ("POST", "/rebalance-recommendation", {}),
    ("POST", "/rebalance-recommendation", {"instance_id": "i-other"}),
    ("POST", "/termination-imminent", NOTICE),
    ("POST", "/issue-switch-command", {"target_pool": "p"}),
    ("POST", f"/commands/{ID}/executed", {"status": "success"}),
    ("POST", f"/commands/{ID}/cancel", None),
    ("POST", "/replicas", {}),
    ("PUT", f"/replicas/{ID}", {}),
    ("DELETE", f"/replicas/{ID}", None),
    ("POST", f"/replicas/{ID}/promote", {}),
    ("POST", f"/replicas/{ID}/status", {"status": "ready"}),
    ("POST", f"/replicas/{ID}/sync-status", SYNC),
]  # fmt: skip


def knows_the_agent(bus: Bus, tenant: Tenant, **changes: Any) -> None:
    """Let the registry tell of the agent as it is, or as it has become."""
    state = tenant.agent.model_copy(update={"revision": tenant.agent.revision + 1, **changes})
    bus.owner.answers[GetAgent] = lambda _: example(AgentAnswer, state=state)


async def is_deleted(bus: Bus, tenant: Tenant) -> None:
    """Let the registry tell that the agent was deleted, to whoever asks too."""
    await bus.tell(tenant.agent.model_copy(update={"revision": 2, "deleted": True}))
    refusal = Refusal(code="AGENT_DELETED", error="The agent was deleted", status=410)
    bus.owner.answers[GetAgent] = lambda _: refusal

    async def gone() -> bool:
        return (await tenant.http.get(f"{tenant.path}/config")).status_code == 410

    await eventually(gone, within_seconds=10)


@pytest.mark.parametrize(("method", "place", "body"), CHANGES)
async def test_a_change_by_another_instance_is_refused_and_asks_nobody(
    bus: Bus, tenant: Tenant, method: str, place: str, body: Any
) -> None:
    knows_the_agent(bus, tenant)
    replica = example(Replica, replica_id=ID, instance_id="i-replica")
    bus.owner.answers[ListReplicas] = lambda _: ReplicaList(replicas=[replica], total=1)
    answer = await tenant.http.request(method, tenant.path + place, json=body, headers=OTHER)
    assert (answer.status_code, answer.json()) == (
        409,
        {"error": "The instance is not the agent's primary", "code": "NOT_PRIMARY"},
    )
    assert answer.headers["X-Agent-Epoch"] == str(tenant.agent.epoch)
    asked = {type(one.message) for one in bus.owner.asked}
    assert asked <= {GetAgent, ListReplicas}


@pytest.mark.parametrize("place_and_body", [c[1:] for c in CHANGES if c[0] == "POST"])
@pytest.mark.parametrize("code", ["NOT_PRIMARY", "AGENT_DELETED"])
async def test_with_a_key_it_is_the_owner_who_refuses_for_it_may_know_an_earlier_answer(
    bus: Bus, tenant: Tenant, code: str, place_and_body: tuple[str, Any]
) -> None:
    knows_the_agent(bus, tenant)
    if code == "AGENT_DELETED":
        await is_deleted(bus, tenant)
    replica = example(Replica, replica_id=ID, instance_id="i-replica")
    bus.owner.answers[ListReplicas] = lambda _: ReplicaList(replicas=[replica], total=1)
    bus.owner.answers[Request] = lambda _: Refusal(code="EARLIER", error="As before", status=418)
    place, body = place_and_body
    for other in (OTHER, {"X-Instance-Id": ""}):
        headers = {**other, "Idempotency-Key": "one"}
        answer = await tenant.http.post(tenant.path + place, json=body, headers=headers)
        assert (answer.status_code, answer.json()["code"]) == (418, "EARLIER")
    kept = [one.refusal for one in bus.owner.asked if type(one.message) not in bus.owner.answers]
    assert [refusal and refusal.code for refusal in kept] == [code, code]


async def test_a_body_that_cannot_be_sent_does_not_hide_that_the_caller_is_fenced(
    bus: Bus, tenant: Tenant
) -> None:
    knows_the_agent(bus, tenant)
    headers = {**OTHER, "Idempotency-Key": "one"}
    for content in (b"{", b"{}", b'{"termination_time": 1}'):
        answer = await tenant.http.post(
            f"{tenant.path}/termination-imminent",
            content=content,
            headers={**headers, "Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["code"]) == (409, "NOT_PRIMARY")


async def test_the_body_of_a_recommendation_names_the_instance_too(
    bus: Bus, tenant: Tenant
) -> None:
    knows_the_agent(bus, tenant)
    body = {"instance_id": "i-other", "recommendation_time": "2024-11-26T10:00:00Z"}
    answer = await tenant.http.post(f"{tenant.path}/rebalance-recommendation", json=body)
    assert (answer.status_code, answer.json()["code"]) == (409, "NOT_PRIMARY")


@pytest.mark.parametrize(
    ("place", "question", "reply"),
    [
        ("/config", None, None),
        ("/replica-config", None, None),
        ("/instances-to-terminate", ListInstancesToTerminate, InstancesToTerminate),
        ("/emergency-status", GetEmergencyStatus, EmergencyStatus),
        ("/replicas", ListReplicas, ReplicaList),
    ],
)
async def test_a_read_by_another_instance_is_answered_and_says_so(
    bus: Bus, tenant: Tenant, place: str, question: type[Request] | None, reply: Any
) -> None:
    if question is not None:
        bus.owner.answers[question] = lambda _: example(reply)
    answer = await tenant.http.get(tenant.path + place, headers=OTHER)
    assert (answer.status_code, answer.headers["X-Outcome"]) == (200, "not-primary")
    assert answer.headers["X-Agent-Epoch"] == str(tenant.agent.epoch)
    mine = await tenant.http.get(tenant.path + place, headers={"X-Instance-Id": "i-primary"})
    assert "X-Outcome" not in mine.headers
    assert mine.json() == answer.json()


async def test_another_instance_fetches_no_commands(bus: Bus, tenant: Tenant) -> None:
    knows_the_agent(bus, tenant)
    answer = await tenant.http.get(
        f"{tenant.path}/pending-commands", params={"wait": 5}, headers=OTHER
    )
    assert (answer.status_code, answer.json()) == (200, [])
    assert answer.headers["X-Outcome"] == "not-primary"
    assert not bus.owner.questions(LeaseCommands)


async def test_a_new_primary_that_the_view_has_not_seen_is_not_fenced(
    bus: Bus, tenant: Tenant
) -> None:
    knows_the_agent(bus, tenant, instance_id="i-other", epoch=4)
    bus.owner.answers[LeaseCommands] = lambda _: example(CommandsLeased)
    answer = await tenant.http.get(f"{tenant.path}/pending-commands", headers=OTHER)
    assert (answer.status_code, len(answer.json())) == (200, 1)
    assert answer.headers["X-Agent-Epoch"] == "4"
    (question,) = bus.owner.questions(LeaseCommands)
    assert question.agent.instance_id == "i-other"


@pytest.mark.parametrize("others", [("i-primary", "i-other"), ("i-other", "i-primary")])
async def test_who_names_two_instances_is_refused_whatever_is_called(
    bus: Bus, beating: Tenant, others: tuple[str, str]
) -> None:
    knows_the_agent(bus, beating)
    headers = [("X-Instance-Id", name) for name in others]
    for method, place in (
        ("POST", "heartbeat"),
        ("POST", "cleanup-report"),
        ("GET", "config"),
        ("GET", "pending-commands"),
    ):
        body = {"status": "online"} if method == "POST" else None
        answer = await beating.http.request(
            method, f"{beating.path}/{place}", json=body, headers=headers
        )
        assert (answer.status_code, answer.json()) == (
            400,
            {
                "error": "Validation failed",
                "details": {"x-instance-id": ["A call comes from one instance"]},
            },
        ), place
    assert not await bus.beats(beating.agent.agent_id)


async def test_who_names_their_instance_twice_names_one(bus: Bus, beating: Tenant) -> None:
    headers = [("X-Instance-Id", "i-primary")] * 2
    answer = await beating.http.post(
        f"{beating.path}/heartbeat", json={"status": "online"}, headers=headers
    )
    assert (answer.status_code, "X-Outcome" in answer.headers) == (200, False)
    assert len(await bus.beats(beating.agent.agent_id)) == 1


async def test_reports_of_ends_and_switches_come_from_any_instance(
    bus: Bus, tenant: Tenant
) -> None:
    bus.owner.answers[ReportTermination] = bus.owner.answers[ReportSwitch] = lambda _: Done()
    for place, body in (
        ("termination-report", {"instance_id": "i-gone"}),
        ("switch-report", SWITCH_REPORT),
    ):
        answer = await tenant.http.post(f"{tenant.path}/{place}", json=body, headers=OTHER)
        assert (answer.status_code, answer.json()) == (200, {"success": True})
        assert "X-Outcome" not in answer.headers


@pytest.mark.parametrize(
    ("place", "body", "known"),
    [
        ("status", {"status": "ready"}, "i-other"),
        ("status", {"status": "syncing", "instance_id": "i-other"}, None),
        ("sync-status", SYNC, "i-other"),
    ],
)
async def test_a_replicas_own_instance_speaks_of_it(
    bus: Bus, tenant: Tenant, place: str, body: Any, known: str | None
) -> None:
    knows_the_agent(bus, tenant)
    replica = example(Replica, replica_id=ID).model_copy(update={"instance_id": known})
    bus.owner.answers[ListReplicas] = lambda _: ReplicaList(replicas=[replica], total=1)
    for question in (ReportReplicaStatus, ReportReplicaSync):
        bus.owner.answers[question] = lambda _: ReplicaAnswer(replica=replica)
    answer = await tenant.http.post(
        f"{tenant.path}/replicas/{ID}/{place}", json=body, headers=OTHER
    )
    assert (answer.status_code, answer.json()["replica_id"]) == (200, ID)
    assert {str(asked.replica_id) for asked in bus.owner.questions(ListReplicas)} == {ID}
