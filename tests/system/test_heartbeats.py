"""Heartbeats and presence over HTTP and on the topics."""

import asyncio
import json
from typing import Any
from urllib.parse import urlsplit

import pytest

from spotkeeper_contracts.topics import AGENT_HEARTBEATS, AGENT_PRESENCE
from tests.stack import eventually
from tests.system.driver import Agent, System


async def presence(system: System, agent: Agent) -> list[str]:
    return [message["type"] for message in await system.messages(AGENT_PRESENCE, agent.id)]


async def test_the_answer_has_exactly_three_keys(system: System) -> None:
    agent = await system.register()
    answer = await agent.heartbeat(
        timestamp="2024-11-26T10:00:00Z",
        current_mode="spot",
        current_pool_id="t3.medium.us-east-1a",
        spot_price=0.0104,
        ondemand_price=0.0416,
    )
    assert (answer.status_code, list(answer.json())) == (
        200,
        ["success", "commands_pending", "config_version"],
    )
    assert answer.headers["X-Config-Version"] == "1"


async def test_a_registration_counts_as_a_beat(system: System) -> None:
    agent = await system.register()

    async def online() -> bool:
        return await presence(system, agent) == ["AgentCameOnline.v1"]

    await eventually(online, within_seconds=10)

    async def seen() -> bool:
        return (await agent.detail())["last_heartbeat_at"] is not None

    await eventually(seen, within_seconds=10)


async def test_what_a_beat_reports_becomes_the_agents_state(system: System) -> None:
    agent = await system.register()
    await agent.heartbeat("degraded", current_mode="ondemand", agent_version="4.1.0")

    async def degraded() -> bool:
        detail = await agent.detail()
        told = [detail[name] for name in ("status", "current_mode", "agent_version")]
        return told == ["degraded", "ondemand", "4.1.0"]

    await eventually(degraded, within_seconds=10)
    assert "AgentReportedChange.v1" in await presence(system, agent)


async def test_last_heartbeat_at_moves_with_each_beat(system: System) -> None:
    agent = await system.register()

    async def last() -> Any:
        return (await agent.detail())["last_heartbeat_at"]

    before = await eventually(last, within_seconds=10)

    async def later() -> bool:
        await agent.heartbeat()
        return bool(await last() > before)

    await eventually(later, within_seconds=10)


async def test_a_goodbye_ends_the_watch(system: System) -> None:
    agent = await system.register()
    assert (await agent.post("shutdown", {})).status_code == 200

    async def stopping() -> bool:
        return bool((await agent.detail())["status"] == "stopping")

    await eventually(stopping, within_seconds=10)
    await agent.heartbeat()

    async def back() -> bool:
        return bool((await agent.detail())["status"] == "online")

    await eventually(back, within_seconds=10)


@pytest.mark.parametrize(
    "body",
    [
        {},
        {"status": "offline"},
        {"status": "fine"},
        {"status": None},
        {"status": "online", "spot_price": -1},
        {"status": "online", "spot_price": 1000.01},
        {"status": "online", "spot_price": "0.1"},
        {"status": "online", "current_mode": "reserved"},
        {"status": "online", "current_pool_id": "x" * 129},
        {"status": "online", "instance_id": "x"},
        {"status": "online", "timestamp": "yesterday"},
        [],
        "online",
        None,
    ],
)
async def test_a_bad_beat_is_refused_and_not_appended(system: System, body: Any) -> None:
    agent = await system.register()
    answer = await agent.post("heartbeat", body)
    assert (answer.status_code, answer.json()["error"]) == (400, "Validation failed")
    assert answer.json()["details"]


async def test_a_bad_token_appends_nothing(system: System) -> None:
    agent = await system.register()
    stranger = system.with_token("wrong")
    before = await beats_of(system, agent)
    answers = await asyncio.gather(
        *(stranger.post(f"{agent.path}/heartbeat", json={"status": "online"}) for _ in range(50))
    )
    await stranger.aclose()
    assert {answer.status_code for answer in answers} == {401}
    assert await beats_of(system, agent) == before


async def beats_of(system: System, agent: Agent) -> int:
    """How many beats of the agent stand in the log; the records hold arrays."""
    from aiokafka import AIOKafkaConsumer, TopicPartition

    from chassis.envelope import partition_for

    consumer = AIOKafkaConsumer(bootstrap_servers=system.kafka, enable_auto_commit=False)
    await consumer.start()
    try:
        partition = TopicPartition(AGENT_HEARTBEATS.name, partition_for(agent.id))
        consumer.assign([partition])
        await consumer.seek_to_beginning(partition)
        end = (await consumer.end_offsets([partition]))[partition]
        count = 0
        while await consumer.position(partition) < end:
            for records in (await consumer.getmany(timeout_ms=100)).values():
                count += sum(record.value.count(agent.id.encode()) for record in records)
        return count
    finally:
        await consumer.stop()


async def test_beats_that_come_together_share_records_and_none_is_lost(system: System) -> None:
    agent = await system.register()
    before = await beats_of(system, agent)
    answers = await asyncio.gather(
        *(agent.post("heartbeat", {"status": "online"}) for _ in range(120))
    )
    assert {answer.status_code for answer in answers} == {200}
    assert await beats_of(system, agent) == before + 120


