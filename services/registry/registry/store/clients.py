"""Clients and their tokens, of which only hashes are known."""

from collections.abc import Sequence
from datetime import datetime
from uuid import UUID

from sqlalchemy import Text, Uuid, bindparam, func, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.pages import Position
from chassis.query import AT, LIMIT, Connection, Query, behind, given_all
from registry.store.states import Row
from registry.tables import client_tokens, clients
from spotkeeper_contracts.clients import ClientState, TokenState

_client = bindparam("client_id", type_=Uuid)

_INSERT = Query(
    insert(clients)
    .values(
        id=_client,
        name=bindparam("name", type_=Text),
        email=bindparam("email", type_=Text),
        revision=1,
        created_at=AT,
    )
    .on_conflict_do_nothing()
    .returning(clients.c.id)
)
_LOCK = Query(
    select(clients).where(clients.c.id == _client, clients.c.deleted_at.is_(None)).with_for_update()
)
_KEEP = Query(
    select(clients.c.deleted_at)
    .where(clients.c.id == _client)
    .with_for_update(read=True, key_share=True)
)
_FIND = Query(select(clients).where(clients.c.id == _client))
_TOUCH = Query(
    update(clients)
    .where(clients.c.id == _client)
    .values(revision=clients.c.revision + 1)
    .returning(clients)
)
_DELETE = Query(
    update(clients)
    .where(clients.c.id == _client)
    .values(revision=clients.c.revision + 1, deleted_at=AT)
    .returning(clients)
)
_LIST = Query(
    select(clients)
    .where(
        clients.c.deleted_at.is_(None),
        behind(clients.c.created_at, clients.c.id),
    )
    .order_by(clients.c.created_at.desc(), clients.c.id.desc())
    .limit(LIMIT)
)
_ADD_TOKEN = Query(insert(client_tokens).values(given_all(client_tokens)))
_TOKENS = Query(
    select(client_tokens)
    .where(client_tokens.c.client_id == _client)
    .order_by(client_tokens.c.created_at, client_tokens.c.id)
)
_has_ended = client_tokens.c.revoked_at.is_not(None) | (
    func.coalesce(client_tokens.c.expires_at, AT) < AT
)
_ended_last = func.coalesce(client_tokens.c.revoked_at, client_tokens.c.expires_at).desc()
_COUNT_USABLE = Query(
    select(func.count().label("usable"))
    .select_from(client_tokens)
    .where(client_tokens.c.client_id == _client, ~_has_ended)
)
_FORGET_ENDED = Query(
    client_tokens.delete().where(
        client_tokens.c.id.in_(
            select(client_tokens.c.id)
            .where(client_tokens.c.client_id == _client, _has_ended)
            .order_by(_ended_last, client_tokens.c.id)
            .offset(LIMIT)
        )
    )
)
_REVOKE = Query(
    update(client_tokens)
    .where(
        client_tokens.c.client_id == _client,
        client_tokens.c.id == bindparam("token_id", type_=Uuid),
    )
    .values(revoked_at=AT)
)
_REVOKE_ALL = Query(
    update(client_tokens)
    .where(client_tokens.c.client_id == _client, client_tokens.c.revoked_at.is_(None))
    .values(revoked_at=AT)
)


async def insert_client(
    db: Connection, client_id: UUID, *, name: str, email: str, at: datetime
) -> bool:
    """Insert a client; False if it exists."""
    return await _INSERT.row(db, client_id=client_id, name=name, email=email, at=at) is not None


async def client_for_update(db: Connection, client_id: UUID) -> Row | None:
    """The client, locked; None if it is unknown or deleted."""
    return await _LOCK.row(db, client_id=client_id)


async def is_deleted(db: Connection, client_id: UUID) -> bool:
    """Whether the client is deleted; if not, nobody deletes it until the transaction ends."""
    return await _KEEP.value(db, client_id=client_id) is not None


async def state(db: Connection, client_id: UUID) -> ClientState:
    """The state of a client that exists."""
    row = await _FIND.row(db, client_id=client_id)
    assert row is not None
    return await _state_of(db, row)


async def touch(db: Connection, client_id: UUID) -> ClientState:
    """Raise the client's revision, and return its state."""
    row = await _TOUCH.row(db, client_id=client_id)
    assert row is not None
    return await _state_of(db, row)


async def delete(db: Connection, client_id: UUID, *, at: datetime) -> ClientState:
    """Mark the client as deleted with all its tokens, and return its state."""
    await _REVOKE_ALL.run(db, client_id=client_id, at=at)
    row = await _DELETE.row(db, client_id=client_id, at=at)
    assert row is not None
    return await _state_of(db, row)


async def page(db: Connection, *, before: Position | None, limit: int) -> Sequence[Row]:
    """Clients, newest first."""
    return await _LIST.rows(
        db, before=before and before.at, before_id=before and before.id, limit=limit
    )


async def add_token(db: Connection, client_id: UUID, token: TokenState) -> None:
    """Keep a token's hash."""
    await _ADD_TOKEN.run(
        db,
        new_id=token.id,
        new_client_id=client_id,
        new_hash=token.hash,
        new_roles=[role.value for role in token.roles],
        new_label=token.label,
        new_created_at=token.created_at,
        new_expires_at=token.expires_at,
        new_revoked_at=token.revoked_at,
    )


async def tokens(db: Connection, client_id: UUID) -> list[TokenState]:
    """All tokens of a client, oldest first."""
    rows = await _TOKENS.rows(db, client_id=client_id)
    return [TokenState(**{name: row[name] for name in TokenState.model_fields}) for row in rows]


async def count_usable_tokens(db: Connection, client_id: UUID, *, at: datetime) -> int:
    """How many of a client's tokens are neither revoked nor expired."""
    row = await _COUNT_USABLE.row(db, client_id=client_id, at=at)
    assert row is not None
    count: int = row["usable"]
    return count


async def forget_ended_tokens(db: Connection, client_id: UUID, *, at: datetime, keep: int) -> None:
    """Forget a client's revoked and expired tokens, but for those that ended last."""
    await _FORGET_ENDED.run(db, client_id=client_id, at=at, limit=keep)


async def revoke_token(db: Connection, client_id: UUID, token_id: UUID, *, at: datetime) -> None:
    """Make a token stop working."""
    await _REVOKE.run(db, client_id=client_id, token_id=token_id, at=at)


async def _state_of(db: Connection, row: Row) -> ClientState:
    return ClientState(
        client_id=row["id"],
        revision=row["revision"],
        name=row["name"],
        email=row["email"],
        deleted=row["deleted_at"] is not None,
        tokens=await tokens(db, row["id"]),
    )
