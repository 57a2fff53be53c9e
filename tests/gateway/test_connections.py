"""Heartbeats that their connection takes: in order with other requests, in time, and to the end."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any
from urllib.parse import urlsplit

from tests.gateway.conftest import Tenant, new_tenant
from tests.gateway.driver import Bus, GatewayProcess, run_gateway

BODY = b'{"status":"online"}'
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
    tenant: Tenant, method: str, place: str, body: bytes = b"", *, length: int = 0
) -> bytes:
    """The bytes of a request; more of its body may be announced than is there."""
    return (
        f"{method} {tenant.path}/{place} HTTP/1.1\r\nHost: any\r\n"
        f"Authorization: Bearer {tenant.token}\r\nX-Request-ID: {place}\r\n"
        f"Content-Length: {length or len(body)}\r\n\r\n"
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
