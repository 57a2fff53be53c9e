"""Many simulated agents in one process, in a world of their own.

SIGTERM and SIGINT end it at once, with status 0 and without goodbyes: the simulated instances live
on, only nobody beats for them. Started again within the time that an agent may be silent, the fleet
comes back unnoticed, on the instances that it had; later, it has been reported offline, as any
fleet would be.
"""

import asyncio
import logging
import signal
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from random import Random

from spotkeeper_agent import clock
from spotkeeper_agent.agent import Agent
from spotkeeper_agent.api import connect
from spotkeeper_agent.cloud import Instance, Launch, SimulatedCloud
from spotkeeper_agent.control import Control
from spotkeeper_agent.fleet import age_of, fleet
from spotkeeper_agent.market import Market
from spotkeeper_agent.situation import Pace
from spotkeeper_agent.world import World

WAIT_SECONDS = 20.0
WAITING_AGENTS = 64
"""So many agents may wait for commands on connections of their own; a larger fleet asks when a
beat says that there are some."""

log = logging.getLogger(__name__)


@dataclass(frozen=True)
class Options:
    """What the command line asked for."""

    agents: int
    gateway: str
    token: str
    interval_seconds: float
    seed: int
    interruptions_per_day: float
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
    homes = fleet(options.agents, seed=options.seed)
    control = Control(options.control_folder)
    control.open(homes)
    for name in control.crashed() & homes.keys():
        log.info("%s stays crashed until it is started", name)
    waits = len(homes) <= WAITING_AGENTS
    pace = Pace.of(options.interval_seconds, wait_seconds=WAIT_SECONDS if waits else 0.0)
    chance = Random()
    try:
        waiting = len(homes) if waits else 1
        async with connect(options.gateway, options.token, waiting=max(1, waiting)) as api:
            cloud = _cloud(options, homes)

            def agent(launch: Launch) -> Agent:
                return Agent(launch, cloud, api, pace=pace, chance=chance)

            log.info("a fleet of %d begins to register at %s", len(homes), options.gateway)
            await World(homes, cloud, control, agent, pace, chance).turn()
    finally:
        control.close()


def _cloud(options: Options, homes: Mapping[str, Instance]) -> SimulatedCloud:
    """The cloud as the journal tells of it, with the homes that still stand."""
    market = Market(options.seed, interruptions_per_day=options.interruptions_per_day)
    cloud = SimulatedCloud(market, seed=options.seed, began_at=clock.now())
    cloud.keep(options.control_folder / f"cloud-{options.seed}.jsonl")
    for name, home in homes.items():
        cloud.settle(name, home, age_of(name, seed=options.seed))
    return cloud
