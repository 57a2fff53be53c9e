"""The outbox: messages that are committed with their cause and wait to be published."""

from collections.abc import Mapping, Sequence
from typing import Any
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Integer,
    LargeBinary,
    Text,
    bindparam,
    delete,
    func,
    select,
)
from sqlalchemy.dialects.postgresql import JSONB, insert

from chassis.envelope import Record
from chassis.inbox import keeping_answers, told
from chassis.query import Connection, Query
from chassis.tables import BusTables
from spotkeeper_contracts import Message

_COLUMNS = ("source_partition", "topic", "partition", "key", "value", "headers")


class Outbox:
    """The statements of one service's outbox."""

    def __init__(self, tables: BusTables) -> None:
        outbox = tables.outbox
        emitted = (
            func.unnest(
                bindparam("source_partitions", type_=ARRAY(Integer)),
                bindparam("topics", type_=ARRAY(Text)),
                bindparam("partitions", type_=ARRAY(Integer)),
                bindparam("keys", type_=ARRAY(LargeBinary)),
                bindparam("values", type_=ARRAY(LargeBinary)),
                bindparam("headers", type_=ARRAY(JSONB)),
            )
            .table_valued(*_COLUMNS, name="emitted")
            .render_derived()
        )
        adding = insert(outbox).from_select(list(_COLUMNS), select(emitted))
        self._add = Query(adding.returning(outbox.c.seq))
        answered = keeping_answers(tables.inbox).cte("kept")
        self._add_and_answer = Query(adding.add_cte(answered).returning(outbox.c.seq))
        self._left_over = Query(
            select(outbox)
            .where(
                outbox.c.source_partition
                == func.any(bindparam("source_partitions", type_=ARRAY(Integer))),
                outbox.c.seq != func.all(bindparam("but", type_=ARRAY(BigInteger))),
            )
            .order_by(outbox.c.seq)
            .limit(bindparam("limit", type_=Integer))
        )
        self._delete = Query(
            delete(outbox).where(
                outbox.c.seq == func.any(bindparam("seqs", type_=ARRAY(BigInteger)))
            )
        )

    async def add(
        self,
        db: Connection,
        records: Sequence[tuple[int, Record]],
        answers: Mapping[UUID, Message] | None = None,
    ) -> list[int]:
        """Keep records, each with the partition whose message caused it; returns their numbers.

        With `answers` the inbox keeps those in the same statement.
        """
        query = self._add_and_answer if answers else self._add
        rows = await query.rows(
            db,
            **told(answers) if answers else {},
            source_partitions=[partition for partition, _ in records],
            topics=[record.topic for _, record in records],
            partitions=[record.partition for _, record in records],
            keys=[record.key for _, record in records],
            values=[record.value for _, record in records],
            headers=[_to_texts(record.headers) for _, record in records],
        )
        return [row["seq"] for row in rows]

    async def left_over(
        self,
        db: Connection,
        source_partitions: Sequence[int],
        *,
        but: Sequence[int] = (),
        limit: int,
    ) -> list[tuple[int, Record]]:
        """The oldest records of these partitions that an earlier owner did not delete.

        `but` are the numbers of those that are not an earlier owner's.
        """
        rows = await self._left_over.rows(
            db, source_partitions=list(source_partitions), but=list(but), limit=limit
        )
        return [(row["seq"], _to_record(row)) for row in rows]

    async def delete(self, db: Connection, seqs: Sequence[int]) -> None:
        """Forget records that the broker has acknowledged."""
        if seqs:
            await self._delete.run(db, seqs=list(seqs))


def _to_texts(headers: Sequence[tuple[str, bytes]]) -> dict[str, str]:
    return {name: value.decode() for name, value in headers}


def _to_record(row: Any) -> Record:
    headers = [(name, text.encode()) for name, text in row["headers"].items()]
    return Record(row["topic"], row["key"], row["value"], headers, row["partition"])
