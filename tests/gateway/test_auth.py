"""Tokens are found by hash, expire, and are revoked; roles and rates stand before every route."""

from datetime import timedelta

import pytest

from chassis import clock
from chassis.view import View
from gateway.auth import ADMIN, Tokens
from gateway.rates import Rates
from spotkeeper_contracts import Refused
from spotkeeper_contracts.clients import ClientState
from spotkeeper_contracts.values import Role
from tests.gateway.driver import new_client


def tokens_of(*clients: ClientState) -> tuple[Tokens, View[ClientState]]:
    view = View(ClientState)
    tokens = Tokens(view, admin_token="admin-secret")
    for client in clients:
        view.put(str(client.client_id), client)
    return tokens, view


def code_of(tokens: Tokens, authorization: bytes | None) -> str:
    with pytest.raises(Refused) as refused:
        tokens.client(authorization)
    assert refused.value.refusal.status == 401
    return refused.value.refusal.code


def test_a_token_names_its_client_and_roles() -> None:
    client = new_client("secret")
    caller = tokens_of(client)[0].client(b"Bearer secret")
    assert caller.client_id == client.client_id
    assert caller.roles == {Role.AGENT, Role.OPERATOR}
    assert caller.actor == f"operator:{client.tokens[0].id}"


def test_an_agents_token_acts_as_an_agent() -> None:
    client = new_client("secret", roles=(Role.AGENT,))
    assert tokens_of(client)[0].client(b"bearer secret").actor == f"agent:{client.tokens[0].id}"


@pytest.mark.parametrize(
    "authorization", [None, b"", b"Bearer", b"Bearer ", b"Bearer wrong", b"Basic secret", b"secret"]
)
def test_an_unknown_or_missing_token_is_invalid(authorization: bytes | None) -> None:
    assert code_of(tokens_of(new_client("secret"))[0], authorization) == "INVALID_TOKEN"


def test_a_token_expires() -> None:
    past, future = clock.now() - timedelta(seconds=1), clock.now() + timedelta(hours=1)
    tokens, _ = tokens_of(
        new_client("old", expires_at=past), new_client("young", expires_at=future)
    )
    assert code_of(tokens, b"Bearer old") == "TOKEN_EXPIRED"
    assert tokens.client(b"Bearer young")


def test_a_revoked_token_and_those_of_a_deleted_client_are_revoked() -> None:
    deleted = new_client("deleted").model_copy(update={"deleted": True})
    tokens, _ = tokens_of(new_client("revoked", revoked_at=clock.now()), deleted)
    assert code_of(tokens, b"Bearer revoked") == "TOKEN_REVOKED"
    assert code_of(tokens, b"Bearer deleted") == "TOKEN_REVOKED"


def test_a_token_that_left_its_clients_state_is_forgotten() -> None:
    client = new_client("secret")
    tokens, view = tokens_of(client)
    without = client.model_copy(update={"revision": 2, "tokens": []})
    view.put(str(client.client_id), without)
    assert code_of(tokens, b"Bearer secret") == "INVALID_TOKEN"


def test_the_administrator_is_known_by_their_token_alone() -> None:
    tokens, _ = tokens_of(new_client("secret"))
    assert tokens.admin(b"Bearer admin-secret").roles == {ADMIN}
    for authorization in (None, b"Bearer secret", b"Bearer admin-secre"):
        with pytest.raises(Refused):
            tokens.admin(authorization)
    assert code_of(tokens, b"Bearer admin-secret") == "INVALID_TOKEN"


def test_without_an_admin_token_nobody_is_the_administrator() -> None:
    with pytest.raises(Refused):
        Tokens(View(ClientState), admin_token=None).admin(b"Bearer ")


def test_a_client_that_has_spent_its_requests_is_told_when_to_come_back() -> None:
    rates = Rates(per_second=0.01, burst=2)
    rates.take("busy")
    rates.take("busy")
    with pytest.raises(Refused) as refused:
        rates.take("busy")
    assert refused.value.refusal.status == 429
    assert 90 < getattr(refused.value, "retry_after_seconds", 0) <= 100
    rates.take("quiet")


def test_requests_come_back_with_time() -> None:
    rates = Rates(per_second=1e9, burst=1)
    for _ in range(1_000):
        rates.take("client")
