"""What makes two calls under one `Idempotency-Key` the same: place and body, and nothing else."""

from typing import Any

import pytest

from chassis import clock
from chassis.delivery import Delivery
from chassis.envelope import Envelope
from spotkeeper_contracts import Refusal, Request
from spotkeeper_contracts.agents import HeartbeatKept, KeepHeartbeat
from spotkeeper_contracts.clients import CreateToken, TokenAnswer
from spotkeeper_contracts.examples import example
from tests.gateway.conftest import Tenant
from tests.gateway.driver import ADMIN_TOKEN, Bus, GatewayProcess, new_agent
from tests.stack import eventually

ID = "01936820-1c00-7a3e-8b1d-5c0f6e2a9d41"
KEY = {"Idempotency-Key": "one"}
NAMED = {"X-Instance-Id": "i-primary"}
INSISTING = {"If-Match": '"4", "5"'}
RESULT = {"status": "success", "result": {"a": [{"x": 1, "y": 2}], "b": None}}
REORDERED = {"result": {"b": None, "a": [{"y": 2, "x": 1}]}, "status": "success"}
Call = tuple[str, Any, dict[str, str]]


async def asked(bus: Bus, tenant: Tenant, *calls: Call) -> list[Envelope]:
    """What owners were asked by calls under one key, each at a place, with a body and headers."""
    bus.owner.answers[Request] = lambda _: Refusal(code="NO", error="No", status=418)
    for place, body, headers in calls:
        await tenant.http.post(place, json=body, headers={**KEY, **headers})
    return bus.owner.asked[-len(calls) :]


def told_apart(envelopes: list[Envelope]) -> bool:
    """Whether an owner that handled one of them would call the other a misuse of its key."""
    digests = {
        Delivery(one, one.message.to_bytes(), (), one.message.topic.name, 0, 0).fingerprint
        for one in envelopes
    }
    return len(digests) > 1


@pytest.mark.parametrize(
    ("place", "body", "headers", "other_body", "other_headers"),
    [
        ("shutdown", {}, {}, {}, NAMED),
        ("config/rollback", {"config_version": 1}, {}, {"config_version": 1}, INSISTING),
        ("cleanup-report", {"a": 1, "b": 2}, {}, {"b": 2, "a": 1}, {}),
        (f"commands/{ID}/executed", RESULT, {}, REORDERED, NAMED),
    ],
)
async def test_neither_headers_nor_the_order_of_keys_make_another_body(
    bus: Bus,
    tenant: Tenant,
    place: str,
    body: Any,
    headers: dict[str, str],
    other_body: Any,
    other_headers: dict[str, str],
) -> None:
    place = f"{tenant.path}/{place}"
    calls = [(place, body, headers), (place, other_body, other_headers)]
    one, other = await asked(bus, tenant, *calls)
    assert one.id == other.id
    assert not told_apart([one, other])


async def test_another_body_is_told_apart(bus: Bus, tenant: Tenant) -> None:
    place = f"{tenant.path}/shutdown"
    assert told_apart(await asked(bus, tenant, (place, {}, {}), (place, {"reason": "other"}, {})))


async def test_a_key_is_of_one_agent_however_its_id_is_written(bus: Bus, tenant: Tenant) -> None:
    second = new_agent(tenant.agent.client_id, logical_agent_id="second")
    await bus.tell(second)
    other = f"/api/agents/{second.agent_id}/shutdown"

    async def known() -> bool:
        return (await tenant.http.get(other.replace("shutdown", "config"))).status_code == 200

    await eventually(known, within_seconds=10)
    own, capital = (f"/api/agents/{i}/shutdown" for i in _spellings(tenant))
    first, again, of_other = await asked(
        bus, tenant, (own, {}, {}), (capital, {}, {}), (other, {}, {})
    )
    assert first.id == again.id
    assert first.id != of_other.id


def _spellings(tenant: Tenant) -> tuple[str, str]:
    id = str(tenant.agent.agent_id)
    return id, id.upper().replace("-", "%2D")


BEAT = {"status": "online"}


async def test_a_heartbeat_with_a_key_gets_the_answer_that_the_registry_keeps(
    bus: Bus, tenant: Tenant
) -> None:
    bus.owner.answers[KeepHeartbeat] = lambda _: HeartbeatKept(
        commands_pending=True, config_version=77
    )
    place = f"{tenant.path}/heartbeat"
    answer = await tenant.http.post(place, json=BEAT, headers=KEY)
    assert (answer.status_code, answer.json()) == (
        200,
        {"success": True, "commands_pending": True, "config_version": 77},
    )
    assert len(await bus.beats(tenant.agent.agent_id)) == 1
    assert (await tenant.http.post(place, json=BEAT)).json()["config_version"] != 77
    assert len(bus.owner.asked) == 1, "without a key nobody is asked"


async def test_a_heartbeat_with_a_key_is_answered_while_the_registry_is_silent(
    bus: Bus, tenant: Tenant
) -> None:
    answer = await tenant.http.post(f"{tenant.path}/heartbeat", json=BEAT, headers=KEY)
    version = tenant.agent.config.config_version
    assert (answer.status_code, answer.json()["config_version"]) == (200, version)


async def test_only_what_a_heartbeat_says_makes_it_another(bus: Bus, tenant: Tenant) -> None:
    place = f"{tenant.path}/heartbeat"
    primary = {"X-Instance-Id": str(tenant.agent.instance_id)}
    assert not told_apart(await asked(bus, tenant, (place, BEAT, {}), (place, BEAT, primary)))
    degraded = {"status": "degraded"}
    assert told_apart(await asked(bus, tenant, (place, BEAT, {}), (place, degraded, {})))


async def test_a_token_that_would_never_work_is_refused_but_a_repeat_may_come_late(
    bus: Bus, gateway: GatewayProcess, tenant: Tenant
) -> None:
    bus.owner.answers[CreateToken] = lambda _: example(TokenAnswer)
    path = f"/api/admin/clients/{tenant.state.client_id}/tokens"
    over = {"role": "agent", "expires_at": clock.now().isoformat()}
    async with gateway.client(ADMIN_TOKEN) as admin:
        answer = await admin.post(path, json=over)
        assert (answer.status_code, list(answer.json()["details"])) == (400, ["expires_at"])
        assert not bus.owner.asked
        answer = await admin.post(path, json=over, headers=KEY)
    assert answer.status_code == 201, "the registry knows the token of the first call"
    refusal = bus.owner.asked[-1].refusal
    assert refusal is not None
    assert refusal.details == {"expires_at": ["Input should be in the future"]}
