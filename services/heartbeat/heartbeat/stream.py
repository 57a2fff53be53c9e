"""Reading `agent-heartbeats` with Faust: the only file that knows of it.

Faust shares out the partitions and hands over the records; what they mean and when they are done
with is the watch's matter. Faust takes an exception of an agent for handled, so none ever reaches
it: a bug ends the process. An outage that ends Faust's app does not: a new app takes its place.
"""

import asyncio
import logging
from collections.abc import Mapping
from typing import Any

import faust
from faust.types import TP, EventT, StreamT

from chassis import clock
from chassis.lag import MEASURE_SECONDS, Lag
from chassis.log import get_logger
from chassis.outages import is_outage
from chassis.service import Running
from heartbeat.settings import HeartbeatSettings
from heartbeat.watch import Arrived, Watch
from spotkeeper_contracts import PARTITIONS
from spotkeeper_contracts.topics import AGENT_HEARTBEATS

log = get_logger()

PART = "stream"
GROUP = "heartbeat-stream"
"""The consumer group of the beats; the requests of the service have their own."""

STOP_SECONDS = 10.0


class Stalled(Exception):
    """Records lie unread although nothing is in the way (faust-streaming #523, #532)."""


async def follow_heartbeats(running: Running) -> None:
    """Fold beats into presence until the service stops; raises what is no outage."""
    settings = running.settings
    assert isinstance(settings, HeartbeatSettings)
    logging.getLogger("faust").setLevel(logging.WARNING)
    logging.getLogger("mode").setLevel(logging.WARNING)
    running.health.set(PART, ok=False, text="starting")
    watch = Watch(running, settings)
    flushing = asyncio.create_task(watch.flush_regularly())
    try:
        while not running.stopping.is_set():
            if running.producer.ready:
                await Stream(running, settings, watch).run(flushing)
            else:
                await asyncio.sleep(settings.retry_seconds)
    finally:
        flushing.cancel()


class PresenceApp(faust.App):
    """A Faust app without tables, which therefore needs no directories for them."""

    async def on_first_start(self) -> None:
        """Make no directories."""


