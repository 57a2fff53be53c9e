"""What an agent's instance is to the control plane, as far as it knows; pure but for memory.

UNKNOWN ──register──▶ PRIMARY ──not-primary──▶ RETIRED
   ▲  │                │   ▲                      ▲
   │  └──register──▶ STANDBY (beats until it is the primary)
   │                   │                          │
   └────404 or 410─────┘   UNKNOWN ──zombie-rejected
"""

from dataclasses import dataclass
from enum import StrEnum

from spotkeeper_agent.api import Answer

ZOMBIE_REJECTED, NOT_PRIMARY = "zombie-rejected", "not-primary"


class Phase(StrEnum):
    """What an agent's instance is to the control plane."""

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
    def of(cls, answer: Answer, *place: str) -> "Config":
        """The config in an answer, or in one place of it; raises `Failure` if there is none."""
        return cls(version=answer.config_version, enabled=answer.told(*place, "enabled"))


@dataclass(slots=True)
class Standing:
    """All that an agent knows of itself from the control plane."""

    phase: Phase = Phase.UNKNOWN
    agent_id: str = ""
    epoch: int = 0
    config: Config = Config(version=0, enabled=False)
    is_doubted: bool = False
    """Whether somebody else may be the primary by now, which the next beat tells."""
    is_switching: bool = False

    @property
    def may_act(self) -> bool:
        """Whether the instance may do anything beside beating."""
        return self.phase is Phase.PRIMARY and self.config.enabled and not self.is_doubted

    @property
    def status(self) -> str:
        """What the agent says of itself in its beats; a standby does not know its config yet."""
        if self.phase is Phase.PRIMARY and not self.config.enabled:
            return "disabled"
        return "switching" if self.is_switching else "online"


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
