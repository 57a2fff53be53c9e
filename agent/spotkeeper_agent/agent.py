"""The life of one agent's instance: it registers, beats, and follows its config and its orders.

Its phases are those of `standing`. Each step does what the phase asks for. One that fails is tried
again, with pauses that grow, for as long as it takes: an agent that gives up is lost, and no
failure tells that it will last. Whatever it does beside beating (`duties`, `moves`) it does only
as the primary of an enabled agent.
"""

import asyncio
import logging
from dataclasses import asdict, replace
from importlib.metadata import version
from random import Random
from typing import Any

from spotkeeper_agent import clock, pauses
from spotkeeper_agent.api import Answer, Api, Failure
from spotkeeper_agent.calls import Calls
from spotkeeper_agent.cloud import Launch, SimulatedCloud
from spotkeeper_agent.duties import Duties
from spotkeeper_agent.moves import carry_out
from spotkeeper_agent.situation import Pace, Situation
from spotkeeper_agent.standing import (
    Config,
    Phase,
    Standing,
    phase_after_beat,
    phase_after_registration,
)

VERSION = version("spotkeeper-agent")
NOT_FOUND, GONE = 404, 410
SHORTEST_WAIT_SECONDS = 1.0

log = logging.getLogger(__name__)


class Agent:
    """One agent on one instance; it has no past, so that it lives again as a restarted one does."""

    def __init__(
        self, launch: Launch, cloud: SimulatedCloud, api: Api, *, pace: Pace, chance: Random
    ) -> None:
        self.standing = Standing()
        self._api = api
        self._pace = pace
        self._chance = chance
        self._failures = 0
        self._here = Situation(
            launch=launch,
            cloud=cloud,
            calls=Calls(api, self.standing, launch.instance.instance_id, chance),
            standing=self.standing,
            pace=pace,
            chance=chance,
        )

    async def live(self) -> None:
        """Live until the instance is retired; to cancel this is to let the instance crash."""
        async with asyncio.TaskGroup() as living:
            beside = [
                living.create_task(Duties(self._here).do()),
                living.create_task(self._follow_orders()),
            ]
            while self.standing.phase is not Phase.RETIRED:
                await self._until_beat_due(await self._step())
            for task in beside:
                task.cancel()

    async def _until_beat_due(self, seconds: float) -> None:
        try:
            async with asyncio.timeout(seconds):
                await self._here.beat_due.wait()
        except TimeoutError:
            pass
        self._here.beat_due.clear()

    async def _step(self) -> float:
        """Do what the phase asks for, and return the seconds until the next step."""
        is_unknown = self.standing.phase is Phase.UNKNOWN
        try:
            pause = await (self._register() if is_unknown else self._beat())
        except Failure as failure:
            self._failures += 1
            if self._failures == 1:
                log.warning("%s has no answer and tries again: %s", self._here.name, failure)
            asked = failure.retry_after_seconds
            return pauses.until_next_try(self._failures, asked, self._chance)
        if self._failures:
            log.info("%s has an answer after %d failures", self._here.name, self._failures)
            self._failures = 0
        return pause

    async def _register(self) -> float:
        answer = await self._api.register(self._registration())
        agent_id, config = answer.told("agent_id"), Config.of(answer, "config")
        self.standing.agent_id, self.standing.epoch = agent_id, answer.epoch
        self.standing.config = config
        self._enter(phase_after_registration(answer.outcome), answer)
        return pauses.until_first_beat(self._pace.beat_seconds, self._chance)

    async def _beat(self) -> float:
        standing = self.standing
        try:
            answer = await self._here.calls.beat(self._heartbeat())
            has_orders = answer.told("commands_pending")
            # A gateway whose view is behind does not know yet that this instance took over.
            if answer.epoch >= standing.epoch:
                standing.epoch, standing.is_doubted = answer.epoch, False
                self._enter(phase_after_beat(standing.phase, answer.outcome), answer)
                await self._follow_config(answer)
            if has_orders:
                self._here.orders_due.set()
        except Failure as failure:
            if failure.status not in (NOT_FOUND, GONE):
                raise
            log.warning("%s is not known any more and registers: %s", self._here.name, failure)
            standing.phase = Phase.UNKNOWN
            return pauses.until_next_try(1, failure.retry_after_seconds, self._chance)
        seconds = self._pace.beat_seconds
        if standing.phase is Phase.STANDBY:  # Nobody acts between its promotion and its next beat.
            seconds = min(seconds, self._pace.look_seconds)
        return pauses.until_next_beat(seconds, self._chance)

    async def _follow_config(self, answer: Answer) -> None:
        standing = self.standing
        if standing.phase is Phase.PRIMARY and answer.config_version != standing.config.version:
            standing.config = Config.of(await self._here.calls.get("config"))
            log.info("%s runs by config version %d", self._here.name, standing.config.version)

    async def _follow_orders(self) -> None:
        """Fetch commands one by one, the most urgent first, and carry them out."""
        failures = 0
        while True:
            try:
                pause = await self._follow_one_order()
                failures = 0
            except Failure as failure:
                failures += 1
                if failures == 1:
                    log.warning("%s cannot fetch commands: %s", self._here.name, failure)
                asked = failure.retry_after_seconds
                pause = pauses.until_next_try(failures, asked, self._chance)
            await asyncio.sleep(pause)

    async def _follow_one_order(self) -> float:
        """Wait for a command and carry it out; the seconds until the next is asked for."""
        loop, wait_seconds = asyncio.get_running_loop(), self._pace.wait_seconds
        if not wait_seconds:
            await self._here.orders_due.wait()
            self._here.orders_due.clear()
        if not self.standing.may_act:
            return self._pace.look_seconds
        began = loop.time()
        place = f"pending-commands?limit=1&wait={wait_seconds:g}"
        commands = (await self._here.calls.get(place, wait_seconds=wait_seconds)).listed()
        for command in commands:
            await carry_out(command, self._here)
            self._here.orders_due.set()
        has_waited = loop.time() - began >= min(wait_seconds, SHORTEST_WAIT_SECONDS)
        return 0.0 if commands or has_waited else self._pace.look_seconds

    def _enter(self, phase: Phase, answer: Answer) -> None:
        if phase is self.standing.phase:
            return
        self.standing.phase = phase
        instance_id = self._here.instance.instance_id
        at = f"{self._here.name} at epoch {answer.epoch}, on {instance_id},"
        if phase is Phase.RETIRED:
            log.warning("%s falls silent for good: %s", at, answer.outcome)
        else:
            log.info("%s is %s", at, phase)

    def _registration(self) -> dict[str, Any]:
        instance = self._here.instance
        return {
            "logical_agent_id": self._here.name,
            **asdict(instance),
            "hostname": instance.hostname,
            "agent_version": VERSION,
        }

    def _heartbeat(self) -> dict[str, Any]:
        now, instance, cloud = clock.now(), self._here.instance, self._here.cloud
        return {
            "timestamp": now.isoformat(),
            "status": self.standing.status,
            "current_mode": instance.mode,
            "current_pool_id": instance.pool_id,
            "spot_price": cloud.price(replace(instance, mode="spot"), now),
            "ondemand_price": cloud.price(replace(instance, mode="ondemand"), now),
            "instance_id": instance.instance_id,
            "agent_version": VERSION,
            "config_version": self.standing.config.version,
        }
