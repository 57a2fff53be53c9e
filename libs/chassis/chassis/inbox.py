"""The inbox: which messages a service has handled, and what it answered."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    DateTime,
    Integer,
    LargeBinary,
    Table,
    Text,
    Update,
    Uuid,
    bindparam,
    delete,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import Connection, Query
from chassis.tables import BusTables
from spotkeeper_contracts import MESSAGES, Message


@dataclass(frozen=True, slots=True)
class Handled:
    """A message that was handled before: the digest of its bytes, and its answer if it had one."""

    fingerprint: bytes
    answer: Message | None


def fingerprint(value: bytes) -> bytes:
    """The digest by which two messages of one id are told apart."""
    return sha256(value).digest()


def keeping_answers(inbox: Table) -> Update:
    """The statement that keeps answers; `told` gives the values that it needs."""
    answered = (
        func.unnest(
            bindparam("ids", type_=ARRAY(Uuid)),
            bindparam("types", type_=ARRAY(Text)),
            bindparam("answers", type_=ARRAY(LargeBinary)),
        )
        .table_valued("id", "answer_type", "answer", name="answered")
        .render_derived()
    )
    return (
        update(inbox)
        .where(inbox.c.id == answered.c.id)
        .values(answer_type=answered.c.answer_type, answer=answered.c.answer)
    )


def told(answers: Mapping[UUID, Message]) -> dict[str, list[Any]]:
    """Answers as the values of `keeping_answers`."""
    return {
        "ids": list(answers),
        "types": [answer.type for answer in answers.values()],
        "answers": [answer.to_bytes() for answer in answers.values()],
    }


class Inbox:
    """The statements of one service's inbox."""

    def __init__(self, tables: BusTables) -> None:
        inbox = tables.inbox
        ids = bindparam("ids", type_=ARRAY(Uuid))
        arrived = (
            func.unnest(ids, bindparam("fingerprints", type_=ARRAY(LargeBinary)))
            .table_valued("id", "fingerprint", name="arrived")
            .render_derived()
        )
        at = bindparam("at", type_=DateTime(timezone=True))
        self._claim = Query(
            insert(inbox)
            .from_select(
                ["id", "fingerprint", "handled_at"],
                select(arrived.c.id, arrived.c.fingerprint, at),
            )
            .on_conflict_do_nothing()
            .returning(inbox.c.id),
            kept_if_refused=True,
        )
        self._handled = Query(select(inbox).where(inbox.c.id == func.any(ids)))
        self._answer = Query(keeping_answers(inbox))
        old = (
            select(inbox.c.id)
            .where(inbox.c.handled_at < bindparam("before", type_=DateTime(timezone=True)))
            .limit(bindparam("limit", type_=Integer))
        )
        self._prune = Query(delete(inbox).where(inbox.c.id.in_(old)))

    async def claim(
        self, db: Connection, fingerprints: Mapping[UUID, bytes], *, at: datetime
    ) -> set[UUID]:
        """Claim ids for this transaction; those claimed before are not in the result."""
        # Sorted, so that two claims that overlap wait for each other instead of locking up.
        ids = sorted(fingerprints)
        rows = await self._claim.rows(
            db, ids=ids, fingerprints=[fingerprints[id] for id in ids], at=at
        )
        return {row["id"] for row in rows}

    async def handled(self, db: Connection, ids: Sequence[UUID]) -> dict[UUID, Handled]:
        """What is remembered of messages that were claimed before."""
        rows = await self._handled.rows(db, ids=list(ids))
        return {row["id"]: Handled(row["fingerprint"], _answer(row)) for row in rows}

    async def answer(self, db: Connection, answers: Mapping[UUID, Message]) -> None:
        """Keep the answers, so that a repeat gets the same."""
        if answers:
            await self._answer.run(db, **told(answers))

    async def prune(self, db: Connection, *, before: datetime, limit: int) -> int:
        """Forget at most `limit` messages handled before a moment, and say how many."""
        return await self._prune.run(db, before=before, limit=limit)


def _answer(row: Mapping[str, Any]) -> Message | None:
    kind = row["answer_type"]
    return None if kind is None else MESSAGES[kind].from_bytes(row["answer"])
