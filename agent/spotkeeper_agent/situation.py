"""Where an agent's instance stands: what its duties and its orders have in common."""

import asyncio
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from random import Random

from spotkeeper_agent.calls import Calls
from spotkeeper_agent.cloud import Instance, Launch, SimulatedCloud
from spotkeeper_agent.standing import Standing


@dataclass(frozen=True, slots=True, kw_only=True)
class Pace:
    """How often an agent does what, and how long the simulated world takes for its part."""

    beat_seconds: float
    wait_seconds: float
    """How long a question for commands waits for one; zero: it is asked when a beat says so."""
    look_seconds: float
    decide_seconds: float
    clean_seconds: float
    boot_seconds: float
    sync_seconds: float
    handover_seconds: float

    @classmethod
    def of(cls, beat_seconds: float, *, wait_seconds: float) -> "Pace":
        """Everything in proportion to the beat; of half a minute it makes real figures."""
        return cls(
            beat_seconds=beat_seconds,
            wait_seconds=wait_seconds,
            look_seconds=beat_seconds / 6,
            decide_seconds=beat_seconds * 2,
            clean_seconds=beat_seconds,
            boot_seconds=beat_seconds / 3,
            sync_seconds=beat_seconds,
            handover_seconds=beat_seconds / 15,
        )


@dataclass(slots=True, kw_only=True)
class Situation:
    """An instance of an agent in its cloud, and its line to the control plane."""

    launch: Launch
    cloud: SimulatedCloud
    calls: Calls
    standing: Standing
    pace: Pace
    chance: Random
    beat_due: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when the next beat shall not wait."""
    orders_due: asyncio.Event = field(default_factory=asyncio.Event)
    """Set when there may be commands to fetch."""

    @property
    def name(self) -> str:
        """The agent's logical id."""
        return self.launch.user_data.name

    @property
    def instance(self) -> Instance:
        """The instance that the agent lives on."""
        return self.launch.instance

    def ready_at(self, launch: Launch) -> datetime:
        """When an instance has booted."""
        return launch.launched_at + timedelta(seconds=self.pace.boot_seconds)

    def doubt(self) -> None:
        """Act no more until the next beat, which comes at once, says that all is as it was."""
        self.standing.is_doubted = True
        self.beat_due.set()
