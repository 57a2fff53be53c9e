"""The event stream: each client hears its own events as they pass the bus, and can go on later.

An event's id tells how far the listener has heard in every partition, so `Last-Event-ID` resumes
exactly there, at any gateway. A gateway to which nobody has listened yet reads no events: that is a
quarter of what other requests cost it.
"""

import asyncio
import json
import re
from collections.abc import AsyncIterator, Callable
from dataclasses import dataclass, field

from aiokafka import TopicPartition

from chassis import clock
from chassis.envelope import Envelope
from chassis.producer import BusUnavailable
from chassis.tail import Tail
from gateway import metrics
from gateway.errors import invalid
from gateway.settings import GatewaySettings
from spotkeeper_contracts import PARTITIONS, Refused
from spotkeeper_contracts.topics import (
    AGENT_COMMANDS,
    AGENT_DECISIONS,
    AGENT_EVENTS,
    AGENT_PRESENCE,
)
from spotkeeper_contracts.values import rfc3339

TOPICS = (AGENT_EVENTS, AGENT_PRESENCE, AGENT_DECISIONS, AGENT_COMMANDS)
BEGIN_SECONDS = 5.0
CATCH_UP_SECONDS = 20.0
CATCH_UPS_AT_ONCE = 4
CHECK_SECONDS = 1.0

Positions = dict[TopicPartition, int]
_ORDER = [TopicPartition(topic.name, n) for topic in TOPICS for n in range(PARTITIONS)]
_EVENT_ID = re.compile(rf"\d{{1,18}}(\.\d{{1,18}}){{{len(_ORDER) - 1}}}")


@dataclass(frozen=True, slots=True)
class _Event:
    partition: TopicPartition
    offset: int
    lines: str


@dataclass(eq=False)
class _Listener:
    """One open stream; `overflowed` once it reads more slowly than events come."""

    client: str
    queue: "asyncio.Queue[_Event | None]"
    heard: Positions
    overflowed: bool = False

    def offer(self, event: _Event | None) -> None:
        """Hand over an event; None wakes the listener, for it to end.

        After the first event that found no room there must be no other, or there would be a gap.
        """
        if self.overflowed:
            return
        try:
            self.queue.put_nowait(event)
        except asyncio.QueueFull:
            self.overflowed = True


