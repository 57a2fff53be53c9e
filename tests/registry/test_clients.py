"""Clients and their tokens: made, listed, revoked and deleted, and told to every gateway."""

from datetime import timedelta
from hashlib import sha256
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import AgentDeleted, AgentState, DeleteAgent, GetAgent
from spotkeeper_contracts.clients import (
    ClientAnswer,
    ClientPage,
    ClientRequest,
    ClientState,
    CreateClient,
    CreateToken,
    DeleteClient,
    ListClients,
    RevokeToken,
    TokenAnswer,
)
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.values import Role
from tests.registry.fleet import OneAgent


class OneClient:
    """A client that is not created yet."""

    def __init__(self, registry: Scene) -> None:
        self.registry = registry
        self.id = clock.new_id()
        self.first_token = clock.new_id()

    async def create(self, name: str = "Example Corp") -> ClientAnswer:
        """Create it."""
        token = {"token_id": self.first_token, "token_hash": hash_of(self.first_token)}
        reply = await self.ask(CreateClient, name=name, **token)
        assert isinstance(reply, ClientAnswer)
        return reply

    async def ask(self, kind: type[ClientRequest], **fields: Any) -> Any:
        """Put a request about this client."""
        request = example(kind, client_id=self.id, **fields)
        return await self.registry.handle(request, actor="admin")

    async def add_token(self, role: Role = Role.VIEWER, **fields: Any) -> UUID:
        """Give it one more token; the token's id."""
        id = clock.new_id()
        told = {"token_id": id, "token_hash": hash_of(id), "role": role, **fields}
        assert isinstance(await self.ask(CreateToken, **told), TokenAnswer)
        return id

    @property
    def told(self) -> ClientState:
        """The state that the last request emitted last."""
        state = self.registry.emitted[-1]
        assert isinstance(state, ClientState)
        return state

    async def refusal(self, kind: type[ClientRequest], **fields: Any) -> tuple[str, int]:
        """What a request is refused with."""
        with pytest.raises(Refused) as refused:
            await self.ask(kind, **fields)
        return refused.value.refusal.code, refused.value.refusal.status


def hash_of(token_id: UUID) -> str:
    """The hash of some token of that id."""
    return sha256(token_id.bytes).hexdigest()


@pytest.fixture
async def client(registry: Scene) -> OneClient:
    """A client as it is created."""
    client = OneClient(registry)
    await client.create()
    return client


async def test_a_new_client_has_one_token_for_agents_and_operators(registry: Scene) -> None:
    client = OneClient(registry)
    answer = await client.create("Ours")
    assert (answer.client.id, answer.client.name) == (client.id, "Ours")
    assert registry.emitted == [client.told]
    (token,) = client.told.tokens
    assert (token.id, token.hash) == (client.first_token, hash_of(client.first_token))
    assert token.roles == [Role.AGENT, Role.OPERATOR]
    assert (token.expires_at, token.revoked_at) == (None, None)
    assert client.told.revision == answer.revision == 1


async def test_a_further_token_works_beside_the_first(client: OneClient) -> None:
    expires_at = clock.now()
    id = await client.add_token(Role.VIEWER, label="dashboard", expires_at=expires_at)
    first, second = client.told.tokens
    assert (first.id, first.revoked_at) == (client.first_token, None)
    assert (second.id, second.roles) == (id, [Role.VIEWER])
    assert (second.label, second.expires_at) == ("dashboard", expires_at)
    assert client.told.revision == 2


async def test_a_revoked_token_stops_and_the_others_go_on(client: OneClient) -> None:
    id = await client.add_token()
    done = await client.ask(RevokeToken, token_id=client.first_token)
    assert done == Done(revision=3)
    revoked, other = client.told.tokens
    assert (revoked.id, revoked.revoked_at) == (client.first_token, client.registry.tx.now)
    assert (other.id, other.revoked_at) == (id, None)


async def test_a_token_is_revoked_once(client: OneClient) -> None:
    first = await client.ask(RevokeToken, token_id=client.first_token)
    again = await client.ask(RevokeToken, token_id=client.first_token)
    assert again == first
    assert client.registry.emitted == []


async def test_an_unknown_token_and_another_clients_are_refused_alike(client: OneClient) -> None:
    other = OneClient(client.registry)
    await other.create()
    for token_id in (clock.new_id(), other.first_token):
        assert await client.refusal(RevokeToken, token_id=token_id) == ("TOKEN_NOT_FOUND", 404)
    await other.add_token()
    assert [token.revoked_at for token in other.told.tokens] == [None, None]


