"""What a running gateway consists of: the parts that routes use, made once and wired here."""

import asyncio
from dataclasses import dataclass, field

from chassis.asking import Asker
from chassis.health import Health
from chassis.producer import Producer
from chassis.view import View, Views
from gateway.auth import Admission, Tokens
from gateway.coalescing import Coalescer
from gateway.events import EventStream
from gateway.heartbeats import Heartbeats
from gateway.owners import Owners
from gateway.polling import Polls
from gateway.rates import Rates
from gateway.settings import GatewaySettings
from gateway.views import Agents
from spotkeeper_contracts.agents import AgentState
from spotkeeper_contracts.clients import ClientState
from spotkeeper_contracts.commands import CommandQueue
from spotkeeper_contracts.pools import EngineState

NAME = "gateway"
SERVING = "serving"
HEALTH_SECONDS = 0.5


@dataclass
class Gateway:
    """The parts of one gateway; it starts and serves whether or not the broker is there."""

    settings: GatewaySettings
    health: Health
    producer: Producer
    asker: Asker
    owners: Owners
    views: Views
    client_states: View[ClientState]
    agent_states: View[AgentState]
    engines: View[EngineState]
    agents: Agents
    admission: Admission
    coalescer: Coalescer
    heartbeats: Heartbeats
    events: EventStream
    polls: Polls
    _background: list["asyncio.Task[None]"] = field(default_factory=list)

    @classmethod
    def of(cls, settings: GatewaySettings) -> "Gateway":
        """A gateway that has not started yet."""
        bus = settings.kafka_bootstrap_servers
        producer = Producer(bus, client_id=NAME, send_timeout_seconds=settings.send_timeout_seconds)
        clients, states, queues = View(ClientState), View(AgentState), View(CommandQueue)
        engines = View(EngineState)
        views = Views(
            bus,
            {ClientState: clients, AgentState: states, CommandQueue: queues, EngineState: engines},
            client_id=NAME,
        )
        asker = Asker(
            producer,
            bus,
            reply_partition=settings.reply_partition,
            source=NAME,
            on_state=views.take,
        )
        owners = Owners(asker, timeout_seconds=settings.ask_timeout_seconds)
        agents = Agents(states, queues, owners)
        admin = settings.admin_token
        tokens = Tokens(clients, admin_token=None if admin is None else admin.get_secret_value())
        rates = Rates(per_second=settings.requests_per_second, burst=settings.requests_burst)
        admission = Admission(views, tokens, rates)
        coalescer = Coalescer(
            producer,
            waiting_limit=settings.waiting_beats,
            beats_per_record=settings.beats_per_record,
            record_gap_seconds=settings.record_gap_seconds,
            acknowledge_seconds=settings.acknowledge_seconds,
        )
        return cls(
            settings,
            Health(SERVING, "producer", "replies", "views"),
            producer,
            asker,
            owners,
            views,
            clients,
            states,
            engines,
            agents,
            admission,
            coalescer,
            Heartbeats(admission, agents, coalescer),
            EventStream(settings),
            Polls(queues, limit=settings.waiting_polls),
        )

    def start(self) -> None:
        """Begin to connect to the broker; nothing here waits for it."""
        self.health.set(SERVING, ok=True)
        self.asker.start()
        self.views.start()
        create = asyncio.get_running_loop().create_task
        ticks = self.coalescer.tick_for_ever(tick_seconds=self.settings.tick_seconds)
        self._background = [
            create(self.producer.start()),
            create(ticks),
            create(self._look_after_health()),
        ]

    def stopping(self) -> None:
        """No new requests come any more: say so, and end all waits, which would hold up the end."""
        self.health.set(SERVING, ok=False, text="stopping")
        self.events.close()
        self.polls.close()

    async def stop(self) -> None:
        """Close all parts within a limit."""
        async with asyncio.timeout(self.settings.drain_seconds):
            await self._stop_parts()

    async def _stop_parts(self) -> None:
        """In the order in which parts need each other; answers are listened to last."""
        for task in self._background:
            task.cancel()
        await asyncio.gather(*self._background, return_exceptions=True)
        await self.events.stop()
        await self.coalescer.drain()
        await self.producer.stop()
        await self.views.stop()
        await self.asker.stop()

    def look(self) -> Health:
        """The health of each part at this moment."""
        self.health.set("producer", ok=self.producer.answered, text="the broker is away")
        self.health.set("replies", ok=self.asker.ready, text="answers would not be heard")
        self.health.set("views", ok=self.views.ready, text="not read, or the broker is away")
        return self.health

    async def _look_after_health(self) -> None:
        while True:
            self.look()
            await asyncio.sleep(HEALTH_SECONDS)
