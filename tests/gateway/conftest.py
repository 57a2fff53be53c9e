"""Kafka, a gateway on it, and a client with an agent; the owners' side is played by the tests."""

import secrets
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from dataclasses import dataclass

import httpx
import pytest

from chassis.topics import create_topics
from spotkeeper_contracts import TOPICS
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.clients import ClientState
from tests.gateway.driver import Bus, GatewayProcess, new_agent, new_client, open_bus, run_gateway
from tests.stack import eventually, open_stack

ASK_SECONDS = 2.0


@pytest.fixture(scope="package")
async def bus(tmp_path_factory: pytest.TempPathFactory) -> AsyncIterator[Bus]:
    """A broker that no service but the gateway works on."""
    async with open_stack(tmp_path_factory.mktemp("gateway")) as stack:
        await create_topics(stack.kafka, TOPICS.values(), replication_factor=1)
        async with open_bus(stack.kafka) as bus:
            yield bus


@pytest.fixture(scope="package")
async def gateway(bus: Bus) -> AsyncIterator[GatewayProcess]:
    """A gateway of default settings, but for owners that are given up sooner."""
    async with run_gateway(bus.kafka, ask_timeout_seconds=ASK_SECONDS) as running:
        await running.ready()
        yield running


@pytest.fixture(scope="package")
async def reference(bus: Bus) -> AsyncIterator[GatewayProcess]:
    """The same without the fast path: the framework takes heartbeats."""
    async with run_gateway(
        bus.kafka, ask_timeout_seconds=ASK_SECONDS, heartbeat_fast_path=False
    ) as running:
        await running.ready()
        yield running


@dataclass
class Tenant:
    """A client with one agent, and HTTP in its name."""

    token: str
    state: ClientState
    agent: AgentState
    http: httpx.AsyncClient

    @property
    def path(self) -> str:
        """The path of its agent."""
        return f"/api/agents/{self.agent.agent_id}"


@asynccontextmanager
async def new_tenant(bus: Bus, gateway: GatewayProcess) -> AsyncIterator[Tenant]:
    """A client with an agent, known to the gateway, and an owner without answers."""
    bus.owner.answers.clear()
    bus.owner.asked.clear()
    token = secrets.token_hex(16)
    state = new_client(token)
    agent = new_agent(state.client_id)
    await bus.tell(state)
    await bus.tell(agent)
    async with gateway.client(token) as http:
        tenant = Tenant(token, state, agent, http)

        async def known() -> bool:
            return (await http.get(f"{tenant.path}/config")).status_code == 200

        await eventually(known, within_seconds=10)
        yield tenant


@pytest.fixture
async def tenant(bus: Bus, gateway: GatewayProcess) -> AsyncIterator[Tenant]:
    """A fresh client with a fresh agent."""
    async with new_tenant(bus, gateway) as tenant:
        yield tenant


@pytest.fixture(params=["fast path", "reference"])
async def beating(
    request: pytest.FixtureRequest, bus: Bus, gateway: GatewayProcess, reference: GatewayProcess
) -> AsyncIterator[Tenant]:
    """A tenant of each gateway in turn: heartbeats have one contract and two implementations."""
    taker = gateway if request.param == "fast path" else reference
    async with new_tenant(bus, taker) as tenant:
        yield tenant
