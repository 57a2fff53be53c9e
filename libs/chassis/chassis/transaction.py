"""One transaction: claim the messages, run their handlers, keep answers and emitted messages.

It returns what is to be published once it is committed. Nothing here talks to the broker.
"""

from collections.abc import Awaitable, Callable, Mapping, Sequence
from dataclasses import replace
from datetime import datetime
from typing import Any
from uuid import UUID

import asyncpg

from chassis import clock, faults, metrics
from chassis.delivery import Delivery
from chassis.envelope import Envelope, Record
from chassis.inbox import Handled, Inbox
from chassis.log import get_logger
from chassis.outages import is_outage
from chassis.outbox import Outbox
from chassis.outcome import Measure, Outcome
from chassis.query import Connection
from chassis.settings import ServiceSettings
from spotkeeper_contracts import Message, Refusal, Refused, Reply, Request
from spotkeeper_contracts.ids import derived_id
from spotkeeper_contracts.topics import BROUGHT_ALONG, GATEWAY_REPLIES

log = get_logger()

Handler = Callable[[Any, Any], Awaitable[Reply | Request | None]]
Sweep = Callable[[Sequence[int], Any], Awaitable[bool]]
"""Work that is due by the clock: given partitions and a `Tx`; returns whether more is due."""

IDEMPOTENCY_MISMATCH = Refusal(
    code="IDEMPOTENCY_MISMATCH",
    error="The Idempotency-Key was used with another body",
    status=409,
)


class RefusedAfterWriting(Exception):
    """A handler refused when it had written already; its message must run alone."""

    def __init__(self, refusal: Refusal) -> None:
        super().__init__(f"{refusal.code}: {refusal.error}")
        self.refusal = refusal


class Tx:
    """All that a handler may touch."""

    def __init__(
        self, db: Connection, envelope: Envelope, *, service: str, settings: ServiceSettings
    ) -> None:
        self.db = db
        self.now: datetime = clock.now()
        self.told_at: datetime = envelope.time
        """When the message was sent, which may lie far back after an outage."""
        self.actor = envelope.actor
        self.client_id = envelope.client_id
        self.request_id: UUID = envelope.request_id or envelope.id
        self.settings: Any = settings
        self.emitted: list[Message] = []
        self.counted: list[tuple[Measure, float]] = []
        self._service = service

    def emit(self, message: Message) -> None:
        """Publish a message after the commit, in the order of the calls."""
        assert self._service in message.topic.written_by, (
            f"{self._service} may not write {message.topic.name}"
        )
        self.emitted.append(message)

    def count(self, measure: Measure, figure: float = 1.0) -> None:
        """Give a metric a figure after the commit: what is rolled back, or tried again, was not."""
        self.counted.append((measure, figure))

    def act_alone(self) -> None:
        """Whoever sent the message asked for nothing of what is done and emitted from here on."""
        self.actor = f"system:{self._service}"

    def new_id(self) -> UUID:
        """A fresh UUIDv7."""
        return clock.new_id()

    async def apart(self, work: Awaitable[None]) -> bool:
        """Whether the work was done; a bug in it is logged, and undoes it alone.

        For a sweep: of the many that the clock concerns, one must not hold up the others.
        """
        emitted, counted = len(self.emitted), len(self.counted)
        try:
            async with self.db.raw.transaction():
                await work
        except Exception as error:  # Told apart here; an outage concerns all of the sweep.
            if is_outage(error):
                raise
            del self.emitted[emitted:], self.counted[counted:]
            log.error("sweep raised", exc_info=error)
            metrics.SWEEPS_FAILED.inc()
            return False
        return True


