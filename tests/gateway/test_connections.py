"""Heartbeats that their connection takes: in order with other requests, in time, and to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

import pytest

from spotkeeper_contracts.agents import ShutDownAgent
from spotkeeper_contracts.message import Done
from tests.gateway.conftest import Tenant, new_tenant
from tests.gateway.driver import Bus, GatewayProcess, run_gateway

BODY = b'{"status":"online"}'
CHUNKED = b'b\r\n{"reason":"\r\n5\r\nmove"\r\n1\r\n}\r\n0\r\n\r\n'
UPGRADES = [
    "Connection: Upgrade, HTTP2-Settings\r\nUpgrade: h2c\r\nHTTP2-Settings: AAEAAEAAAAIAAAAB\r\n",
    "Upgrade: websocket\r\nConnection: keep-alive, upgrade\r\nSec-WebSocket-Version: 13\r\n",
]
Streams = tuple[asyncio.StreamReader, asyncio.StreamWriter]


@asynccontextmanager
async def connected(gateway: GatewayProcess) -> AsyncIterator[Streams]:
    """A connection of its own."""
    address = urlsplit(gateway.url)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        async with asyncio.timeout(20):
            yield reader, writer
    finally:
        writer.close()


def request(
    tenant: Tenant,
    method: str,
    place: str,
    body: bytes = b"",
    *,
    length: int = 0,
    lines: str = "",
    chunked: bool = False,
) -> bytes:
    """The bytes of a request; more of its body may be announced than is there."""
    size = f"Content-Length: {length or len(body)}"
    return (
        f"{method} {tenant.path}/{place} HTTP/1.1\r\nHost: any\r\n{lines}"
        f"Authorization: Bearer {tenant.token}\r\nX-Request-ID: {place}\r\n"
        f"{'Transfer-Encoding: chunked' if chunked else size}\r\n\r\n"
    ).encode() + body


async def answer(reader: asyncio.StreamReader) -> tuple[int, str, Any]:
    """The next answer: its status, the id of its request, its body."""
    lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
    told = dict(line.split(": ", 1) for line in lines[1:-2])
    body = json.loads(await reader.readexactly(int(told["content-length"])))
    return int(lines[0].split()[1]), told["x-request-id"], body


async def test_answers_keep_the_order_of_requests(gateway: GatewayProcess, tenant: Tenant) -> None:
    async with connected(gateway) as (reader, writer):
        beat, read = request(tenant, "POST", "heartbeat", BODY), request(tenant, "GET", "config")
        writer.write(beat + read + beat + beat + read)
        found = [(await answer(reader))[:2] for _ in range(5)]
    names = ["heartbeat", "config", "heartbeat", "heartbeat", "config"]
    assert found == [(200, name) for name in names]


async def test_a_beat_behind_a_refused_one_is_taken(
    bus: Bus, gateway: GatewayProcess, tenant: Tenant
) -> None:
    async with connected(gateway) as (reader, writer):
        for body, status in ((b"{", 400), (BODY, 200), (b'{"status":"offline"}', 400), (BODY, 200)):
            writer.write(request(tenant, "POST", "heartbeat", body))
            assert (await answer(reader))[0] == status
    assert len(await bus.beats(tenant.agent.agent_id)) == 2


async def test_a_caller_that_went_away_harms_nobody(
    bus: Bus, gateway: GatewayProcess, tenant: Tenant
) -> None:
    for _ in range(20):
        async with connected(gateway) as (_, writer):
            writer.write(request(tenant, "POST", "heartbeat", BODY))
    answered = await tenant.http.post(f"{tenant.path}/heartbeat", json={"status": "online"})
    assert answered.status_code == 200


async def test_a_body_that_does_not_come_is_given_up(bus: Bus) -> None:
    async with run_gateway(bus.kafka, read_body_seconds=0.5) as gateway:
        await gateway.ready()
        async with new_tenant(bus, gateway) as tenant, connected(gateway) as (reader, writer):
            writer.write(request(tenant, "POST", "heartbeat", BODY, length=len(BODY) + 1))
            status, _, told = await answer(reader)
            assert (status, told["code"]) == (408, "BODY_TIMEOUT")
            assert await reader.read() == b""


async def test_a_gateway_that_stops_answers_the_beats_that_it_has(bus: Bus) -> None:
    async with run_gateway(bus.kafka, record_gap_seconds=1) as gateway:
        await gateway.ready()
        async with new_tenant(bus, gateway) as tenant, connected(gateway) as (reader, writer):
            beat = request(tenant, "POST", "heartbeat", BODY)
            writer.write(beat)
            assert (await answer(reader))[0] == 200
            writer.write(beat)
            await writer.drain()
            gateway.process.terminate()
            assert (await answer(reader))[0] == 200
            assert await reader.read() == b""
            assert await gateway.process.wait() == 0


@pytest.mark.parametrize("lines", UPGRADES)
@pytest.mark.parametrize("packet_bytes", [1_000_000, 7, 1])
async def test_the_wish_for_another_protocol_is_ignored(
    bus: Bus, gateway: GatewayProcess, tenant: Tenant, lines: str, packet_bytes: int
) -> None:
    bus.owner.answers[ShutDownAgent] = lambda question: Done()
    sent = [
        request(tenant, "POST", "shutdown", b'{"reason":"move"}', lines=lines),
        request(tenant, "POST", "heartbeat", BODY, lines=lines),
        request(tenant, "GET", "config", lines=lines),
        request(tenant, "POST", "shutdown", CHUNKED, lines=lines, chunked=True),
        request(tenant, "POST", "heartbeat", BODY),
    ]
    async with connected(gateway) as (reader, writer):
        for packet in _packets(b"".join(sent), packet_bytes):
            writer.write(packet)
            await writer.drain()
        found = [(await answer(reader))[:2] for _ in sent]
    names = ["shutdown", "heartbeat", "config", "shutdown", "heartbeat"]
    assert found == [(200, name) for name in names]
    assert [one.reason for one in bus.owner.questions(ShutDownAgent)] == ["move", "move"]


async def test_many_wishes_in_one_packet_are_ignored(
    gateway: GatewayProcess, tenant: Tenant
) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(request(tenant, "POST", "heartbeat", BODY, lines=UPGRADES[0]) * 50)
        assert {(await answer(reader))[0] for _ in range(50)} == {200}


@pytest.mark.parametrize(
    ("target", "code"), [("any:80", "MALFORMED_REQUEST"), ("/livez", "METHOD_NOT_ALLOWED")]
)
async def test_a_tunnel_is_refused(gateway: GatewayProcess, target: str, code: str) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(f"CONNECT {target} HTTP/1.1\r\nHost: any:80\r\n\r\nbytes".encode())
        assert (await answer(reader))[2]["code"] == code


async def test_a_heartbeat_that_announces_too_much_is_refused_at_once(
    gateway: GatewayProcess, tenant: Tenant
) -> None:
    async with connected(gateway) as (reader, writer):
        writer.write(request(tenant, "POST", "heartbeat", length=1_000_000_000))
        status, _, told = await answer(reader)
        assert (status, told["code"]) == (413, "BODY_TOO_LARGE")


@pytest.mark.parametrize(
    ("method", "place"), [("POST", "heartbeat"), ("POST", "shutdown"), ("GET", "config")]
)
async def test_what_is_asked_counts_among_the_headers(
    gateway: GatewayProcess, tenant: Tenant, method: str, place: str
) -> None:
    async with connected(gateway) as (reader, writer):
        query = b"?x=" + b"x" * 17_000
        writer.write(request(tenant, method, place).replace(b" HTTP/1.1", query + b" HTTP/1.1"))
        status, _, told = await answer(reader)
        assert (status, told["code"]) == (431, "HEADERS_TOO_LARGE")


@pytest.mark.parametrize("place", ["heartbeat", "shutdown"])
async def test_a_length_may_have_any_number_of_zeros_in_front(
    bus: Bus, gateway: GatewayProcess, tenant: Tenant, place: str
) -> None:
    bus.owner.answers[ShutDownAgent] = lambda question: Done()
    lines = f"Content-Length: {len(BODY):05000}\r\n"
    head, _, _ = request(tenant, "POST", place, BODY).partition(b"Content-Length")
    async with connected(gateway) as (reader, writer):
        writer.write(head + lines.encode() + b"\r\n" + BODY)
        assert (await answer(reader))[0] == 200


def _packets(data: bytes, size: int) -> list[bytes]:
    return [data[at : at + size] for at in range(0, len(data), size)]
