"""Clients and their tokens; the hash of a token is all that is ever known here."""

from uuid import UUID

from chassis.pages import Pages
from chassis.transaction import Tx
from registry.store import agents
from registry.store import clients as store
from registry.store.states import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import DeleteAgent
from spotkeeper_contracts.clients import (
    ClientAnswer,
    ClientDetail,
    ClientPage,
    CreateClient,
    CreateToken,
    DeleteClient,
    ListClients,
    RevokeToken,
    TokenAnswer,
    TokenState,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.values import Role

PAGES = Pages("clients", at="created_at")
MOST_TOKENS = 200
"""As many usable tokens a client may have, and as many that ended are known by what ended them: all
of them are in its state, which is one message."""


async def create_client(request: CreateClient, tx: Tx) -> ClientAnswer:
    """Create a client with a first token, which may do what agents and operators may."""
    is_new = await store.insert_client(
        tx.db, request.client_id, name=request.name, email=request.email, at=tx.now
    )
    assert is_new, "a client's id is made for one request"
    token = TokenState(
        id=request.token_id,
        hash=request.token_hash,
        roles=[Role.AGENT, Role.OPERATOR],
        created_at=tx.now,
    )
    await store.add_token(tx.db, request.client_id, token)
    state = await store.state(tx.db, request.client_id)
    tx.emit(state)
    detail = ClientDetail(
        id=request.client_id, name=request.name, email=request.email, created_at=tx.now
    )
    return ClientAnswer(client=detail, revision=state.revision)


async def delete_client(request: DeleteClient, tx: Tx) -> Done:
    """Delete a client: its tokens stop working, and its agents are to be deleted.

    Each in its turn among what else is asked of it, so that its states keep their order.
    """
    await _client_to_change(request.client_id, tx)
    state = await store.delete(tx.db, request.client_id, at=tx.now)
    tx.emit(state)
    for agent_id in await agents.ids_of_client(tx.db, request.client_id):
        tx.emit(DeleteAgent(agent_id=agent_id, client_id=request.client_id))
    return Done(revision=state.revision)


async def list_clients(request: ListClients, tx: Tx) -> ClientPage:
    """A page of clients, newest first."""
    rows = await store.page(tx.db, before=PAGES.position(request.cursor), limit=request.limit + 1)
    items = [_detail(row) for row in rows[: request.limit]]
    return ClientPage(items=items, next_cursor=PAGES.next_cursor(rows, shown=len(items)))


async def create_token(request: CreateToken, tx: Tx) -> TokenAnswer:
    """Give a client one more token."""
    await _client_to_change(request.client_id, tx)
    usable = await store.count_usable_tokens(tx.db, request.client_id, at=tx.now)
    if usable >= MOST_TOKENS:
        raise Refused("TOO_MANY_TOKENS", f"The client has {usable} usable tokens already", 409)
    await store.forget_ended_tokens(tx.db, request.client_id, at=tx.now, keep=MOST_TOKENS)
    token = TokenState(
        id=request.token_id,
        hash=request.token_hash,
        roles=[request.role],
        label=request.label,
        created_at=tx.now,
        expires_at=request.expires_at,
    )
    await store.add_token(tx.db, request.client_id, token)
    state = await store.touch(tx.db, request.client_id)
    tx.emit(state)
    return TokenAnswer(token=token, revision=state.revision)


async def revoke_token(request: RevokeToken, tx: Tx) -> Done:
    """Make a token stop working; a second time changes nothing."""
    client = await _client_to_change(request.client_id, tx)
    tokens = {token.id: token for token in await store.tokens(tx.db, request.client_id)}
    token = tokens.get(request.token_id)
    if token is None:
        raise Refused("TOKEN_NOT_FOUND", "Token not found", 404)
    if token.revoked_at is not None:
        return Done(revision=client["revision"])
    await store.revoke_token(tx.db, request.client_id, request.token_id, at=tx.now)
    state = await store.touch(tx.db, request.client_id)
    tx.emit(state)
    return Done(revision=state.revision)


async def _client_to_change(client_id: UUID, tx: Tx) -> Row:
    client = await store.client_for_update(tx.db, client_id)
    if client is None:
        raise Refused("CLIENT_NOT_FOUND", "Client not found", 404)
    return client


def _detail(row: Row) -> ClientDetail:
    return ClientDetail(
        id=row["id"], name=row["name"], email=row["email"], created_at=row["created_at"]
    )
