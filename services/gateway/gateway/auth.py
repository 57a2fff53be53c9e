"""Who calls, and whether they may: tokens by their hash, roles, and the rate of each client."""

from dataclasses import dataclass
from datetime import datetime
from hashlib import sha256
from hmac import compare_digest
from uuid import UUID

from chassis import clock
from chassis.producer import BusUnavailable
from chassis.view import View, Views
from gateway.errors import (
    FORBIDDEN,
    INVALID_ADMIN_TOKEN,
    INVALID_TOKEN,
    TOKEN_EXPIRED,
    TOKEN_REVOKED,
)
from gateway.heads import Head
from gateway.rates import Rates
from spotkeeper_contracts.clients import ClientState
from spotkeeper_contracts.values import Role

Audience = frozenset[str]
"""The roles that may call a route."""

ADMIN = "admin"
"""The role of the bearer of the admin token; no client's token has it."""

ADMINISTRATORS: Audience = frozenset({ADMIN})
OPERATORS: Audience = frozenset({Role.OPERATOR})
AGENTS: Audience = frozenset({Role.AGENT, Role.OPERATOR})
EVERYONE: Audience = frozenset(Role)


@dataclass(frozen=True, slots=True)
class Caller:
    """The bearer of a token. `client` is the client's id, or `admin`."""

    client: str
    actor: str
    roles: frozenset[str]
    expires_at: datetime | None = None
    revoked: bool = False

    @property
    def client_id(self) -> UUID:
        """The id of the caller's client; the administrator has none."""
        return UUID(self.client)


class Tokens:
    """All clients' tokens by their hash, kept current by the view of clients."""

    def __init__(self, clients: View[ClientState], *, admin_token: str | None) -> None:
        self._callers: dict[str, Caller] = {}
        self._admin_hash = None if admin_token is None else _hash(admin_token.encode())
        clients.on_change.append(self._client_changed)

    def client(self, authorization: bytes | None) -> Caller:
        """The bearer of a client's token; raises `Refused` with 401."""
        token = _bearer(authorization)
        caller = None if token is None else self._callers.get(_hash(token))
        if caller is None:
            raise INVALID_TOKEN.refused()
        if caller.revoked:
            raise TOKEN_REVOKED.refused()
        if caller.expires_at is not None and clock.now() >= caller.expires_at:
            raise TOKEN_EXPIRED.refused()
        return caller

    def admin(self, authorization: bytes | None) -> Caller:
        """The bearer of the admin token; raises `Refused` with 401."""
        token = _bearer(authorization)
        if token is None or self._admin_hash is None:
            raise INVALID_ADMIN_TOKEN.refused()
        if not compare_digest(_hash(token), self._admin_hash):
            raise INVALID_ADMIN_TOKEN.refused()
        return Caller(ADMIN, ADMIN, ADMINISTRATORS)

    def _client_changed(self, _key: str, old: ClientState | None, new: ClientState | None) -> None:
        for token in () if old is None else old.tokens:
            self._callers.pop(token.hash, None)
        for token in () if new is None else new.tokens:
            assert new is not None
            word = Role.OPERATOR if Role.OPERATOR in token.roles else token.roles[0]
            self._callers[token.hash] = Caller(
                str(new.client_id),
                f"{word}:{token.id}",
                frozenset(token.roles),
                token.expires_at,
                new.deleted or token.revoked_at is not None,
            )


class Admission:
    """What stands before every route: a valid token, then its role, then the client's rate."""

    def __init__(self, views: Views, tokens: Tokens, rates: Rates) -> None:
        self._views = views
        self._tokens = tokens
        self._rates = rates

    def admit(self, head: Head, audience: Audience) -> Caller:
        """The caller, if they may; raises `Refused` (401, 403, 429) or `BusUnavailable`."""
        caller = self.identify(head, audience)
        self.count(caller)
        return caller

    def count(self, caller: Caller) -> None:
        """Count a call by its client's rate; raises `Refused` with 429."""
        self._rates.take(caller.client)

    def identify(self, head: Head, audience: Audience) -> Caller:
        """The same without counting the call, for one that goes on or is counted later."""
        if audience is ADMINISTRATORS:
            caller = self._tokens.admin(head.authorization)
        elif self._views.loaded:
            caller = self._tokens.client(head.authorization)
        else:
            raise BusUnavailable("the tokens are not read yet")
        if not caller.roles & audience:
            raise FORBIDDEN.refused()
        return caller


def _bearer(authorization: bytes | None) -> bytes | None:
    scheme, _, token = (authorization or b"").partition(b" ")
    return token.strip() or None if scheme.lower() == b"bearer" else None


def _hash(token: bytes) -> str:
    return sha256(token).hexdigest()
