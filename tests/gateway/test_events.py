"""Who resumes an event stream gets on, however much others left to read in between."""

import asyncio
from collections.abc import AsyncIterator
from dataclasses import replace
from uuid import UUID

import pytest

from chassis import clock
from chassis.envelope import Envelope
from chassis.tail import Tail
from chassis.testing import example
from gateway import events
from gateway.events import EventStream, event_id, positions_of
from gateway.settings import GatewaySettings
from spotkeeper_contracts.agents import AgentDeleted
from tests.gateway.driver import Bus

WITHIN_SECONDS = 30


@pytest.fixture
async def stream(bus: Bus) -> AsyncIterator[EventStream]:
    """The event stream of a gateway of its own."""
    stream = EventStream(GatewaySettings(kafka_bootstrap_servers=bus.kafka))
    yield stream
    await stream.stop()


async def tell(bus: Bus, client: UUID) -> None:
    """Let something happen to an agent of the client."""
    event = example(AgentDeleted, agent_id=clock.new_id(), client_id=client)
    envelope = Envelope.of(event, source="registry")
    await bus.producer.send(replace(envelope, client_id=str(client)).to_record())


async def listened(stream: EventStream, client: str, since: str) -> tuple[list[str], str]:
    """The events that a listener hears until its stream ends, and the last id."""
    heard, last = [], since
    async for text in stream.listen(client, positions_of(since), lambda: None):
        heard += [line for line in text.splitlines() if line.startswith("event: ")]
        last = text.rstrip().rpartition("id: ")[2]
    return heard, last


async def test_a_resumed_stream_that_runs_out_of_time_goes_on_where_it_ended(
    bus: Bus, stream: EventStream, monkeypatch: pytest.MonkeyPatch
) -> None:
    mine, theirs = clock.new_id(), clock.new_id()
    for client in (*[theirs] * 50, mine):
        await tell(bus, client)
    await stream.begin(str(mine))
    beginning = event_id({})
    monkeypatch.setattr(events, "CATCH_UP_SECONDS", 1.0)
    monkeypatch.setattr(Tail, "caught_up", lambda tail: asyncio.Event().wait())

    heard, since = [], beginning
    async with asyncio.timeout(WITHIN_SECONDS):
        while since != event_id(stream._tail.positions):
            more, since = await listened(stream, str(mine), since)
            heard += more
    assert heard == ["event: AgentDeleted"]
