"""The tables of the heartbeat service: what the fold of the log has come to."""

from sqlalchemy import (
    BigInteger,
    Boolean,
    Column,
    DateTime,
    Float,
    Index,
    MetaData,
    SmallInteger,
    Table,
    Text,
    Uuid,
)

metadata = MetaData()

presence = Table(
    "presence",
    metadata,
    Column("agent_id", Uuid, primary_key=True),
    Column("client_id", Uuid, nullable=False),
    Column("partition", SmallInteger, nullable=False),
    Column("online", Boolean, nullable=False),
    Column("status", Text, nullable=False),
    Column("current_mode", Text),
    Column("current_pool_id", Text),
    Column("agent_version", Text),
    # As they were told last in an event.
    Column("spot_price", Float),
    Column("ondemand_price", Float),
    Column("last_heartbeat_at", DateTime(timezone=True), nullable=False),
    Column("heard_ms", BigInteger, nullable=False),
    Index("presence_partition", "partition"),
    # Each beat updates a row but no index, so room in the page lets it stay where it is.
    postgresql_with={"fillfactor": 70},
)

presence_partitions = Table(
    "presence_partitions",
    metadata,
    Column("partition", SmallInteger, primary_key=True, autoincrement=False),
    Column("epoch", BigInteger, nullable=False),
    Column("folded_offset", BigInteger, nullable=False),
    Column("last_record_at", DateTime(timezone=True)),
    Column("deaf_ms", BigInteger, nullable=False),
    postgresql_with={"fillfactor": 50},
)
