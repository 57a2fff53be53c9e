"""A gateway as its own process, with the other side of the bus in the test's own hands."""

import asyncio
import os
import sys
from collections.abc import AsyncIterator, Callable, Mapping
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from hashlib import sha256
from pathlib import Path
from typing import Any
from uuid import UUID

import httpx
from aiokafka import TopicPartition

from chassis import clock
from chassis.envelope import Envelope
from chassis.producer import Producer
from chassis.tail import Tail
from spotkeeper.embedded.child import HOST, free_port
from spotkeeper_contracts import Message, Reply, Request
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.clients import ClientState, TokenState
from spotkeeper_contracts.configs import AgentConfig
from spotkeeper_contracts.presence import Beat, decode_beats
from spotkeeper_contracts.topics import (
    AGENT_HEARTBEATS,
    COMMANDS_REQUESTS,
    HEARTBEAT_REQUESTS,
    REGISTRY_REQUESTS,
)
from spotkeeper_contracts.values import Role
from tests.stack import eventually, is_ready, read_topic

ADMIN_TOKEN = "admin-token-of-the-tests"
BOTH_ROLES = (Role.AGENT, Role.OPERATOR)
Answer = Callable[[Any], Reply | None]


@dataclass
class Owner:
    """Answers the gateway's questions as a test says, and remembers them.

    The answer to `Request` is that to every question without one of its own.
    """

    producer: Producer
    answers: dict[type[Request], Answer] = field(default_factory=dict)
    asked: list[Envelope] = field(default_factory=list)
    _sending: set["asyncio.Task[None]"] = field(default_factory=set)

    def take(self, envelope: Envelope, _partition: TopicPartition, _offset: int) -> None:
        """Answer a question, if the test has an answer to it."""
        self.asked.append(envelope)
        kind: Any = type(envelope.message)
        answer = self.answers.get(kind, self.answers.get(Request))
        reply = None if answer is None else answer(envelope.message)
        if reply is not None:
            caused = envelope.caused(reply, id=clock.new_id(), source="owner", time=clock.now())
            record = caused.to_record(partition=envelope.reply_to)
            task = asyncio.get_running_loop().create_task(self.producer.send(record))
            self._sending.add(task)
            task.add_done_callback(self._sending.discard)

    def questions(self, kind: type[Request]) -> list[Any]:
        """What was asked of one kind, in order."""
        return [one.message for one in self.asked if isinstance(one.message, kind)]


@dataclass
class Bus:
    """The bus as the owners of state see it."""

    kafka: str
    producer: Producer
    owner: Owner

    async def tell(self, message: Message, *, source: str = "registry") -> None:
        """Put a state or an event on its topic."""
        await self.producer.send(Envelope.of(message, source=source).to_record())

    async def beats(self, agent_id: UUID) -> list[Beat]:
        """All beats of an agent, in their order."""
        return [
            beat
            for record in await self.heartbeat_records()
            for beat in decode_beats(record.value)
            if beat.agent_id == str(agent_id)
        ]

    async def heartbeat_records(self) -> list[Any]:
        """All records of the heartbeats' topic."""
        return await read_topic(self.kafka, AGENT_HEARTBEATS)


@asynccontextmanager
async def open_bus(kafka: str) -> AsyncIterator[Bus]:
    """A hand on the bus; the broker has its topics already."""
    producer = Producer(kafka, client_id="test")
    await producer.start()
    owner = Owner(producer)
    topics = [REGISTRY_REQUESTS, HEARTBEAT_REQUESTS, COMMANDS_REQUESTS]
    tail = Tail(kafka, topics, owner.take, client_id="test", is_wanted=lambda client: True)
    tail.start()
    try:
        await eventually(lambda: tail.ready, within_seconds=15)
        yield Bus(kafka, producer, owner)
    finally:
        await tail.stop()
        await producer.stop()


@dataclass
class GatewayProcess:
    """A running gateway."""

    url: str
    operations_port: int
    process: asyncio.subprocess.Process

    def client(self, token: str | None = None) -> httpx.AsyncClient:
        """A client with a token."""
        headers = {} if token is None else {"Authorization": f"Bearer {token}"}
        return httpx.AsyncClient(base_url=self.url, headers=headers, timeout=30)

    async def ready(self) -> None:
        """Wait until it says that it is ready."""
        await eventually(lambda: is_ready(self.operations_port), within_seconds=120)


@asynccontextmanager
async def run_gateway(kafka: str, **settings: object) -> AsyncIterator[GatewayProcess]:
    """A gateway of the given settings, stopped at the end; it need not be ready yet."""
    port, operations_port = free_port(), free_port()
    process = await asyncio.create_subprocess_exec(
        sys.executable,
        "-m",
        "gateway",
        cwd=Path(__file__).parents[2],
        env={
            **os.environ,
            "SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS": kafka,
            "SPOTKEEPER_PORT": str(port),
            "SPOTKEEPER_OPERATIONS_PORT": str(operations_port),
            "SPOTKEEPER_ADMIN_TOKEN": ADMIN_TOKEN,
            **{f"SPOTKEEPER_{name.upper()}": str(value) for name, value in settings.items()},
        },
        stdout=sys.stderr,
    )
    try:
        yield GatewayProcess(f"http://{HOST}:{port}", operations_port, process)
    finally:
        if process.returncode is None:
            process.terminate()
            await process.wait()


def new_client(token: str, *, roles: tuple[Role, ...] = BOTH_ROLES, **changes: Any) -> ClientState:
    """A client with one token."""
    state = TokenState(
        id=clock.new_id(), hash=sha256(token.encode()).hexdigest(), roles=list(roles),
        created_at=clock.now(), **changes,
    )  # fmt: skip
    return ClientState(
        client_id=clock.new_id(), revision=1, name="Test", email="test@example.com", tokens=[state]
    )


def new_agent(client_id: UUID, **changes: Any) -> AgentState:
    """An agent with the default config."""
    fields: Mapping[str, Any] = {
        "agent_id": clock.new_id(),
        "client_id": client_id,
        "revision": 1,
        "logical_agent_id": "test-agent-1",
        "status": "online",
        "epoch": 3,
        "instance_id": "i-primary",
        "instance_type": "t3.medium",
        "region": "us-east-1",
        "az": "us-east-1a",
        "current_mode": "spot",
        "current_pool_id": "t3.medium.us-east-1a",
        "config": AgentConfig(config_version=5),
        "registered_at": clock.now(),
    }
    return AgentState.model_validate({**fields, **changes})