class Work:
    """Runs deliveries of one service inside a transaction."""

    def __init__(
        self,
        service: str,
        handlers: Mapping[type[Message], Handler],
        settings: ServiceSettings,
        *,
        inbox: Inbox | None,
        outbox: Outbox | None,
        sweep: Sweep | None = None,
    ) -> None:
        self.sweep = sweep
        self._service = service
        self._handlers = handlers
        self._settings = settings
        self._inbox = inbox
        self._outbox = outbox

    async def run(
        self, raw: "asyncpg.Connection[asyncpg.Record]", batch: Sequence[Delivery]
    ) -> Outcome:
        """Handle the batch in one transaction. Whatever raises here rolls all of it back."""
        db = Connection(raw)
        async with raw.transaction():
            fresh, handled = await self._claim(db, batch)
            faults.after("claimed")
            answers: dict[UUID, Message] = {}
            outcome = Outcome()
            emitted: list[tuple[int, Record]] = []
            for delivery in batch:
                id = delivery.envelope.id
                if not delivery.remembered:
                    answer = await self._look(db, delivery, outcome)
                elif id in fresh:
                    fresh.discard(id)
                    answer, records = await self._handle(db, delivery, outcome)
                    emitted += [(delivery.partition, record) for record in records]
                    outcome.answers += _states_for_asker(delivery.envelope, records)
                    handled[id] = Handled(delivery.fingerprint, answer)
                    if answer is not None:
                        answers[id] = answer
                else:
                    answer = self._repeat(delivery, handled[id], outcome)
                    outcome.has_repeats = True
                if answer is not None:
                    outcome.answers += self._answer_record(delivery, answer)
            faults.after("handled")
            outcome.seqs = await self._keep(db, answers, emitted)
            outcome.emitted = [record for _, record in emitted]
        outcome.count()
        faults.after("committed")
        return outcome

    async def _keep(
        self, db: Connection, answers: Mapping[UUID, Message], emitted: list[tuple[int, Record]]
    ) -> list[int]:
        """Keep answers and emitted records with what the handlers wrote, in one statement."""
        if emitted:
            assert self._outbox is not None, f"{self._service} has no outbox, so it may not emit"
            return await self._outbox.add(db, emitted, answers)
        if self._inbox is not None:
            await self._inbox.answer(db, answers)
        return []

    async def run_sweep(
        self, raw: "asyncpg.Connection[asyncpg.Record]", partitions: Sequence[int]
    ) -> tuple[Outcome, bool]:
        """Do what is due in these partitions, in one transaction; tells too if more is due.

        What is left over of it is published by the next owner of the partition it goes to, which
        is one of these unless a state has a key of its own.
        """
        assert self.sweep is not None
        assert self._outbox is not None
        db, cause = Connection(raw), Envelope.of(Message(), source=self._service)
        async with raw.transaction():
            tx = Tx(db, cause, service=self._service, settings=self._settings)
            more = await self.sweep(partitions, tx)
            records = [self._record(cause, message) for message in tx.emitted]
            kept = [(record.partition, record) for record in records]
            outcome = Outcome(emitted=records, counted=tx.counted)
            if kept:
                outcome.seqs = await self._outbox.add(db, kept)
        outcome.count()
        faults.after("committed")
        return outcome, more

    async def refuse(
        self,
        raw: "asyncpg.Connection[asyncpg.Record]",
        delivery: Delivery,
        refusal: Refusal,
    ) -> Outcome:
        """Keep and answer a refusal whose transaction was rolled back."""
        db, outcome = Connection(raw), Outcome()
        async with raw.transaction():
            fresh, handled = await self._claim(db, [delivery])
            answer: Message | None = refusal
            if delivery.envelope.id in fresh and self._inbox is not None:
                await self._inbox.answer(db, {delivery.envelope.id: refusal})
            elif delivery.envelope.id in handled:
                answer = self._repeat(delivery, handled[delivery.envelope.id], outcome)
        outcome.count()
        outcome.answers += self._answer_record(delivery, answer) if answer else []
        return outcome

    async def _claim(
        self, db: Connection, batch: Sequence[Delivery]
    ) -> tuple[set[UUID], dict[UUID, Handled]]:
        """The ids that are handled here for the first time, and what is known of the others."""
        arrived: dict[UUID, bytes] = {}
        for delivery in batch:
            if delivery.remembered:
                arrived.setdefault(delivery.envelope.id, delivery.fingerprint)
        if not arrived:
            return set(), {}
        assert self._inbox is not None, f"{self._service} has no inbox, so it may only be asked"
        fresh = await self._inbox.claim(db, arrived, at=clock.now())
        repeats = arrived.keys() - fresh
        return fresh, await self._inbox.handled(db, list(repeats)) if repeats else {}

    async def _look(self, db: Connection, delivery: Delivery, outcome: Outcome) -> Message | None:
        """The answer to a question that changes nothing, unless nobody waits for it any more.

        So one that the database cannot answer in time holds its lane for a minute, not for ever.
        """
        if not delivery.is_awaited:
            outcome.ended(delivery.envelope.message.type, "late")
            return None
        answer, _ = await self._handle(db, delivery, outcome)
        return answer

    async def _handle(
        self, db: Connection, delivery: Delivery, outcome: Outcome
    ) -> tuple[Message | None, list[Record]]:
        envelope = delivery.envelope
        kind = envelope.message.type
        if envelope.refusal is not None:
            outcome.ended(kind, "refused")
            return envelope.refusal, []
        tx = Tx(db, envelope, service=self._service, settings=self._settings)
        metrics.MESSAGE_AGE_SECONDS.observe(max(0.0, (tx.now - envelope.time).total_seconds()))
        writes = db.writes
        if isinstance(envelope.message, Request) and envelope.message.takes_seconds:
            await db.may_idle(envelope.message.takes_seconds)
        try:
            answer = await self._handlers[type(envelope.message)](envelope.message, tx)
        except Refused as refused:
            if db.writes != writes or tx.emitted:
                raise RefusedAfterWriting(refused.refusal) from refused
            outcome.ended(kind, "refused")
            return refused.refusal, []
        outcome.counted += tx.counted
        outcome.ended(kind, "done")
        cause = replace(envelope, actor=tx.actor)
        return answer, [self._record(cause, message) for message in tx.emitted]

    def _repeat(self, delivery: Delivery, handled: Handled, outcome: Outcome) -> Message | None:
        outcome.ended(delivery.envelope.message.type, "repeat")
        if handled.fingerprint != delivery.fingerprint:
            return IDEMPOTENCY_MISMATCH
        return handled.answer

    def _record(self, cause: Envelope, message: Message) -> Record:
        envelope = cause.caused(message, id=clock.new_id(), source=self._service, time=clock.now())
        return envelope.without_reply().to_record()

    def _answer_record(self, delivery: Delivery, answer: Message) -> list[Record]:
        """The record of an answer: to the waiting gateway, or to the owner it is handed on to."""
        cause = delivery.envelope
        envelope = cause.caused(
            answer,
            id=derived_id(cause.id, answer.type),
            source=self._service,
            time=clock.now(),
        )
        if isinstance(answer, Request):
            assert self._service in answer.topic.written_by, f"{answer.topic.name} is not ours"
            return [envelope.to_record()]
        return [] if cause.reply_to is None else [envelope.to_record(partition=cause.reply_to)]


def _states_for_asker(cause: Envelope, records: Sequence[Record]) -> list[Record]:
    """The states of what was asked about, once more for the gateway that waits for the answer."""
    if cause.reply_to is None:
        return []
    key = cause.message.key.encode()
    return [
        replace(record, topic=GATEWAY_REPLIES.name, partition=cause.reply_to)
        for record in records
        if record.topic in BROUGHT_ALONG and record.key == key
    ]
