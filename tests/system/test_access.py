"""Who may do what: tokens, roles, tenants, and the shape of every refusal."""

import asyncio
from datetime import timedelta
from typing import Any

import httpx
import pytest

from chassis import clock
from spotkeeper_contracts.topics import CLIENT_STATE, TOPICS
from tests.stack import eventually
from tests.system.driver import System, registration

AGENT_ROUTES = [
    ("GET", ""),
    ("DELETE", ""),
    ("POST", "/heartbeat"),
    ("GET", "/config"),
    ("PATCH", "/config"),
    ("GET", "/config/history"),
    ("POST", "/config/rollback"),
    ("GET", "/replica-config"),
    ("GET", "/events"),
    ("POST", "/shutdown"),
]


async def new_token(system: System, client_id: str, **body: Any) -> tuple[str, str]:
    answer = await system.admin.post(f"/api/admin/clients/{client_id}/tokens", json=body)
    assert answer.status_code == 201, answer.text
    assert list(answer.json()["token"]) == ["id", "token", "role", "expires_at"]
    return answer.json()["token"]["id"], answer.json()["token"]["token"]


async def new_client(system: System) -> tuple[str, str]:
    answer = await system.admin.post(
        "/api/admin/clients", json={"name": "acme", "email": "ops@acme.example"}
    )
    assert answer.status_code == 201
    client = answer.json()["client"]
    assert list(client) == ["id", "name", "email", "token"]
    return client["id"], client["token"]


@pytest.mark.parametrize(("method", "place"), AGENT_ROUTES)
async def test_without_a_token_every_route_says_401(
    system: System, method: str, place: str
) -> None:
    agent = await system.register()
    for headers in ({}, {"Authorization": "Bearer wrong"}, {"Authorization": "Basic x"}):
        async with httpx.AsyncClient(base_url=system.gateway, headers=headers) as stranger:
            for content in (b"{", b'{"status": "online"}'):
                answer = await stranger.request(method, agent.path + place, content=content)
                assert (answer.status_code, answer.json()) == (
                    401,
                    {"error": "Invalid client token", "code": "INVALID_TOKEN"},
                )


@pytest.mark.parametrize(("method", "place"), AGENT_ROUTES)
async def test_another_clients_agent_is_as_unknown_as_no_agent(
    system: System, method: str, place: str
) -> None:
    agent = await system.register()
    async with await system.client() as other:
        theirs = await other.request(method, agent.path + place, json={"status": "online"})
        none = await other.request(
            method,
            f"/api/agents/01890000-0000-7000-8000-000000000000{place}",
            json={"status": "online"},
        )
        assert (theirs.status_code, theirs.content) == (none.status_code, none.content)
        assert theirs.status_code == 404
    assert (await agent.detail())["status"] == "online"


async def test_clients_see_only_their_own_agents(system: System) -> None:
    await system.register()
    async with await system.client() as other:
        assert (await other.get("/api/agents")).json() == {"items": [], "next_cursor": None}
        mine = (await other.post("/api/agents/register", json=registration())).json()
        page = (await other.get("/api/agents")).json()
        assert [item["agent_id"] for item in page["items"]] == [mine["agent_id"]]


async def test_the_same_logical_id_of_two_clients_is_two_agents(system: System) -> None:
    body = registration()
    mine = (await system.http.post("/api/agents/register", json=body)).json()
    async with await system.client() as other:
        answer = await other.post("/api/agents/register", json=body)
        assert answer.json()["agent_id"] != mine["agent_id"]


