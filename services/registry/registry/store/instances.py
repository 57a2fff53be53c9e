"""An agent's instances: which is the primary, which are left behind, which are gone."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import (
    Interval,
    Text,
    Uuid,
    and_,
    bindparam,
    exists,
    or_,
    select,
    tuple_,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, Connection, Query, given, named
from registry.store.states import COLUMNS, OF_THE_AGENT, Row, the
from registry.tables import agents, clients, instances
from spotkeeper_contracts.instances import Instance, ZombieReason
from spotkeeper_contracts.values import InstanceStatus

_id = bindparam("agent_id", type_=Uuid)
_instance = bindparam("instance_id", type_=Text)

_SAID = ("instance_type", "region", "az", "mode", "pool_id", "status", "zombie_reason")
_PLACE = (
    *("epoch", "instance_id", "instance_type", "region", "az"),
    *("current_mode", "current_pool_id", "placed_at"),
)
_seen = insert(instances).values(
    agent_id=_id,
    instance_id=_instance,
    client_id=bindparam("client_id", type_=Uuid),
    first_seen_at=AT,
    status_at=AT,
    **given(instances, *_SAID),
)
_SAVE = Query(
    _seen.on_conflict_do_update(
        index_elements=["agent_id", "instance_id"],
        set_={name: _seen.excluded[name] for name in (*_SAID, "status_at")},
    )
)
_DEMOTE = Query(
    update(instances)
    .where(
        instances.c.agent_id == _id,
        instances.c.status == InstanceStatus.PRIMARY.value,
        instances.c.instance_id != _instance,
    )
    .values(
        status_at=AT,
        **given(instances, "status", "zombie_reason"),
    )
)
_FIND = Query(
    select(instances).where(instances.c.agent_id == _id, instances.c.instance_id == _instance)
)
_TERMINATE = Query(
    update(instances)
    .where(instances.c.agent_id == _id, instances.c.instance_id == _instance)
    .values(status=InstanceStatus.TERMINATED.value, status_at=AT)
)
_ATTEMPT = Query(
    update(instances)
    .where(instances.c.agent_id == _id, instances.c.instance_id == _instance)
    .values(attempted_at=AT)
)
_MOVE = Query(
    update(agents)
    .where(agents.c.id == _id, OF_THE_AGENT)
    .values(
        revision=agents.c.revision + 1,
        **given(agents, *_PLACE),
    )
    .returning(*COLUMNS)
)
_LEAVE = Query(
    update(agents)
    .where(agents.c.id == _id, OF_THE_AGENT)
    .values(revision=agents.c.revision + 1, instance_id=None)
    .returning(*COLUMNS)
)

_other, _owner = instances.alias("other"), agents.alias("owner")
_owner_lives = and_(
    _owner.c.deleted_at.is_(None),
    ~exists(select(1).where(clients.c.id == _owner.c.client_id, clients.c.deleted_at.is_not(None))),
)
# A replica that was only named is not this agent's, if another agent knew the instance before.
_was_only_named = and_(
    instances.c.zombie_reason == ZombieReason.REPLICA_RETIRED.value,
    _other.c.status != InstanceStatus.TERMINATED.value,
    tuple_(_other.c.first_seen_at, _other.c.agent_id)
    < tuple_(instances.c.first_seen_at, instances.c.agent_id),
)
_IS_ANOTHERS = exists(
    select(1)
    .select_from(_other)
    .join(_owner, _owner.c.id == _other.c.agent_id)
    .where(
        _other.c.instance_id == instances.c.instance_id,
        _other.c.agent_id != instances.c.agent_id,
        _owner_lives,
        or_(
            _other.c.status == InstanceStatus.PRIMARY.value,
            _other.c.status == InstanceStatus.STANDBY.value,
            _was_only_named,
        ),
    )
)
_LEFT_BEHIND = Query(
    select(instances)
    .join(agents, agents.c.id == instances.c.agent_id)
    .where(
        instances.c.agent_id == _id,
        instances.c.client_id == bindparam("client_id", type_=Uuid),
        instances.c.status == InstanceStatus.ZOMBIE.value,
        instances.c.instance_id.is_distinct_from(agents.c.instance_id),
        instances.c.status_at + bindparam("wait", type_=Interval) < AT,
        or_(
            instances.c.attempted_at.is_(None),
            instances.c.attempted_at <= AT - bindparam("pause", type_=Interval),
        ),
        ~_IS_ANOTHERS,
    )
    .order_by(instances.c.status_at, instances.c.instance_id)
)


async def instance(db: Connection, agent_id: UUID, instance_id: str) -> Row | None:
    """One of the agent's instances, whatever became of it."""
    return await _FIND.row(db, agent_id=agent_id, instance_id=instance_id)


