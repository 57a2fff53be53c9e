"""What is sent and answered has the documented keys, whatever else an owner tells."""

from datetime import timedelta
from typing import Any

import pytest
from pydantic import ValidationError

from chassis import clock
from gateway.routes.switches import COLUMNS, SwitchOrder, SwitchReportBody
from spotkeeper_contracts import Refusal, Reply, Request
from spotkeeper_contracts.commands import (
    CommandPage,
    CommandQueuedAnswer,
    ListCommands,
    ReportExecution,
)
from spotkeeper_contracts.emergencies import (
    AnnounceTermination,
    EmergencyStatus,
    GetEmergencyStatus,
    RebalanceAnswer,
    RecommendRebalance,
    TerminationAnswer,
)
from spotkeeper_contracts.examples import example
from spotkeeper_contracts.instances import (
    InstancesToTerminate,
    ListInstancesToTerminate,
    ReportCleanup,
    ReportTermination,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.pools import EngineState
from spotkeeper_contracts.switches import IssueSwitch, ListSwitches, ReportSwitch, SwitchPage
from tests.gateway.conftest import Tenant
from tests.gateway.documented import NEW, NOTICE, OLD, SWITCH_REPORT, Json
from tests.gateway.driver import Bus
from tests.stack import eventually

ID = "01936820-1c00-7a3e-8b1d-5c0f6e2a9d41"
STATUS_KEYS = [
    "agent_id", "emergency_mode_active", "rebalance_only_mode", "ml_models_loaded",
    "decision_engine_active", "last_emergency_event", "emergency_replicas_count",
    "termination_notices_24h",
]  # fmt: skip
CALLS: list[tuple[str, str, Any, type[Request], type[Reply], int, list[str]]] = [
    ("POST", "issue-switch-command", {"target_pool": "p"}, IssueSwitch, CommandQueuedAnswer, 201,
     ["command_id", "success"]),
    ("POST", "rebalance-recommendation", {}, RecommendRebalance, RebalanceAnswer, 200,
     ["success", "action_taken", "replica_id"]),
    ("POST", "termination-imminent", NOTICE, AnnounceTermination, TerminationAnswer, 200,
     ["success", "action_taken", "replica_id", "command_id"]),
    ("POST", "switch-report", SWITCH_REPORT, ReportSwitch, Done, 200, ["success"]),
    ("POST", "cleanup-report", {"x": 1}, ReportCleanup, Done, 200, ["success"]),
    ("POST", "termination-report", {"instance_id": "i-1"}, ReportTermination, Done, 200,
     ["success"]),
    ("POST", f"commands/{ID}/executed", {"status": "success"}, ReportExecution, Done, 200,
     ["success"]),
    ("GET", "commands", None, ListCommands, CommandPage, 200, ["items", "next_cursor"]),
    ("GET", "switches", None, ListSwitches, SwitchPage, 200, ["items", "next_cursor"]),
    ("GET", "emergency-status", None, GetEmergencyStatus, EmergencyStatus, 200, STATUS_KEYS),
]  # fmt: skip


@pytest.mark.parametrize(
    ("method", "place", "body", "question", "reply", "status", "keys"),
    [pytest.param(*call, id=call[1].partition("/")[0]) for call in CALLS],
)
async def test_an_answer_has_exactly_the_documented_keys(
    bus: Bus,
    tenant: Tenant,
    method: str,
    place: str,
    body: Any,
    question: type[Request],
    reply: type[Reply],
    status: int,
    keys: list[str],
) -> None:
    bus.owner.answers[question] = lambda _: example(reply)
    told = body if body is None else {**body, "unknown": [1]}
    answer = await tenant.http.request(method, f"{tenant.path}/{place}", json=told)
    assert (answer.status_code, list(answer.json())) == (status, keys)
    (asked,) = bus.owner.questions(question)
    assert asked.agent_id == tenant.agent.agent_id
    assert asked.client_id == tenant.agent.client_id


async def test_instances_to_terminate_are_a_bare_list(bus: Bus, tenant: Tenant) -> None:
    bus.owner.answers[ListInstancesToTerminate] = lambda _: example(InstancesToTerminate)
    answer = await tenant.http.get(f"{tenant.path}/instances-to-terminate")
    assert [list(one) for one in answer.json()] == [
        ["instance_id", "reason", "age_hours", "terminate_after"]
    ]


async def test_switches_come_as_csv_too(bus: Bus, tenant: Tenant) -> None:
    bus.owner.answers[ListSwitches] = lambda _: example(SwitchPage)
    answer = await tenant.http.get(f"{tenant.path}/switches", headers={"Accept": "text/csv"})
    header, line = answer.text.splitlines()
    assert answer.headers["X-Next-Cursor"]
    assert header == ",".join(COLUMNS)
    assert "i-0fedcba0987654321,spot,t3.medium.us-east-1b" in line


@pytest.mark.parametrize("accept", ["application/json", "text/csv"])
async def test_savings_are_told_to_a_millionth_of_a_dollar(
    bus: Bus, tenant: Tenant, accept: str
) -> None:
    (switch,) = example(SwitchPage).items
    savings = {"promised_savings_per_hour": 0.036 - 0.016, "realised_savings": 0.1 + 0.2}
    page = SwitchPage(items=[switch.model_copy(update=savings)])
    bus.owner.answers[ListSwitches] = lambda _: page
    answer = await tenant.http.get(f"{tenant.path}/switches", headers={"Accept": accept})
    if accept == "text/csv":
        assert ",0.02,0.3," in answer.text
    else:
        (told,) = answer.json()["items"]
        assert (told["promised_savings_per_hour"], told["realised_savings"]) == (0.02, 0.3)


async def test_a_refusal_of_the_gate_is_told_word_by_word(bus: Bus, tenant: Tenant) -> None:
    bus.owner.answers[IssueSwitch] = lambda _: example(Refusal)
    answer = await tenant.http.post(
        f"{tenant.path}/issue-switch-command", json={"target_pool": "p"}
    )
    assert answer.status_code == 403
    assert answer.json() == {
        "error": "Auto-switching is disabled for this agent",
        "code": "AUTO_SWITCH_DISABLED",
    }


@pytest.mark.parametrize(
    ("method", "place", "body", "text"),
    [
        ("POST", "commands/x/executed", {"status": "success"}, "Command not found"),
        ("POST", "commands/x/executed", {"status": "wrong"}, "Command not found"),
        ("POST", "commands/x/cancel", None, "Command not found"),
        ("PUT", "replicas/x", {}, "Replica not found"),
        ("DELETE", "replicas/{x}", None, "Replica not found"),
        ("POST", "replicas/x/promote", {}, "Replica not found"),
        ("POST", "replicas/x/status", {"status": "ready"}, "Replica not found"),
        ("POST", "replicas/x/sync-status", {"sync_percentage": 1}, "Replica not found"),
    ],
)
async def test_a_malformed_id_is_not_found(
    bus: Bus, tenant: Tenant, method: str, place: str, body: Any, text: str
) -> None:
    answer = await tenant.http.request(method, f"{tenant.path}/{place}", json=body)
    assert (answer.status_code, answer.json()) == (404, {"error": text})
    assert not bus.owner.asked


async def test_what_no_database_keeps_is_refused(bus: Bus, tenant: Tenant) -> None:
    for text in ('{"a": "\\u0000"}', '{"a": ["\\ud800"]}', '{"a": 1e400}', '{"\\u0000": 1}'):
        answer = await tenant.http.post(
            f"{tenant.path}/cleanup-report",
            content=text,
            headers={"Content-Type": "application/json"},
        )
        assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed"), text
    assert not bus.owner.asked


async def test_an_engine_counts_while_it_is_heard_of(bus: Bus, tenant: Tenant) -> None:
    bus.owner.answers[GetEmergencyStatus] = lambda _: example(EmergencyStatus)

    async def told() -> tuple[bool, bool]:
        status = (await tenant.http.get(f"{tenant.path}/emergency-status")).json()
        return status["ml_models_loaded"], status["decision_engine_active"]

    async def tell(age_seconds: float, *, healthy: bool, model_loaded: bool) -> None:
        at = clock.now() - timedelta(seconds=age_seconds)
        revision = clock.now().timestamp()
        state = example(
            EngineState,
            revision=int(revision * 1e6),
            at=at,
            healthy=healthy,
            model_loaded=model_loaded,
        )
        await bus.tell(state, source="decision")

    assert await told() == (False, False)
    for age, healthy, loaded in ((0, True, False), (0, False, True), (0, True, True)):
        await tell(age, healthy=healthy, model_loaded=loaded)

        async def is_so(expected: tuple[bool, bool] = (loaded, healthy)) -> bool:
            return await told() == expected

        await eventually(is_so, within_seconds=5)
    await tell(31, healthy=True, model_loaded=True)

    async def is_stale() -> bool:
        return await told() == (False, False)

    await eventually(is_stale, within_seconds=5)


def test_on_demand_alone_needs_no_pool() -> None:
    assert SwitchOrder.model_validate({"target_pool": "p"}).target_type == "spot"
    for mode in ("ondemand", "on-demand", "on_demand"):
        for pool in ({}, {"target_pool": None}, {"target_pool": "p"}):
            assert SwitchOrder.model_validate({"target_type": mode, **pool})
    for wrong in ({}, {"target_pool": None}, {"target_pool": None, "target_type": "spot"}):
        with pytest.raises(ValidationError) as invalid:
            SwitchOrder.model_validate(wrong)
        assert [error["loc"] for error in invalid.value.errors()] == [("target_pool",)]


@pytest.mark.parametrize(
    "report",
    [
        SWITCH_REPORT,
        {**SWITCH_REPORT, "pricing": None, "prices": SWITCH_REPORT["pricing"]},
        {
            **SWITCH_REPORT,
            "timing": {
                "initiated_at": SWITCH_REPORT["timing"]["initiated_at"],
                "old_instance_terminated_at": SWITCH_REPORT["timing"]["old_terminated_at"],
            },
        },
        {
            **SWITCH_REPORT,
            "timing": {"initiated_at": SWITCH_REPORT["timing"]["initiated_at"]},
            "old_instance_terminated_at": SWITCH_REPORT["timing"]["old_terminated_at"],
        },
    ],
)
def test_a_switch_is_reported_in_either_spelling(report: Json) -> None:
    told = SwitchReportBody.model_validate(report)
    assert told == SwitchReportBody.model_validate(SWITCH_REPORT)
    assert told.pricing.new_spot == 0.0098
    assert told.timing.old_terminated_at is not None


@pytest.mark.parametrize(
    ("field", "value"),
    [
        ("old_instance", None),
        ("old_instance", {**OLD, "instance_id": "x"}),
        ("new_instance", {**NEW, "region": "eu-west-1"}),
        ("new_instance", {**NEW, "mode": "reserved"}),
        ("pricing", {"old_spot": "0.1"}),
        ("pricing", {"on_demand": 1001}),
        ("pricing", []),
        ("timing", {}),
        ("timing", {"initiated_at": 5}),
        ("timing", "now"),
        ("trigger", "urgent"),
        ("downtime_seconds", -1),
        ("downtime_seconds", "12"),
        ("command_id", "x"),
    ],
)
def test_a_wrong_part_of_a_report_is_named(field: str, value: Any) -> None:
    with pytest.raises(ValidationError) as invalid:
        SwitchReportBody.model_validate({**SWITCH_REPORT, field: value})
    assert {error["loc"][0] for error in invalid.value.errors()} == {field}
