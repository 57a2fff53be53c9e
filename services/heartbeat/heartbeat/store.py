"""The questions that the heartbeat service asks its database."""

from collections.abc import Sequence
from typing import Any, NamedTuple
from uuid import UUID

from sqlalchemy import (
    ARRAY,
    BigInteger,
    Boolean,
    DateTime,
    Float,
    SmallInteger,
    Text,
    Uuid,
    and_,
    bindparam,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import Connection, Query
from heartbeat.rules import Partition, Seen, milliseconds, moment, restored
from heartbeat.tables import presence, presence_partitions
from spotkeeper_contracts.presence import Presence


class Position(NamedTuple):
    """How far a partition is folded, and the claim under which this is told."""

    partition: int
    epoch: int
    offset: int
    at_ms: int
    deaf_ms: int


class Row(NamedTuple):
    """What is known of one agent."""

    agent_id: str
    partition: int
    online: bool
    seen: Seen


def _columns(name: str, **types: Any) -> Any:
    """Arrays given as `bindparam`s of these names, as rows."""
    arrays = [bindparam(column, type_=ARRAY(kind)) for column, kind in types.items()]
    return func.unnest(*arrays).table_valued(*types, name=name).render_derived()


_ROW_TYPES = {
    "agent_id": Uuid,
    "client_id": Uuid,
    "partition": SmallInteger,
    "online": Boolean,
    "status": Text,
    "current_mode": Text,
    "current_pool_id": Text,
    "agent_version": Text,
    "spot_price": Float,
    "ondemand_price": Float,
    "last_heartbeat_at": DateTime(timezone=True),
    "heard_ms": BigInteger,
}
_changed = _columns("changed", **_ROW_TYPES)
_upsert = insert(presence).from_select(list(_ROW_TYPES), select(_changed))
_SAVE_ROWS = Query(
    _upsert.on_conflict_do_update(
        index_elements=["agent_id"],
        set_={name: _upsert.excluded[name] for name in _ROW_TYPES if name != "agent_id"},
    )
)

_folded = _columns(
    "folded",
    partition=SmallInteger,
    epoch=BigInteger,
    folded_offset=BigInteger,
    last_record_at=DateTime(timezone=True),
    deaf_ms=BigInteger,
)
_SAVE_POSITIONS = Query(
    update(presence_partitions)
    .where(
        presence_partitions.c.partition == _folded.c.partition,
        presence_partitions.c.epoch == _folded.c.epoch,
    )
    .values(
        folded_offset=_folded.c.folded_offset,
        last_record_at=_folded.c.last_record_at,
        deaf_ms=_folded.c.deaf_ms,
    )
)

_claim = insert(presence_partitions).values(
    partition=bindparam("claimed", type_=SmallInteger), epoch=1, folded_offset=-1, deaf_ms=0
)
_CLAIM = Query(
    _claim.on_conflict_do_update(
        index_elements=["partition"], set_={"epoch": presence_partitions.c.epoch + 1}
    ).returning(presence_partitions)
)

_owned = _columns("owned", partition=SmallInteger, epoch=BigInteger)
_STILL_OWNED = Query(
    select(func.count())
    .select_from(presence_partitions)
    .join(
        _owned,
        and_(
            presence_partitions.c.partition == _owned.c.partition,
            presence_partitions.c.epoch == _owned.c.epoch,
        ),
    )
)

_AGENTS_OF_PARTITION = Query(
    select(presence).where(presence.c.partition == bindparam("wanted", type_=SmallInteger))
)
_PRESENCE_OF_AGENTS = Query(
    select(
        presence.c.agent_id,
        presence.c.online,
        presence.c.status,
        presence.c.last_heartbeat_at,
    ).where(
        presence.c.client_id == bindparam("client", type_=Uuid),
        presence.c.agent_id == func.any(bindparam("agents", type_=ARRAY(Uuid))),
    )
)


async def claim_partition(db: Connection, partition: int) -> tuple[int, Partition]:
    """Take a partition over from whoever had it: the new epoch, and the state as it was kept."""
    kept = await _CLAIM.row(db, claimed=partition)
    assert kept is not None
    rows = await _AGENTS_OF_PARTITION.rows(db, wanted=partition)
    last = kept["last_record_at"]
    state = restored(
        kept["folded_offset"],
        None if last is None else milliseconds(last),
        kept["deaf_ms"],
        ((str(row["agent_id"]), row["online"], _seen(row)) for row in rows),
    )
    return kept["epoch"], state


async def still_owned(db: Connection, positions: Sequence[Position]) -> bool:
    """Whether nobody else has claimed any of the partitions since."""
    owned: int = await _STILL_OWNED.value(
        db,
        partition=[position.partition for position in positions],
        epoch=[position.epoch for position in positions],
    )
    return owned == len(positions)


async def save_positions(db: Connection, positions: Sequence[Position]) -> bool:
    """Write how far partitions are folded; False if another owner has claimed one of them."""
    written = await _SAVE_POSITIONS.run(
        db,
        partition=[position.partition for position in positions],
        epoch=[position.epoch for position in positions],
        folded_offset=[position.offset for position in positions],
        last_record_at=[moment(position.at_ms) for position in positions],
        deaf_ms=[position.deaf_ms for position in positions],
    )
    return written == len(positions)


async def save_rows(db: Connection, rows: Sequence[Row]) -> None:
    """Write what is known of agents."""
    await _SAVE_ROWS.run(
        db,
        agent_id=[row.agent_id for row in rows],
        client_id=[row.seen.client_id for row in rows],
        partition=[row.partition for row in rows],
        online=[row.online for row in rows],
        status=[row.seen.status for row in rows],
        current_mode=[row.seen.current_mode for row in rows],
        current_pool_id=[row.seen.current_pool_id for row in rows],
        agent_version=[row.seen.agent_version for row in rows],
        spot_price=[row.seen.spot_price for row in rows],
        ondemand_price=[row.seen.ondemand_price for row in rows],
        last_heartbeat_at=[moment(row.seen.last_seen_ms) for row in rows],
        heard_ms=[row.seen.heard_ms for row in rows],
    )


async def presence_of_agents(
    db: Connection, client_id: UUID, agent_ids: Sequence[UUID]
) -> list[Presence]:
    """When these agents of a client were last heard of; those never heard of are left out."""
    rows = await _PRESENCE_OF_AGENTS.rows(db, client=client_id, agents=list(agent_ids))
    return [Presence(**row) for row in rows]


def _seen(row: Any) -> Seen:
    return Seen(
        str(row["client_id"]),
        row["status"],
        row["current_mode"],
        row["current_pool_id"],
        row["agent_version"],
        row["spot_price"],
        row["ondemand_price"],
        milliseconds(row["last_heartbeat_at"]),
        row["heard_ms"],
    )
