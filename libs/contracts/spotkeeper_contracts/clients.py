"""Clients and their tokens. Tokens never travel: only their SHA-256 hashes do."""

from uuid import UUID

from spotkeeper_contracts.message import Done, Message, Reply, Request, Value
from spotkeeper_contracts.topics import CLIENT_STATE, REGISTRY_REQUESTS
from spotkeeper_contracts.values import Role, Text, Timestamp


class TokenState(Value):
    """A token as the bus knows it; `hash` is the SHA-256 of the token in lower-case hex."""

    id: UUID
    hash: str
    roles: list[Role]
    label: Text | None = None
    created_at: Timestamp
    expires_at: Timestamp | None = None
    revoked_at: Timestamp | None = None


class ClientState(Message, topic=CLIENT_STATE):
    """A client with all its tokens; a deleted client's tokens count as revoked."""

    client_id: UUID
    revision: int
    name: Text
    email: Text
    deleted: bool = False
    tokens: list[TokenState]


class ClientDetail(Value):
    """One client in a list."""

    id: UUID
    name: Text
    email: Text
    created_at: Timestamp


class ClientAnswer(Reply):
    """One client."""

    client: ClientDetail


class TokenAnswer(Reply):
    """A token's state; the token itself is known to the asking gateway alone."""

    token: TokenState


class ClientPage(Reply):
    """Clients, newest first."""

    items: list[ClientDetail]
    next_cursor: str | None = None


class ClientRequest(Request):
    """A request that concerns a client as a whole, and is ordered by it."""

    client_id: UUID

    @property
    def key(self) -> str:
        """The client's id."""
        return str(self.client_id)


class CreateClient(ClientRequest, topic=REGISTRY_REQUESTS, reply=ClientAnswer):
    """Create a client with a first token of the roles agent and operator."""

    name: Text
    email: Text
    token_id: UUID
    token_hash: str


class DeleteClient(ClientRequest, topic=REGISTRY_REQUESTS, reply=Done):
    """Delete a client: its tokens stop working and its agents are deleted."""


class CreateToken(ClientRequest, topic=REGISTRY_REQUESTS, reply=TokenAnswer):
    """Give a client one more token."""

    token_id: UUID
    token_hash: str
    role: Role
    label: Text | None = None
    expires_at: Timestamp | None = None


class RevokeToken(ClientRequest, topic=REGISTRY_REQUESTS, reply=Done):
    """Make a token stop working."""

    token_id: UUID


class ListClients(Request, topic=REGISTRY_REQUESTS, reply=ClientPage, reads_only=True):
    """All clients; asked by the administrator."""

    cursor: str | None = None
    limit: int = 50

    @property
    def key(self) -> str:
        """One partition serves as well as another."""
        return "clients"