async def test_viewers_read_and_agents_leave_the_config_alone(system: System) -> None:
    client_id, token = await new_client(system)
    _, viewer_token = await new_token(system, client_id, role="viewer")
    _, agent_token = await new_token(system, client_id, role="agent")
    async with (
        system.with_token(token) as owner,
        system.with_token(viewer_token) as viewer,
        system.with_token(agent_token) as agent,
    ):
        registered = await agent.post("/api/agents/register", json=registration())
        path = f"/api/agents/{registered.json()['agent_id']}"
        assert (await agent.post(f"{path}/heartbeat", json={"status": "online"})).status_code == 200
        refused = await agent.patch(f"{path}/config", json={"enabled": False})
        assert (refused.status_code, refused.json()["code"]) == (403, "FORBIDDEN")
        assert (await owner.patch(f"{path}/config", json={})).status_code == 200
        for place in ("", "/config", "/replica-config", "/events", "/config/history"):
            assert (await viewer.get(path + place)).status_code == 200
        for place in ("/heartbeat", "/shutdown"):
            answer = await viewer.post(path + place, json={"status": "online"})
            assert answer.status_code == 403
        assert (await viewer.post("/api/agents/register", json=registration())).status_code == 403


async def test_a_new_token_works_and_a_revoked_one_fails_within_a_second(system: System) -> None:
    client_id, _ = await new_client(system)
    token_id, token = await new_token(system, client_id, role="operator", label="ci")
    async with system.with_token(token) as bearer:
        assert (await bearer.get("/api/agents")).status_code == 200
        path = f"/api/admin/clients/{client_id}/tokens/{token_id}"
        assert (await system.admin.delete(path)).status_code == 200

        async def revoked() -> bool:
            answer = await bearer.get("/api/agents")
            return answer.status_code == 401 and answer.json()["code"] == "TOKEN_REVOKED"

        await eventually(revoked, within_seconds=1)


async def test_an_expired_token_says_so(system: System) -> None:
    client_id, _ = await new_client(system)
    soon = (clock.now() + timedelta(seconds=1)).isoformat()
    _, token = await new_token(system, client_id, role="viewer", expires_at=soon)
    async with system.with_token(token) as bearer:

        async def expired() -> bool:
            answer = await bearer.get("/api/agents")
            return answer.status_code == 401 and answer.json()["code"] == "TOKEN_EXPIRED"

        await eventually(expired, within_seconds=3)


async def test_a_client_has_a_name_that_can_be_seen(system: System) -> None:
    body = {"name": " \t", "email": "ops@acme.example"}
    answer = await system.admin.post("/api/admin/clients", json=body)
    assert (answer.status_code, list(answer.json()["details"])) == (400, ["name"])


async def test_a_deleted_clients_tokens_stop_working(system: System) -> None:
    client_id, token = await new_client(system)
    async with system.with_token(token) as bearer:
        assert (await bearer.get("/api/agents")).status_code == 200
        assert (await system.admin.delete(f"/api/admin/clients/{client_id}")).status_code == 200
        assert (await bearer.get("/api/agents")).status_code == 401
    listed = (await system.admin.get("/api/admin/clients", params={"limit": 500})).json()
    assert client_id not in [item["id"] for item in listed["items"]]


async def test_the_admin_api_takes_the_admin_token_alone(system: System) -> None:
    for method, path in (
        ("GET", "/api/admin/clients"),
        ("POST", "/api/admin/clients"),
        ("DELETE", "/api/admin/clients/x"),
    ):
        answer = await system.http.request(method, path, json={})
        assert (answer.status_code, answer.json()["code"]) == (401, "INVALID_TOKEN")


async def test_no_token_is_found_on_any_topic(system: System) -> None:
    client_id, token = await new_client(system)
    _, second = await new_token(system, client_id, role="agent")
    states = await system.messages(CLIENT_STATE)
    assert any(state.get("client_id") == client_id for state in states)
    for topic in TOPICS.values():
        everything = repr(await system.messages(topic))
        assert token not in everything
        assert second not in everything


async def test_one_key_makes_one_client_with_one_token(system: System) -> None:
    body, key = {"name": "twice", "email": "a@b.example"}, {"Idempotency-Key": "client-once"}
    answers = await asyncio.gather(
        *(system.admin.post("/api/admin/clients", json=body, headers=key) for _ in range(5))
    )
    assert {answer.status_code for answer in answers} == {201}
    assert len({answer.text for answer in answers}) == 1
