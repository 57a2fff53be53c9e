"""The life of one agent: it registers, beats, and follows its config, whatever happens around it.

    UNKNOWN ──register──▶ PRIMARY ──not-primary──▶ RETIRED
       ▲  │                │   ▲                      ▲
       │  └──register──▶ STANDBY (beats until it is the primary)
       │                   │                          │
       └────404 or 410─────┘   UNKNOWN ──zombie-rejected

Each step does what the phase asks for. One that fails is tried again, with pauses that grow, for
as long as it takes: an agent that gives up is lost, and no failure tells that it will last.
"""

import asyncio
import logging
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from enum import StrEnum
from importlib.metadata import version
from random import Random
from typing import Any

from spotkeeper_agent import clock, pauses
from spotkeeper_agent.api import Answer, Api, Failure
from spotkeeper_agent.cloud import Instance, SimulatedCloud

VERSION = version("spotkeeper-agent")
ZOMBIE_REJECTED, NOT_PRIMARY = "zombie-rejected", "not-primary"
NOT_FOUND, GONE = 404, 410

log = logging.getLogger(__name__)


class Phase(StrEnum):
    """What an agent's instance is to the control plane, as far as the agent knows."""

    UNKNOWN = "unknown"
    STANDBY = "standby"
    PRIMARY = "primary"
    RETIRED = "retired"


@dataclass(frozen=True, slots=True)
class Config:
    """The part of an agent's config that it acts on, and its version."""

    version: int
    enabled: bool

    @classmethod
    def of(cls, answer: Answer) -> "Config":
        """The config in an answer that has one, given what is around it."""
        settings: Mapping[str, Any] = answer.body.get("config", answer.body)
        return cls(version=answer.config_version, enabled=settings["enabled"])


def phase_after_registration(outcome: str | None) -> Phase:
    """What a registration made of the instance; a word not known yet must not make it act."""
    if outcome is None:
        return Phase.PRIMARY
    return Phase.RETIRED if outcome == ZOMBIE_REJECTED else Phase.STANDBY


def phase_after_beat(phase: Phase, outcome: str | None) -> Phase:
    """What the answer to a beat makes of the instance; who was never primary waits on."""
    if outcome != NOT_PRIMARY:
        return Phase.PRIMARY
    return Phase.STANDBY if phase is Phase.STANDBY else Phase.RETIRED


class Agent:
    """One agent on one instance; it has no past, so that it lives again as a restarted one does."""

    def __init__(
        self,
        name: str,
        instance: Instance,
        cloud: SimulatedCloud,
        api: Api,
        *,
        interval_seconds: float,
        chance: Random,
    ) -> None:
        self.phase = Phase.UNKNOWN
        self.config = Config(version=0, enabled=False)
        self._name = name
        self._instance = instance
        self._cloud = cloud
        self._api = api
        self._interval_seconds = interval_seconds
        self._chance = chance
        self._id = ""
        self._epoch = 0
        self._failures = 0

    async def live(self) -> None:
        """Live until the instance is retired; to cancel this is to let the instance crash."""
        while self.phase is not Phase.RETIRED:
            pause = await self._step()
            await asyncio.sleep(pause)

    async def _step(self) -> float:
        """Do what the phase asks for, and return the seconds until the next step."""
        try:
            pause = await (self._register() if self.phase is Phase.UNKNOWN else self._beat())
        except Failure as failure:
            self._failures += 1
            if self._failures == 1:
                log.warning("%s has no answer and tries again: %s", self._name, failure)
            asked = failure.retry_after_seconds
            return pauses.until_next_try(self._failures, asked, self._chance)
        if self._failures:
            log.info("%s has an answer after %d failures", self._name, self._failures)
            self._failures = 0
        return pause

    async def _register(self) -> float:
        answer = await self._api.register(self._registration())
        self._id, self._epoch = answer.body["agent_id"], answer.epoch
        self.config = Config.of(answer)
        self._enter(phase_after_registration(answer.outcome), answer)
        return pauses.until_first_beat(self._interval_seconds, self._chance)

    async def _beat(self) -> float:
        try:
            answer = await self._api.heartbeat(self._id, self._heartbeat())
            # A gateway whose view is behind does not know yet that this instance took over.
            if answer.epoch >= self._epoch:
                self._enter(phase_after_beat(self.phase, answer.outcome), answer)
                await self._follow_config(answer)
        except Failure as failure:
            if failure.status not in (NOT_FOUND, GONE):
                raise
            log.warning("%s is not known any more and registers again: %s", self._name, failure)
            self.phase = Phase.UNKNOWN
            return pauses.until_next_try(1, failure.retry_after_seconds, self._chance)
        return pauses.until_next_beat(self._interval_seconds, self._chance)

    async def _follow_config(self, answer: Answer) -> None:
        if self.phase is Phase.PRIMARY and answer.config_version != self.config.version:
            self.config = Config.of(await self._api.config(self._id))
            log.info("%s runs by config version %d", self._name, self.config.version)

    def _enter(self, phase: Phase, answer: Answer) -> None:
        if phase is self.phase:
            return
        self.phase = phase
        at = f"{self._name} at epoch {answer.epoch}, on {self._instance.instance_id},"
        if phase is Phase.RETIRED:
            log.error("%s falls silent for good: %s", at, answer.outcome)
        else:
            log.info("%s is %s", at, phase)

    def _registration(self) -> dict[str, Any]:
        return {
            "logical_agent_id": self._name,
            **asdict(self._instance),
            "hostname": self._instance.hostname,
            "agent_version": VERSION,
        }

    def _heartbeat(self) -> dict[str, Any]:
        now = clock.now()
        return {
            "timestamp": now.isoformat(),
            "status": "online" if self.config.enabled else "disabled",
            "current_mode": self._instance.mode,
            "current_pool_id": self._instance.pool_id,
            "spot_price": self._cloud.spot_price(self._instance, now),
            "ondemand_price": self._cloud.ondemand_price(self._instance),
            "instance_id": self._instance.instance_id,
            "agent_version": VERSION,
            "config_version": self.config.version,
        }