async def save(
    db: Connection,
    agent: Row,
    instance: Instance,
    status: InstanceStatus,
    *,
    at: datetime,
    zombie_reason: ZombieReason | None = None,
) -> None:
    """Keep an instance as it is told of, in the given status."""
    told: dict[str, Any] = instance.model_dump(
        mode="json", include={"instance_type", "region", "az", "mode", "pool_id"}
    )
    await _SAVE.run(
        db,
        agent_id=agent["id"],
        client_id=agent["client_id"],
        instance_id=instance.instance_id,
        at=at,
        new_status=status.value,
        new_zombie_reason=zombie_reason and zombie_reason.value,
        **named(told),
    )


async def demote_primary(
    db: Connection,
    agent_id: UUID,
    status: InstanceStatus,
    *,
    for_instance_id: str,
    at: datetime,
) -> None:
    """Give the agent's primary another status, unless it is the instance that follows it."""
    reason = ZombieReason.ZOMBIE_INSTANCE.value if status is InstanceStatus.ZOMBIE else None
    await _DEMOTE.run(
        db,
        agent_id=agent_id,
        instance_id=for_instance_id,
        new_status=status.value,
        new_zombie_reason=reason,
        at=at,
    )


async def move_agent(
    db: Connection, agent: Row, to: Instance, *, pool_id: str | None, at: datetime
) -> Row:
    """Let the agent live on an instance from now on, with the next epoch; return the agent."""
    return the(
        await _MOVE.row(
            db,
            agent_id=agent["id"],
            new_epoch=agent["epoch"] + 1,
            new_instance_id=to.instance_id,
            new_instance_type=to.instance_type,
            new_region=to.region,
            new_az=to.az,
            new_current_mode=to.mode.value,
            new_current_pool_id=pool_id,
            new_placed_at=at,
        )
    )


async def leave(db: Connection, agent_id: UUID) -> Row:
    """Let the agent live on no instance, and return it."""
    return the(await _LEAVE.row(db, agent_id=agent_id))


async def terminate(db: Connection, agent_id: UUID, instance_id: str, *, at: datetime) -> None:
    """Mark an instance as gone for good."""
    await _TERMINATE.run(db, agent_id=agent_id, instance_id=instance_id, at=at)


async def keep_attempt(db: Connection, agent_id: UUID, instance_id: str, *, at: datetime) -> None:
    """Remember that an instance could not be terminated."""
    await _ATTEMPT.run(db, agent_id=agent_id, instance_id=instance_id, at=at)


async def left_behind(
    db: Connection,
    agent_id: UUID,
    client_id: UUID,
    *,
    wait: timedelta,
    pause: timedelta,
    at: datetime,
) -> Sequence[Row]:
    """The agent's zombies whose `wait` is over and whose last attempt lies a `pause` back.

    What another agent lives on or may come to live on is never among them, nor a replica whose
    instance another knew before: naming it does not make it this agent's. A deleted agent, or one
    of a deleted client, holds nothing back.
    """
    return await _LEFT_BEHIND.rows(
        db, agent_id=agent_id, client_id=client_id, wait=wait, pause=pause, at=at
    )
