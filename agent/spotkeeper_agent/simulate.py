"""Many simulated agents in one process, on one pool of connections.

SIGTERM and SIGINT end it at once, with status 0 and without goodbyes: the simulated instances live
on, only nobody beats for them. Started again within the time that an agent may be silent, the fleet
comes back unnoticed; later, it has been reported offline, as any fleet would be.
"""

import asyncio
import logging
import signal
from collections.abc import Callable
from dataclasses import dataclass
from pathlib import Path
from random import Random

from spotkeeper_agent.agent import Agent
from spotkeeper_agent.api import Api, connect
from spotkeeper_agent.cloud import Instance, SimulatedCloud
from spotkeeper_agent.control import Control
from spotkeeper_agent.fleet import fleet

LOOK_SECONDS = 0.2
SHORTEST_BURST_SECONDS = 1.0
REGISTRATIONS_PER_SECOND = 50

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    agents: int
    gateway: str
    token: str
    interval_seconds: float
    seed: int
    control_folder: Path


async def simulate(options: Options) -> None:
    """Run the fleet until SIGTERM or SIGINT."""
    running = asyncio.create_task(_run(options))
    for word in (signal.SIGTERM, signal.SIGINT):
        asyncio.get_running_loop().add_signal_handler(word, running.cancel)
    try:
        await running
    except asyncio.CancelledError:
        log.info("the fleet of %d stops without goodbye", options.agents)


async def _run(options: Options) -> None:
    cloud = SimulatedCloud(options.seed)
    homes = fleet(cloud, options.agents, seed=options.seed)
    chance = Random()
    control = Control(options.control_folder)
    control.open(homes)
    for name in control.crashed() & homes.keys():
        log.info("%s stays crashed until it is started", name)
    try:
        async with connect(options.gateway, options.token) as http:
            api = Api(http)

            def agent(name: str, instance: Instance) -> Agent:
                interval = options.interval_seconds
                return Agent(name, instance, cloud, api, interval_seconds=interval, chance=chance)

            log.info("a fleet of %d begins to register at %s", len(homes), options.gateway)
            await _keep_living(homes, agent, control, chance)
    finally:
        control.close()


async def _keep_living(
    homes: dict[str, Instance],
    agent: Callable[[str, Instance], Agent],
    control: Control,
    chance: Random,
) -> None:
    """Let every agent live, in a burst of registrations, except those that are to be crashed."""
    burst_seconds = max(SHORTEST_BURST_SECONDS, len(homes) / REGISTRATIONS_PER_SECOND)
    lives: dict[str, asyncio.Task[None]] = {}
    async with asyncio.TaskGroup() as living:
        while True:
            crashed = control.crashed() & homes.keys()
            for name in crashed & lives.keys():
                lives.pop(name).cancel()
                log.info("%s crashes", name)
            for name in homes.keys() - lives.keys() - crashed:
                life = _live(agent(name, homes[name]), chance.uniform(0, burst_seconds))
                lives[name] = living.create_task(life)
            burst_seconds = 0.0  # Whoever is brought back later comes alone.
            await asyncio.sleep(LOOK_SECONDS)


async def _live(agent: Agent, delay_seconds: float) -> None:
    await asyncio.sleep(delay_seconds)
    await agent.live()