@dataclass
class EventStream:
    """Reads the public topics once for all and hands each event to its client's listeners."""

    settings: GatewaySettings
    _listeners: dict[str, set[_Listener]] = field(default_factory=dict)
    _reads: bool = False
    _closing: bool = False

    def __post_init__(self) -> None:
        self._tail = Tail(
            self.settings.kafka_bootstrap_servers,
            TOPICS,
            self._take,
            client_id="gateway",
            is_wanted=lambda client: client in self._listeners,
        )
        self._catching_up = asyncio.Semaphore(CATCH_UPS_AT_ONCE)

    async def begin(self, client: str) -> None:
        """Read from now on, for a stream that is to be opened; raises `BusUnavailable`."""
        count = sum(map(len, self._listeners.values()))
        of_client = len(self._listeners.get(client, ()))
        if (
            self._closing
            or count >= self.settings.stream_listeners
            or of_client >= self.settings.stream_listeners_per_client
        ):
            raise BusUnavailable("no event stream can be opened now")
        if not self._reads:
            self._reads = True
            self._tail.start()
        try:
            async with asyncio.timeout(BEGIN_SECONDS):
                await self._tail.caught_up()
        except TimeoutError as error:
            raise BusUnavailable("events would not be heard") from error
        if not self._tail.ready:
            raise BusUnavailable("events would not be heard")

    async def stop(self) -> None:
        """Stop reading."""
        await self._tail.stop()

    def close(self) -> None:
        """End all streams, so that the process can stop; listeners come back elsewhere."""
        self._closing = True
        for listeners in self._listeners.values():
            for listener in listeners:
                listener.offer(None)

    async def listen(
        self, client: str, since: Positions | None, still_valid: Callable[[], object]
    ) -> AsyncIterator[str]:
        """The lines of one stream, until it is closed, too slow or no longer allowed."""
        listener = self._open(client)
        try:
            yield _id_line(listener.heard if since is None else since)
            if since is not None:
                async with self._catching_up:
                    past, reached = await self._past(client, since, until=listener.heard)
                for event in past:
                    since[event.partition] = event.offset + 1
                    yield event.lines + _id_line(since)
                if reached is not None:  # Whoever comes back goes on behind what was read for it.
                    yield _id_line(reached)
                    return
            async for lines in self._live(listener, still_valid):
                yield lines
        except Refused:
            return  # The token has expired or was revoked.
        finally:
            self._leave(listener)
            metrics.STREAM_LISTENERS.dec()

    def _open(self, client: str) -> _Listener:
        queue: asyncio.Queue[_Event | None] = asyncio.Queue(self.settings.stream_queue_events)
        listener = _Listener(client, queue, self._tail.positions)
        self._listeners.setdefault(client, set()).add(listener)
        metrics.STREAM_LISTENERS.inc()
        return listener

    def _leave(self, listener: _Listener) -> None:
        of_client = self._listeners[listener.client]
        of_client.discard(listener)
        if not of_client:
            del self._listeners[listener.client]

    async def _live(
        self, listener: _Listener, still_valid: Callable[[], object]
    ) -> AsyncIterator[str]:
        silent_since = clock.monotonic()
        while not self._closing:
            still_valid()
            event = await _next(listener.queue)
            if event is not None:
                listener.heard[event.partition] = event.offset + 1
                yield event.lines + _id_line(listener.heard)
                silent_since = clock.monotonic()
            elif listener.overflowed:
                metrics.STREAM_OVERFLOWS.inc()
                return
            elif clock.monotonic() - silent_since >= self.settings.stream_comment_seconds:
                # Nothing waits, so all that the tail has passed is heard.
                listener.heard = self._tail.positions
                yield f": still here\n{_id_line(listener.heard)}"
                silent_since = clock.monotonic()

    async def _past(
        self, client: str, since: Positions, *, until: Positions
    ) -> tuple[list[_Event], Positions | None]:
        """What the client missed, in the order of each partition; if not all, how far it goes."""
        past: list[_Event] = []
        enough = asyncio.Event()
        reached: Positions = {}

        def take(envelope: Envelope, partition: TopicPartition, offset: int) -> None:
            if offset >= until[partition] or enough.is_set():
                return
            past.append(_event(envelope, partition, offset))
            if len(past) >= self.settings.stream_queue_events:
                reached.update(tail.positions)
                enough.set()

        bus = self.settings.kafka_bootstrap_servers
        tail = Tail(
            bus,
            TOPICS,
            take,
            client_id="gateway",
            is_wanted=lambda named: named == client,
            positions=dict(since),
        )
        tail.start()
        waits = [asyncio.create_task(wait()) for wait in (tail.caught_up, enough.wait)]
        try:
            done, _ = await asyncio.wait(
                waits, timeout=CATCH_UP_SECONDS, return_when=asyncio.FIRST_COMPLETED
            )
        finally:
            for wait in waits:
                wait.cancel()
            await tail.stop()
        if done and not enough.is_set():
            return past, None
        behind = reached or tail.positions
        return past, {p: max(since[p], min(behind[p], until[p])) for p in since}

    def _take(self, envelope: Envelope, partition: TopicPartition, offset: int) -> None:
        listeners = self._listeners.get(envelope.client_id or "")
        if listeners:
            event = _event(envelope, partition, offset)
            for listener in listeners:
                listener.offer(event)


def event_id(positions: Positions) -> str:
    """The id of an event after which a listener has heard so much."""
    return ".".join(str(positions.get(partition, 0)) for partition in _ORDER)


def positions_of(event_id: str) -> Positions:
    """How far the holder of an event's id has heard; raises `Refused` with 400."""
    if not _EVENT_ID.fullmatch(event_id):
        raise invalid("Last-Event-ID", "This is not the id of an event of this stream")
    return dict(zip(_ORDER, map(int, event_id.split(".")), strict=True))


async def _next(queue: "asyncio.Queue[_Event | None]") -> _Event | None:
    try:
        async with asyncio.timeout(CHECK_SECONDS):
            return await queue.get()
    except TimeoutError:
        return None


def _event(envelope: Envelope, partition: TopicPartition, offset: int) -> _Event:
    message = envelope.message
    told = {
        "specversion": "1.0",
        "id": str(envelope.id),
        "source": f"/spotkeeper/{envelope.source}",
        "type": message.type,
        "time": rfc3339(envelope.time),
        "data": message.model_dump(mode="json"),
    }
    name = type(message).__name__
    return _Event(partition, offset, f"event: {name}\ndata: {json.dumps(told)}\n")


def _id_line(positions: Positions) -> str:
    return f"id: {event_id(positions)}\n\n"