class Stream:
    """One Faust app from its start to its end."""

    def __init__(self, running: Running, settings: HeartbeatSettings, watch: Watch) -> None:
        self._running = running
        self._settings = settings
        self._watch = watch
        self._app = _new_app(settings)
        self._loaded = asyncio.Event()
        self._loading: asyncio.Task[None] | None = None
        self._shown = Lag()
        self._failure: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._app.on_partitions_assigned.connect(self._on_assigned)
        self._app.on_partitions_revoked.connect(self._on_revoked)
        topic = self._app.topic(
            AGENT_HEARTBEATS.name,
            key_type=bytes,
            value_type=bytes,
            key_serializer="raw",
            value_serializer="raw",
        )
        self._app.agent(topic, name="heartbeats", concurrency=1)(self._read)

    async def run(self, flushing: "asyncio.Task[None]") -> None:
        """Run until the service stops or an outage ends the app; raises what is no outage."""
        stopping = asyncio.create_task(self._running.stopping.wait())
        own = [asyncio.create_task(self._serve()), asyncio.create_task(self._measure())]
        parts: list[asyncio.Future[Any]] = [*own, stopping, flushing, self._failure]
        try:
            await asyncio.wait(parts, return_when=asyncio.FIRST_COMPLETED)
            errors = [error for part in parts if part.done() and (error := part.exception())]
            for error in errors:
                if not is_outage(error):
                    raise error
                log.warning("the stream ended by an outage; it starts anew", error=repr(error))
        finally:
            await self._let_go()
            await self._stop()
            for task in (stopping, *own):
                task.cancel()
            await asyncio.gather(stopping, *own, return_exceptions=True)

    async def _serve(self) -> None:
        await self._app.start()
        await self._app.wait_until_stopped()
        raise self._app.crash_reason or RuntimeError("Faust stopped by itself")

    async def _stop(self) -> None:
        """Commit and leave the group, if the broker lets us."""
        try:
            async with asyncio.timeout(STOP_SECONDS):
                await self._app.stop()
        except TimeoutError:
            log.warning("Faust did not stop in time")

    async def _read(self, stream: StreamT[bytes]) -> None:
        try:
            # Faust types `noack` as the interface, without `events`.
            async for event in stream.noack().events():  # type: ignore[attr-defined]
                await self._loaded.wait()
                await self._watch.room()
                if self._is_ours(event):
                    self._watch.take_in(_arrived(event))
        except Exception as error:  # Faust would take it for handled and go on.
            self._fail(error)

    def _is_ours(self, event: EventT[bytes]) -> bool:
        """Whether the record was read since the partitions were last shared out."""
        message = event.message
        return (
            self._loaded.is_set()
            and message.generation_id == self._app.consumer_generation_id
            and message.partition in self._watch.offsets
        )

    async def _on_assigned(self, *arguments: Any, **_: Any) -> None:
        _app, assigned = arguments
        self._loading = asyncio.create_task(self._load(assigned))

    async def _on_revoked(self, *_: Any, **__: Any) -> None:
        try:
            await self._let_go()
        except Exception as error:  # Faust would take it for an accident of its own.
            self._fail(error)

    async def _load(self, assigned: set[TP]) -> None:
        try:
            await self._watch.take_over(lambda: self._log_ends(assigned))
        except Exception as error:  # A task's exception is seen by nobody.
            self._fail(error)
        else:
            self._loaded.set()
            self._running.health.set(PART, ok=True)

    async def _let_go(self) -> None:
        self._loaded.clear()
        self._running.health.set(PART, ok=False, text="partitions are being shared out")
        if self._loading is not None:
            self._loading.cancel()
            await asyncio.gather(self._loading, return_exceptions=True)
            self._loading = None
        await self._watch.let_go()
        self._shown.show({})

    async def _log_ends(self, partitions: set[TP]) -> Mapping[int, int]:
        """The offset that the next record of each partition will have."""
        ends = await self._app.consumer.highwaters(*partitions)
        return {partition.partition: end for partition, end in ends.items()}

    async def _measure(self) -> None:
        """Measure the lag; raises `Stalled` if it stays although nothing is in the way."""
        before: Mapping[int, int] = {}
        moved_at = clock.monotonic()
        while True:
            await asyncio.sleep(MEASURE_SECONDS)
            offsets = self._watch.offsets
            lag = await self._lag(offsets) if self._loaded.is_set() else {}
            if not any(lag.values()) or offsets != before or self._watch.waiting:
                before, moved_at = offsets, clock.monotonic()
            elif clock.monotonic() - moved_at > self._settings.stall_seconds:
                raise Stalled(f"records of each partition that nobody reads: {lag}")

    async def _lag(self, offsets: Mapping[int, int]) -> Mapping[int, int]:
        """How many records of each partition wait, or nothing if the broker does not say."""
        try:
            async with asyncio.timeout(MEASURE_SECONDS):
                ends = await self._log_ends({TP(AGENT_HEARTBEATS.name, n) for n in offsets})
        except Exception as error:  # A look at the log may fail; an error of ours may not.
            if not is_outage(error):
                raise
            return {}
        lag = {number: max(0, ends[number] - 1 - offset) for number, offset in offsets.items()}
        if self._loaded.is_set():
            self._shown.show({(AGENT_HEARTBEATS.name, n): records for n, records in lag.items()})
        return lag

    def _fail(self, error: Exception) -> None:
        if not self._failure.done():
            self._failure.set_exception(error)


def _arrived(event: EventT[bytes]) -> Arrived:
    message = event.message
    headers = message.headers.items() if isinstance(message.headers, Mapping) else message.headers
    return Arrived(
        partition=message.partition,
        offset=message.offset,
        at_ms=round(message.timestamp * 1000),
        value=message.value,
        headers=list(headers or ()),
        acknowledge=event.ack,
    )


def _new_app(settings: HeartbeatSettings) -> PresenceApp:
    servers = settings.kafka_bootstrap_servers.split(",")
    return PresenceApp(
        GROUP,
        broker=[f"kafka://{server.strip()}" for server in servers],
        store="memory://",
        processing_guarantee="at_least_once",
        web_enabled=False,
        loghandlers=[],
        worker_redirect_stdouts=False,
        topic_disable_leader=True,
        topic_allow_declare=False,
        topic_partitions=PARTITIONS,
        producer_acks=-1,
        producer_linger=0,
        stream_wait_empty=False,
        broker_commit_interval=1.0,
        broker_max_poll_records=500,
        broker_session_timeout=settings.session_timeout_seconds,
        consumer_group_instance_id=settings.member,
        broker_heartbeat_interval=settings.session_timeout_seconds / 10,
        broker_rebalance_timeout=30,
        broker_request_timeout=40,
        broker_check_crcs=False,
        consumer_auto_offset_reset="earliest",
    )