async def test_a_body_over_16_kib_is_refused(system: System) -> None:
    agent = await system.register()
    answer = await agent.post("heartbeat", {"status": "online", "filler": "x" * 17_000})
    assert answer.status_code == 413


@pytest.mark.parametrize(
    "form", ["whole", "body apart", "body asked for", "together", "close", "1.0"]
)
async def test_a_beat_is_answered_alike_however_it_comes(system: System, form: str) -> None:
    agent = await system.register()
    before = await beats_of(system, agent)
    body, version = b'{"status":"online"}', b"1.0" if form == "1.0" else b"1.1"
    head = (
        b"POST %b/heartbeat HTTP/%b\r\nHost: any\r\nAuthorization: Bearer %b\r\n"
        b"X-Request-ID: r-1\r\n%bContent-Length: %d\r\n\r\n"
    ) % (
        agent.path.encode(),
        version,
        system.ready["client_token"].encode(),
        {"close": b"Connection: close\r\n", "body asked for": b"Expect: 100-continue\r\n"}.get(
            form, b""
        ),
        len(body),
    )
    beats = 3 if form == "together" else 1
    address = urlsplit(system.gateway)
    reader, writer = await asyncio.open_connection(address.hostname, address.port)
    try:
        writer.write(head if form.startswith("body") else (head + body) * beats)
        if form == "body asked for":
            assert await reader.readuntil(b"\r\n\r\n") == b"HTTP/1.1 100 Continue\r\n\r\n"
        if form.startswith("body"):
            with pytest.raises(TimeoutError):  # Nothing is answered before the body is there.
                async with asyncio.timeout(0.2):
                    await reader.read(1)
            writer.write(body[:5])
            await writer.drain()
            writer.write(body[5:])
        for _ in range(beats):
            async with asyncio.timeout(10):
                lines = (await reader.readuntil(b"\r\n\r\n")).decode().lower().split("\r\n")
                told = dict(line.split(": ", 1) for line in lines[1:-2])
                answer = json.loads(await reader.readexactly(int(told["content-length"])))
            assert lines[0] == "http/1.1 200 ok"
            assert answer == {"success": True, "commands_pending": False, "config_version": 1}
            expected = {"content-type", "content-length", "x-config-version", "x-agent-epoch"}
            ends = {"connection"} if form in ("close", "1.0") else set()
            assert told.keys() == expected | {"x-request-id", "date"} | ends
            assert (told["x-request-id"], told["x-agent-epoch"]) == ("r-1", "1")
        if ends:
            assert await reader.read() == b""
    finally:
        writer.close()
    assert await beats_of(system, agent) == before + beats


async def test_an_unknown_agent_is_404_on_the_fast_path_too(system: System) -> None:
    for wrong in ("01890000-0000-7000-8000-000000000000", "no-uuid"):
        answer = await system.http.post(f"/api/agents/{wrong}/heartbeat", json={"status": "online"})
        assert (answer.status_code, answer.json()) == (404, {"error": "Agent not found"})


async def test_a_heartbeat_sent_again_under_its_key_gets_its_answer(system: System) -> None:
    agent, key = await system.register(), {"Idempotency-Key": "beat"}
    body = {"status": "online", "agent_version": "4.1.0"}
    first = await agent.post("heartbeat", body, headers=key)
    assert (first.status_code, list(first.json())) == (
        200,
        ["success", "commands_pending", "config_version"],
    )
    changed = await system.http.patch(f"{agent.path}/config", json={"risk_threshold": 0.25})
    assert changed.status_code == 200
    again = await agent.post("heartbeat", body, headers=key)
    assert (again.status_code, again.json()) == (200, first.json())
    assert again.headers["X-Config-Version"] == "2"
    other = await agent.post("heartbeat", {"status": "degraded"}, headers=key)
    assert (other.status_code, other.json()["code"]) == (409, "IDEMPOTENCY_MISMATCH")
    assert (await agent.post("heartbeat", body)).json()["config_version"] == 2


async def test_a_goodbye_sent_again_does_not_stop_the_agent_that_came_back(system: System) -> None:
    agent, key = await system.register(), {"Idempotency-Key": "goodbye"}
    first = await agent.post("shutdown", {"reason": "updating"}, headers=key)
    assert (await agent.detail())["status"] == "stopping"
    await agent.register(instance_id="i-newer")
    before = await beats_of(system, agent)
    again = await agent.post("shutdown", {"reason": "updating"}, headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert await beats_of(system, agent) == before
    assert (await agent.detail())["status"] == "online"


async def test_a_registration_sent_again_is_no_beat_of_an_agent_deleted_since(
    system: System,
) -> None:
    agent, key = await system.register(), {"Idempotency-Key": "arrival"}
    first = await system.http.post("/api/agents/register", json=agent.registration, headers=key)
    assert (await system.http.delete(agent.path)).status_code == 200
    before = await beats_of(system, agent)
    again = await system.http.post("/api/agents/register", json=agent.registration, headers=key)
    assert (again.status_code, again.content) == (200, first.content)
    assert await beats_of(system, agent) == before
    assert (await agent.get()).status_code == 410
