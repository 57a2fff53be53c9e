"""No agent lives under a deleted client, whichever of registration and deletion comes first."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

import asyncpg
import pytest

from chassis import clock
from chassis.query import Connection, prepare_connection
from chassis.testing import Scene, example
from registry.app import service
from spotkeeper_contracts import Refused
from spotkeeper_contracts.agents import DeleteAgent, RegisterAgent
from spotkeeper_contracts.clients import ClientState, CreateClient, DeleteClient
from tests.registry.fleet import OneAgent
from tests.stack import eventually


@asynccontextmanager
async def connected(address: str) -> AsyncIterator[Scene]:
    """The registry's handlers on a connection whose transactions the test makes itself."""
    raw = await asyncpg.connect(address)
    try:
        await prepare_connection(raw)
        yield Scene(service, service.settings(), Connection(raw))
    finally:
        await raw.close()


@pytest.fixture
async def deleting(own_address: str) -> AsyncIterator[Scene]:
    """The registry in one process."""
    async with connected(own_address) as scene:
        yield scene


@pytest.fixture
async def registering(own_address: str) -> AsyncIterator[Scene]:
    """The registry in another."""
    async with connected(own_address) as scene:
        yield scene


@pytest.fixture
async def agent(deleting: Scene, registering: Scene) -> OneAgent:
    """An agent that is not registered yet, of a client that is there."""
    agent = OneAgent(registering, client_id=clock.new_id())
    token_id = clock.new_id()
    await deleting.handle(
        example(
            CreateClient, client_id=agent.client_id, token_id=token_id, token_hash=str(token_id)
        )
    )
    return agent


async def until_it_waits(waiting: Scene, seen_by: Scene) -> None:
    """Wait until a transaction waits for the other's lock."""
    question = "select 1 from pg_stat_activity where pid = $1 and wait_event_type = 'Lock'"
    pid = waiting.db.raw.get_server_pid()
    await eventually(lambda: seen_by.db.raw.fetchval(question, pid), within_seconds=10)


@pytest.mark.parametrize("once_deleted", [False, True])
async def test_who_registers_while_the_client_is_deleted_is_refused(
    agent: OneAgent, deleting: Scene, registering: Scene, once_deleted: bool
) -> None:
    if once_deleted:
        await agent.register("i-any")
        await agent.ask(DeleteAgent)
    async with deleting.db.raw.transaction():
        await deleting.handle(DeleteClient(client_id=agent.client_id))
        refused = asyncio.create_task(agent.refusal(RegisterAgent))
        await until_it_waits(registering, deleting)
    assert await refused == "TOKEN_REVOKED"
    assert registering.emitted == []


async def test_who_registers_after_the_deletion_is_refused(
    agent: OneAgent, deleting: Scene
) -> None:
    await deleting.handle(DeleteClient(client_id=agent.client_id))
    with pytest.raises(Refused, match="TOKEN_REVOKED"):
        await agent.register("i-any")


async def test_a_deletion_sees_who_registered_just_before(
    agent: OneAgent, deleting: Scene, registering: Scene
) -> None:
    async with registering.db.raw.transaction():
        await agent.register("i-any")
        deletion = asyncio.create_task(deleting.handle(DeleteClient(client_id=agent.client_id)))
        await until_it_waits(deleting, registering)
    await deletion
    state, order = deleting.emitted
    assert isinstance(state, ClientState)
    assert order == DeleteAgent(agent_id=agent.id, client_id=agent.client_id)