async def test_a_client_has_a_limited_number_of_usable_tokens(
    client: OneClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.handlers.clients.MOST_TOKENS", 3)
    second, _ = [await client.add_token() for _ in range(2)]
    assert await client.refusal(CreateToken) == ("TOO_MANY_TOKENS", 409)
    await client.ask(RevokeToken, token_id=second)
    await client.add_token(expires_at=clock.now())
    clock.move(timedelta(seconds=1))
    await client.add_token()
    assert len(client.told.tokens) == 5


async def test_of_the_tokens_that_ended_the_last_are_known(
    client: OneClient, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("registry.handlers.clients.MOST_TOKENS", 3)
    rotated = []
    for _ in range(6):
        rotated.append(await client.add_token())
        clock.move(timedelta(seconds=len(rotated)))
        await client.ask(RevokeToken, token_id=rotated[-1])
    newest = await client.add_token()
    known = [token.id for token in client.told.tokens]
    assert known == [client.first_token, *rotated[-3:], newest]


@pytest.mark.parametrize("kind", [DeleteClient, CreateToken, RevokeToken])
@pytest.mark.parametrize("existed", [True, False])
async def test_a_client_that_is_unknown_or_deleted_is_refused(
    registry: Scene, kind: type[ClientRequest], existed: bool
) -> None:
    client = OneClient(registry)
    if existed:
        await client.create()
        await client.ask(DeleteClient)
    assert await client.refusal(kind) == ("CLIENT_NOT_FOUND", 404)


async def test_a_deleted_client_has_no_token_that_works_and_no_agent_that_lives(
    client: OneClient,
) -> None:
    agents = [OneAgent(client.registry, client_id=client.id) for _ in range(3)]
    for agent in agents:
        await agent.register("i-any")
    await agents[0].ask(DeleteAgent)
    await client.add_token()

    done = await client.ask(DeleteClient)
    state, *orders = client.registry.emitted
    assert isinstance(state, ClientState)
    assert done == Done(revision=state.revision)
    assert state.deleted
    assert [token.revoked_at for token in state.tokens] == 2 * [client.registry.tx.now]
    assert {order.key for order in orders} == {str(agent.id) for agent in agents[1:]}

    for order in orders:
        await client.registry.handle(order)
        kinds = [type(message) for message in client.registry.emitted]
        assert kinds == [AgentDeleted, AgentState]
    for agent in agents:
        assert await agent.refusal(GetAgent) == "AGENT_DELETED"
        assert (await trail(agent))[-1] == "agent_deleted"


async def trail(agent: OneAgent) -> list[str]:
    """The trail of an agent, which a deleted one no longer tells itself."""
    rows = await agent.registry.db.raw.fetch(
        "select event_type from system_events where agent_id = $1 order by created_at", agent.id
    )
    return [row["event_type"] for row in rows]


async def test_a_token_revoked_before_keeps_its_moment_when_the_client_goes(
    client: OneClient,
) -> None:
    await client.ask(RevokeToken, token_id=client.first_token)
    revoked_at = client.told.tokens[0].revoked_at
    await client.ask(DeleteClient)
    assert client.told.tokens[0].revoked_at == revoked_at


async def test_the_agents_of_others_outlive_a_client(client: OneClient) -> None:
    agent = OneAgent(client.registry)
    await agent.register("i-any")
    before = await agent.state()
    await client.ask(DeleteClient)
    assert client.registry.emitted == [client.told]
    assert await agent.state() == before


async def test_clients_are_listed_newest_first_without_the_deleted(registry: Scene) -> None:
    clients = [OneClient(registry) for _ in range(4)]
    for client in clients:
        await client.create()
    await clients[1].ask(DeleteClient)
    found, cursor = [], None
    for _ in range(2):
        page = await registry.handle(ListClients(limit=2, cursor=cursor))
        assert isinstance(page, ClientPage)
        found += [item.id for item in page.items]
        cursor = page.next_cursor
    assert found == [clients[n].id for n in (3, 2, 0)]
    assert cursor is None


async def test_a_bad_cursor_is_refused(registry: Scene) -> None:
    with pytest.raises(Refused, match="VALIDATION_FAILED"):
        await registry.handle(ListClients(cursor="nonsense"))
