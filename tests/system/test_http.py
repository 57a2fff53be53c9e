"""HTTP itself: lists, pages, streams, limits, and the shape of errors."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import httpx
import pytest

from tests.stack import eventually
from tests.system.driver import System, registration

DETAIL = [
    "agent_id",
    "logical_agent_id",
    "status",
    "instance_id",
    "instance_type",
    "region",
    "az",
    "current_mode",
    "current_pool_id",
    "last_heartbeat_at",
    "config_version",
    "epoch",
    "enabled",
    "agent_version",
    "registered_at",
]


async def test_the_list_pages_through_all_agents_newest_first(system: System) -> None:
    async with await system.client("pages") as client:
        made = [
            (await client.post("/api/agents/register", json=registration())).json()["agent_id"]
            for _ in range(7)
        ]
        found: list[str] = []
        cursor: str | None = ""
        while cursor is not None:
            params = {"limit": "3"} | ({"cursor": cursor} if cursor else {})
            page = (await client.get("/api/agents", params=params)).json()
            assert all(list(item) == DETAIL for item in page["items"])
            found += [item["agent_id"] for item in page["items"]]
            cursor = page["next_cursor"]
        assert found == made[::-1]


async def test_the_list_filters(system: System) -> None:
    async with await system.client("filters") as client:
        here = registration(region="eu-west-1", az="eu-west-1b", logical_agent_id="needle-1")
        await client.post("/api/agents/register", json=here)
        await client.post("/api/agents/register", json=registration())
        for params in ({"region": "eu-west-1"}, {"q": "needle"}):
            page = (await client.get("/api/agents", params=params)).json()
            assert [item["logical_agent_id"] for item in page["items"]] == ["needle-1"]
        page = (await client.get("/api/agents", params={"status": "offline"})).json()
        assert page["items"] == []


@pytest.mark.parametrize(
    "params",
    [
        {"limit": "0"},
        {"limit": "501"},
        {"limit": "x"},
        {"limit": "+5"},
        {"limit": "5.0"},
        {"cursor": "nonsense"},
        {"status": "fine"},
    ],
)
async def test_a_bad_page_is_400(system: System, params: dict[str, str]) -> None:
    answer = await system.http.get("/api/agents", params=params)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    assert list(answer.json()["details"]) == list(params)


async def test_events_come_as_csv_too(system: System) -> None:
    agent = await system.register()
    answer = await agent.get("events", headers={"Accept": "text/csv"})
    assert answer.headers["content-type"].startswith("text/csv")
    assert "timestamp" in answer.text.splitlines()[0]
    assert len(answer.text.splitlines()) >= 2


async def test_a_client_follows_its_own_events_and_resumes(system: System) -> None:
    async with await system.client("stream") as client:
        seen: list[dict[str, Any]] = []

        async def listen(headers: dict[str, str]) -> None:
            async with client.stream("GET", "/api/events/stream", headers=headers) as stream:
                assert stream.headers["content-type"].startswith("text/event-stream")
                event: dict[str, Any] = {}
                async for line in stream.aiter_lines():
                    name, _, value = line.partition(": ")
                    if name in ("id", "event", "data"):
                        event[name] = value
                    elif not line and "data" in event:
                        seen.append(event)
                        event = {}

        listening = asyncio.create_task(listen({}))
        await system.register()  # Another client's: it must not be seen.

        async def registered() -> bool:
            await client.post("/api/agents/register", json=registration())
            return any(event["event"].startswith("AgentRegistered") for event in seen)

        await eventually(registered, within_seconds=10, every=0.3)
        listening.cancel()
        mine = {json.loads(event["data"])["data"]["client_id"] for event in seen}
        assert len(mine) == 1
        last, before = seen[-1]["id"], len(seen)
        body = registration()
        answer = (await client.post("/api/agents/register", json=body)).json()
        resumed = asyncio.create_task(listen({"Last-Event-ID": last}))

        def came() -> bool:
            return any(answer["agent_id"] in event["data"] for event in seen[before:])

        await eventually(came, within_seconds=10)
        resumed.cancel()


async def test_request_ids_are_echoed_or_made(system: System) -> None:
    agent = await system.register()
    told = await agent.get("config", headers={"X-Request-ID": "mine-1"})
    assert told.headers["X-Request-ID"] == "mine-1"
    assert (await agent.get("config")).headers["X-Request-ID"]
    beat = await agent.post("heartbeat", {"status": "online"}, headers={"X-Request-ID": "mine-2"})
    assert beat.headers["X-Request-ID"] == "mine-2"


async def raw(
    system: System, content: bytes, path: str = "/api/agents/register", **headers: str
) -> httpx.Response:
    return await system.http.post(
        path, content=content, headers={"Content-Type": "application/json", **headers}
    )


@pytest.mark.parametrize(
    "content",
    [
        b"",
        b"{",
        b"[]",
        b"null",
        b'"text"',
        b"\xff\xfe",
        b'{"logical_agent_id": NaN}',
        b'{"a": Infinity}',
        b'{"a":' * 20 + b"1" + b"}" * 20,
        b"[" * 10_000,
    ],
)
async def test_a_body_that_is_no_object_is_400(system: System, content: bytes) -> None:
    answer = await raw(system, content)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    assert answer.json()["details"]


async def test_a_large_body_is_413_whether_announced_or_chunked(system: System) -> None:
    large = b'{"hostname": "' + b"x" * 70_000 + b'"}'

    async def chunks() -> Any:
        for start in range(0, len(large), 4096):
            yield large[start : start + 4096]

    for content in (large, chunks()):
        answer = await raw(system, content)
        assert (answer.status_code, sorted(answer.json())) == (413, ["code", "error"])


async def test_a_request_behind_a_large_one_is_no_part_of_its_head(system: System) -> None:
    token = system.ready["client_token"]
    body = json.dumps({**registration(), "notes": "x" * 60_000}).encode()
    common = f"Host: any\r\nAuthorization: Bearer {token}\r\n"
    first = f"POST /api/agents/register HTTP/1.1\r\n{common}Content-Length: {len(body)}\r\n\r\n"
    second = f"GET /api/agents?limit=1 HTTP/1.1\r\n{common}Connection: close\r\n\r\n".encode()
    address = urlsplit(system.gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(first.encode() + body + second[:10])
    async with asyncio.timeout(10):
        assert (await reader.readline()) == b"HTTP/1.1 200 OK\r\n"
        writer.write(second[10:])
        rest = await reader.read()
    writer.close()
    assert rest.count(b"HTTP/1.1 200 OK\r\n") == 1


@pytest.mark.parametrize(
    ("sent", "status"),
    [(b"no HTTP\r\n\r\n", 400), (b"GET / HTTP/1.1\r\n" + b"X-Long: x\r\n" * 4_000, 431)],
)
async def test_what_ends_a_connection_is_told_in_the_documented_shape(
    system: System, sent: bytes, status: int
) -> None:
    address = urlsplit(system.gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    writer.write(sent)
    async with asyncio.timeout(10):
        head, _, body = (await reader.read()).partition(b"\r\n\r\n")
    writer.close()
    assert head.startswith(f"HTTP/1.1 {status} ".encode())
    assert b"\r\nx-request-id: " in head
    assert sorted(json.loads(body)) == ["code", "error"]


async def test_another_content_type_is_415(system: System) -> None:
    answer = await raw(system, b"{}", **{"Content-Type": "text/plain"})
    assert (answer.status_code, sorted(answer.json())) == (415, ["code", "error"])


async def test_wrong_methods_and_places_have_the_documented_shape(system: System) -> None:
    wrong = await system.http.put("/api/agents/register", json={})
    assert (wrong.status_code, sorted(wrong.json())) == (405, ["code", "error"])
    nowhere = await system.http.get("/api/nowhere")
    assert nowhere.status_code == 404
    assert "error" in nowhere.json()


@pytest.mark.parametrize("end", ["%0a", "%0A", "%0d", "%20", "/"])
async def test_a_path_with_anything_behind_it_is_another_path(system: System, end: str) -> None:
    agent = await system.register()
    for path in (f"{agent.path}/config{end}", f"/api/agents{end}"):
        answer = await system.http.get(path)
        assert (answer.status_code, list(answer.json())) == (404, ["error"])
    beat = await system.http.post(f"{agent.path}/heartbeat{end}", json={"status": "online"})
    assert beat.status_code == 404


async def test_probes_and_documents_are_public_and_metrics_are_not(system: System) -> None:
    async with httpx.AsyncClient(base_url=system.gateway) as anyone:
        assert (await anyone.get("/livez")).status_code == 200
        assert (await anyone.get("/readyz")).status_code == 200
        assert (await anyone.get("/docs")).status_code == 200
        assert (await anyone.get("/openapi.json")).json()["openapi"].startswith("3.")
        assert (await anyone.get("/metrics")).status_code == 404
    for name, address in system.ready["operations"].items():
        base = address if address.startswith("http") else f"http://{address}"
        async with httpx.AsyncClient(base_url=base) as operations:
            assert (await operations.get("/livez")).status_code == 200, name
            assert "spotkeeper_ready" in (await operations.get("/metrics")).text
