"""Clients and their tokens, for the bearer of the admin token; a token is shown once."""

import base64
import hmac
import secrets
from hashlib import sha256
from typing import Annotated
from uuid import UUID

from fastapi import Path, Response
from pydantic import BaseModel, StringConstraints

from chassis import clock
from gateway.auth import ADMINISTRATORS
from gateway.calls import Ask, Asking, AskOnce, Cursor, Limit, Running
from gateway.errors import NOT_FOUND, TOO_MANY_TOKENS, invalid
from gateway.farewells import say_goodbye_of_client
from gateway.routing import open_to, router
from gateway.values import Done, Moment, with_example
from spotkeeper_contracts import ids
from spotkeeper_contracts.clients import (
    ClientAnswer,
    ClientPage,
    CreateClient,
    CreateToken,
    DeleteClient,
    ListClients,
    RevokeToken,
    TokenAnswer,
)
from spotkeeper_contracts.values import Role, Text, Timestamp

routes = router("admin")

_CLIENT = {
    "id": "7c9e6679-7425-40de-944b-e07fc1f90ae7",
    "name": "Example",
    "email": "operations@example.com",
}
_TOKEN = "sk_AAECAwQFBgcICQoLDA0ODxAREhMUFRYXGBkaGxwdHh8"

# Something in it can be seen.
_NAME = r"^[^\x00]*[^\s\x00][^\x00]*$"
Name = Annotated[str, StringConstraints(min_length=1, max_length=255, pattern=_NAME)]
Email = Annotated[str, StringConstraints(max_length=255, pattern=r"^[^@\s\x00]+@[^@\s\x00]+$")]


class NewClient(BaseModel):
    """A client to create."""

    model_config = with_example({"name": _CLIENT["name"], "email": _CLIENT["email"]})

    name: Name
    email: Email


class CreatedClient(BaseModel):
    """A client with its first token."""

    id: UUID
    name: str
    email: str
    token: str


class CreatedClientBody(BaseModel):
    """The new client; its token is told here and never again."""

    model_config = with_example({"client": {**_CLIENT, "token": _TOKEN}})

    client: CreatedClient


class ListedClient(BaseModel):
    """A client in the list; `timestamp` is when it was created."""

    id: UUID
    name: str
    email: str
    timestamp: Timestamp


class ClientsBody(BaseModel):
    """Clients, the newest first."""

    model_config = with_example(
        {
            "items": [{**_CLIENT, "timestamp": "2024-11-20T08:00:00Z"}],
            "next_cursor": "MTczMjYxNTIwMC4w",
        }
    )

    items: list[ListedClient]
    next_cursor: str | None


class NewToken(BaseModel):
    """A token to create."""

    model_config = with_example(
        {"role": "viewer", "label": "dashboard", "expires_at": "2030-01-01T00:00:00Z"}
    )

    role: Role
    label: Text | None = None
    expires_at: Moment | None = None


class CreatedToken(BaseModel):
    """A token of one role."""

    id: UUID
    token: str
    role: Role
    expires_at: Timestamp | None


class CreatedTokenBody(BaseModel):
    """The new token; it is told here and never again."""

    model_config = with_example(
        {
            "token": {
                "id": "0192f3a4-5b6c-7d8e-9f00-112233445566",
                "token": _TOKEN,
                "role": "viewer",
                "expires_at": "2030-01-01T00:00:00Z",
            }
        }
    )

    token: CreatedToken


ClientId = Annotated[UUID, Path(description="The client's id.")]
TokenId = Annotated[UUID, Path(description="The token's id.")]


@routes.post("/api/admin/clients", operation_id="create_client", status_code=201)
@open_to(ADMINISTRATORS)
async def create_client(
    body: NewClient, ask: AskOnce, gateway: Running, out: Response
) -> CreatedClientBody:
    """Create a client with a first token, which may do what agents and operators may."""
    token = _new_token(ask, gateway)
    answer: ClientAnswer = await ask(
        CreateClient(
            client_id=ids.derived_id(ask.request_id, "client"),
            name=body.name,
            email=body.email,
            token_id=ids.derived_id(ask.request_id, "token"),
            token_hash=_hash(token),
        )
    )
    out.headers["Cache-Control"] = "no-store"
    client = answer.client
    return CreatedClientBody(
        client=CreatedClient(id=client.id, name=client.name, email=client.email, token=token)
    )


@routes.get("/api/admin/clients", operation_id="list_clients")
@open_to(ADMINISTRATORS)
async def list_clients(ask: Ask, cursor: Cursor = None, limit: Limit = 50) -> ClientsBody:
    """All clients, the newest first."""
    page: ClientPage = await ask(ListClients(cursor=cursor, limit=limit))
    items = [
        ListedClient(id=one.id, name=one.name, email=one.email, timestamp=one.created_at)
        for one in page.items
    ]
    return ClientsBody(items=items, next_cursor=page.next_cursor)


@routes.delete("/api/admin/clients/{client_id}", operation_id="delete_client")
@open_to(ADMINISTRATORS, NOT_FOUND)
async def delete_client(client_id: ClientId, ask: Ask, gateway: Running) -> Done:
    """Delete a client: its tokens stop working and its agents are deleted."""
    await ask(DeleteClient(client_id=client_id))
    say_goodbye_of_client(str(client_id), gateway)
    return Done()


@routes.post("/api/admin/clients/{client_id}/tokens", operation_id="create_token", status_code=201)
@open_to(ADMINISTRATORS, NOT_FOUND, TOO_MANY_TOKENS)
async def create_token(
    client_id: ClientId, body: NewToken, ask: AskOnce, gateway: Running, out: Response
) -> CreatedTokenBody:
    """Give a client one more token; it works at every gateway within a second."""
    if body.expires_at is not None and body.expires_at <= clock.now():
        ask.refuse(invalid("expires_at", "Input should be in the future"))
    token = _new_token(ask, gateway)
    answer: TokenAnswer = await ask(
        CreateToken(
            client_id=client_id,
            token_id=ids.derived_id(ask.request_id, "token"),
            token_hash=_hash(token),
            role=body.role,
            label=body.label,
            expires_at=body.expires_at,
        )
    )
    out.headers["Cache-Control"] = "no-store"
    created = answer.token
    return CreatedTokenBody(
        token=CreatedToken(
            id=created.id, token=token, role=body.role, expires_at=created.expires_at
        )
    )


@routes.delete("/api/admin/clients/{client_id}/tokens/{token_id}", operation_id="revoke_token")
@open_to(ADMINISTRATORS, NOT_FOUND)
async def revoke_token(client_id: ClientId, token_id: TokenId, ask: Ask) -> Done:
    """Make a token stop working, at every gateway within a second."""
    await ask(RevokeToken(client_id=client_id, token_id=token_id))
    return Done()


def _new_token(ask: Asking, gateway: Running) -> str:
    """256 bits: random, or for a repeatable request the same at each repeat."""
    if ask.repeatable:
        admin_token = gateway.settings.admin_token
        assert admin_token is not None, "the caller has just shown it"
        secret = hmac.digest(admin_token.get_secret_value().encode(), ask.request_id.bytes, sha256)
    else:
        secret = secrets.token_bytes(32)
    return "sk_" + base64.urlsafe_b64encode(secret).rstrip(b"=").decode()


def _hash(token: str) -> str:
    return sha256(token.encode()).hexdigest()
