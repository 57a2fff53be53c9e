"""The simulated world: one life on each instance that runs, from its boot to its end or its crash.

An agent that has no instance left to live on gets a new one, as an auto scaling group would see to.
"""

import asyncio
import logging
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from datetime import timedelta
from random import Random

from spotkeeper_agent import clock, pauses
from spotkeeper_agent.agent import Agent
from spotkeeper_agent.cloud import Instance, Launch, SimulatedCloud, UserData
from spotkeeper_agent.control import Control
from spotkeeper_agent.market import Fate
from spotkeeper_agent.situation import Pace
from spotkeeper_agent.standing import Phase

LOOK_SECONDS = 0.2
SHORTEST_BURST_SECONDS = 1.0
REGISTRATIONS_PER_SECOND = 50
BEATS_UNTIL_NOTICE = 2
"""When a person interrupts an agent, the notice comes so many beats after the recommendation."""

log = logging.getLogger(__name__)


@dataclass(frozen=True, slots=True)
class Life:
    """An agent that lives, or has fallen silent for good on an instance that still runs."""

    agent: Agent
    launch: Launch
    task: asyncio.Task[None]


class World:
    """Lets lives begin and end as instances come and go."""

    def __init__(
        self,
        homes: Mapping[str, Instance],
        cloud: SimulatedCloud,
        control: Control,
        agent: Callable[[Launch], Agent],
        pace: Pace,
        chance: Random,
    ) -> None:
        self._homes = homes
        self._cloud = cloud
        self._control = control
        self._agent = agent
        self._pace = pace
        self._chance = chance
        self._lives: dict[str, Life] = {}

    async def turn(self) -> None:
        """Go on until cancelled; the first agents come in a burst."""
        burst_seconds = max(SHORTEST_BURST_SECONDS, len(self._homes) / REGISTRATIONS_PER_SECOND)
        async with asyncio.TaskGroup() as living:
            while True:
                crashed = self._control.crashed() & self._homes.keys()
                self._interrupt(self._control.take_interrupted())
                self._cloud.end_what_is_over(clock.now())
                self._replace_the_lost(crashed)
                launches = self._launches(crashed)
                self._end_lives(launches, crashed)
                for instance_id in launches.keys() - self._lives.keys():
                    launch = launches[instance_id]
                    agent, delay = self._agent(launch), self._chance.uniform(0, burst_seconds)
                    delay = max(delay, self._still_boots(launch))
                    task = living.create_task(live(agent, delay, self._chance))
                    self._lives[instance_id] = Life(agent, launch, task)
                burst_seconds = 0.0  # Whoever comes later comes alone.
                await asyncio.sleep(LOOK_SECONDS)

    def _launches(self, crashed: set[str]) -> dict[str, Launch]:
        """The instances on which somebody should live."""
        wanted = self._homes.keys() - crashed
        return {
            launch.instance.instance_id: launch
            for launch in self._cloud.running()
            if launch.user_data.name in wanted
        }

    def _end_lives(self, launches: Mapping[str, Launch], crashed: set[str]) -> None:
        ended = [self._lives.pop(id) for id in self._lives.keys() - launches.keys()]
        for life in ended:
            life.task.cancel()
        for name in {life.launch.user_data.name for life in ended} & crashed:
            log.info("%s crashes", name)

    def _replace_the_lost(self, crashed: set[str]) -> None:
        """Launch an instance for each agent that has none, or none but those left behind."""
        held = {
            launch.user_data.name
            for launch in self._cloud.running()
            if not self._is_silent(launch.instance.instance_id)
        }
        for name in self._homes.keys() - held - crashed:
            home = self._homes[name]
            launch = self._cloud.launch(
                home.instance_type,
                region=home.region,
                az=home.az,
                mode=home.mode,
                client_token=clock.new_key(),
                user_data=UserData(name),
                now=clock.now(),
            )
            log.warning("%s was lost and begins anew on %s", name, launch.instance.instance_id)

    def _is_silent(self, instance_id: str) -> bool:
        life = self._lives.get(instance_id)
        return life is not None and life.agent.standing.phase is Phase.RETIRED

    def _interrupt(self, names: set[str]) -> None:
        """Let AWS recommend to leave the primaries of these agents, and give notice after."""
        now = clock.now()
        fate = Fate(now, now + timedelta(seconds=BEATS_UNTIL_NOTICE * self._pace.beat_seconds))
        for life in self._lives.values():
            name, instance = life.launch.user_data.name, life.launch.instance
            if name not in names or life.agent.standing.phase is not Phase.PRIMARY:
                continue
            if instance.mode == "ondemand":
                log.warning("%s runs on demand, where AWS interrupts nobody", name)
                continue
            self._cloud.interrupt(instance.instance_id, fate)
            log.warning("AWS takes %s back from %s", instance.instance_id, name)

    def _still_boots(self, launch: Launch) -> float:
        """The seconds until an instance has booted and its agent begins."""
        age_seconds = (clock.now() - launch.launched_at).total_seconds()
        return max(0.0, self._pace.boot_seconds - age_seconds)


async def live(agent: Agent, delay_seconds: float, chance: Random) -> None:
    """Let an agent live, and again if it falls over: no error of one ends the others' lives."""
    falls = 0
    while True:
        await asyncio.sleep(delay_seconds)
        try:
            return await agent.live()
        except Exception:  # It is an error of the agent's own, and the log is where it is seen.
            falls += 1
            delay_seconds = pauses.until_next_try(falls, 0.0, chance)
            log.exception("an agent falls over and gets up in %.1f s", delay_seconds)
