"""Request and reply over the bus: `reply = await ask(request)`."""

import asyncio
from collections.abc import Callable
from typing import Any
from uuid import UUID

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from chassis import clock, metrics
from chassis.envelope import Envelope, Unreadable, header
from chassis.log import get_logger
from chassis.producer import Producer
from chassis.reader import Reader
from spotkeeper_contracts import Refusal, Refused, Reply, Request
from spotkeeper_contracts.topics import GATEWAY_REPLIES

log = get_logger()


class NoAnswer(Exception):
    """The owner stayed silent for as long as the caller would wait."""


class Asker:
    """Asks owners over the bus and hands each answer to the one who waits for it.

    Answers come on one partition of `gateway-replies`. Two askers may share it: each ignores what
    it did not ask. Before an answer come the states that the request changed, for `on_state`.
    """

    def __init__(
        self,
        producer: Producer,
        bootstrap_servers: str,
        *,
        reply_partition: int,
        source: str,
        on_state: Callable[["ConsumerRecord[bytes, bytes]"], None] = lambda record: None,
    ) -> None:
        self._producer = producer
        self._reply_partition = reply_partition
        self._source = source
        self._on_state = on_state
        self._waiting: dict[str, asyncio.Future[Reply]] = {}
        self._reader = Reader(
            bootstrap_servers,
            [TopicPartition(GATEWAY_REPLIES.name, reply_partition)],
            self._take,
            client_id=source,
            from_beginning=False,
        )

    @property
    def ready(self) -> bool:
        """Whether answers would be heard."""
        return self._reader.ready

    def start(self) -> None:
        """Begin to listen for answers."""
        self._reader.start()

    async def stop(self) -> None:
        """Stop listening."""
        await self._reader.stop()

    async def ask(
        self,
        request: Request,
        *,
        actor: str,
        client_id: str | None,
        request_id: UUID | None = None,
        timeout_seconds: float = 10.0,
        traceparent: str | None = None,
        refusal: Refusal | None = None,
    ) -> Any:
        """The owner's answer, of the type `request.reply`.

        Raises `Refused` if the answer is no, `NoAnswer` if none comes in time, and
        `BusUnavailable` if the broker does not take the request.
        With a `refusal` the owner does nothing: it keeps that as its answer, unless the request is
        a repeat, which gets the answer that it had.
        """
        envelope = Envelope(
            request,
            request_id or clock.new_id(),
            self._source,
            clock.now(),
            actor,
            client_id,
            request_id=None,
            reply_to=self._reply_partition,
            traceparent=traceparent,
            ask_id=str(clock.new_id()),
            refusal=refusal,
        )
        start = clock.monotonic()
        reply = await self._answer_to(envelope, timeout_seconds)
        metrics.ASK_SECONDS.labels(request.type).observe(clock.monotonic() - start)
        if isinstance(reply, Refusal):
            raise Refused(reply.code, reply.error, reply.status, reply.details)
        assert isinstance(reply, request.reply), f"{reply.type} is no answer to {request.type}"
        return reply

    async def _answer_to(self, envelope: Envelope, timeout_seconds: float) -> Reply:
        """Wait under an id of this one ask, which is known before the request is sent.

        A repeat has the request's id but its own answer: under another body that is a refusal.
        """
        assert envelope.ask_id is not None
        future: asyncio.Future[Reply] = asyncio.get_running_loop().create_future()
        self._waiting[envelope.ask_id] = future
        try:
            async with asyncio.timeout(timeout_seconds):
                await self._producer.send(envelope.to_record())
                return await future
        except TimeoutError as error:
            raise NoAnswer(envelope.message.type) from error
        finally:
            del self._waiting[envelope.ask_id]

    def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        ask_id = header(record.headers, "ce_askid")
        if ask_id is None:
            self._on_state(record)
            return
        future = self._waiting.get(ask_id)
        if future is None:
            metrics.REPLIES_UNCLAIMED.inc()
            return
        try:
            message = Envelope.from_record(record.value, record.headers).message
        except Unreadable as error:
            log.error("unreadable answer", offset=record.offset, error=str(error))
            return
        if isinstance(message, Reply) and not future.done():
            future.set_result(message)
