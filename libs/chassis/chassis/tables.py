"""The two tables of the bus that stand in each service's own schema: inbox and outbox."""

from dataclasses import dataclass

from sqlalchemy import (
    BigInteger,
    Column,
    DateTime,
    Identity,
    Index,
    Integer,
    LargeBinary,
    MetaData,
    Table,
    Text,
    Uuid,
)
from sqlalchemy.dialects.postgresql import JSONB


@dataclass(frozen=True)
class BusTables:
    """`inbox` remembers what was handled and answered, `outbox` what is committed but not sent."""

    inbox: Table
    outbox: Table


def bus_tables(metadata: MetaData) -> BusTables:
    """Declare inbox and outbox in a service's metadata, or find them there."""
    if "inbox" in metadata.tables:
        return BusTables(metadata.tables["inbox"], metadata.tables["outbox"])
    inbox = Table(
        "inbox",
        metadata,
        Column("id", Uuid, primary_key=True),
        Column("fingerprint", LargeBinary, nullable=False),
        Column("answer_type", Text),
        Column("answer", LargeBinary),
        Column("handled_at", DateTime(timezone=True), nullable=False),
        Index("inbox_handled_at", "handled_at"),
    )
    outbox = Table(
        "outbox",
        metadata,
        Column("seq", BigInteger, Identity(always=True), primary_key=True),
        Column("source_partition", Integer, nullable=False),
        Column("topic", Text, nullable=False),
        Column("partition", Integer, nullable=False),
        Column("key", LargeBinary, nullable=False),
        Column("value", LargeBinary, nullable=False),
        Column("headers", JSONB, nullable=False),
        Index("outbox_source_partition", "source_partition", "seq"),
    )
    return BusTables(inbox, outbox)
