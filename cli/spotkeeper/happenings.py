"""What happened, in few words for the summary, and what is under way by it. Pure."""

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

Data = Mapping[str, Any]

QUIET = frozenset({"CommandDelivered", "CommandStarted", "AgentUpdated", "SavingsMetered"})
"""What another event tells as well, or comes by the clock; who wants them all reads the event
stream."""

WORST = {"failed", "expired", "cancelled", "partial"}


@dataclass
class UnderWay:
    """What the events so far have begun, ended and brought about."""

    switches: int = 0
    commands: set[str] = field(default_factory=set)
    emergencies: set[str] = field(default_factory=set)

    def follow(self, kind: str, data: Data) -> None:
        """Take an event into account; a repeat changes the count of switches alone."""
        match kind:
            case "CommandQueued":
                self.commands.add(data["command"]["command_id"])
            case "CommandFinished":
                self.commands.discard(data["command"]["command_id"])
            case "EmergencyOpened":
                self.emergencies.add(data["emergency_id"])
            case "EmergencyClosed":
                self.emergencies.discard(data["emergency_id"])
            case "SwitchCompleted":
                self.switches += 1

    def line(self) -> str:
        """All of it in one line."""
        return (
            f"switches {self.switches} since the start"
            f" · commands {len(self.commands)} open · emergencies {len(self.emergencies)} open"
        )


def in_words(kind: str, data: Data) -> str | None:
    """An event with what matters of it; None for those that say nothing new."""
    if kind in QUIET:
        return None
    match kind:
        case "DecisionMade":
            return _decision(data)
        case "CommandQueued":
            return f"{kind} {_command(data)} ({data['command']['parameters']['trigger']})"
        case "CommandFinished":
            detail = f": {data['detail']}" if data.get("detail") and data["status"] in WORST else ""
            return f"{kind} {_command(data)} {data['status']}{detail}"
        case "SwitchCompleted":
            return f"{kind} {_place(data['old_instance'])} → {_place(data['new_instance'])}"
        case "ReplicaChanged":
            replica = data["replica"]
            return f"{kind} {replica['kind']} {replica['status']} in {_place(replica)}"
        case "EmergencyOpened":
            return f"{kind} {data['kind']}: {data['action_taken']}"
        case "EmergencyChanged":
            return f"{kind} {data['action_taken']}"
        case "EmergencyClosed":
            return f"{kind} {data['outcome']}"
        case "AgentPromoted" | "InstanceBecameZombie" | "InstanceTerminated":
            return f"{kind} {data['instance_id']}"
    return kind


def _decision(data: Data) -> str | None:
    """A decision to move; most decisions are to stay."""
    if data["recommendation"] == "stay":
        return None
    target = data["target_pool"] or "on demand"
    verdict = "" if data["will_auto_execute"] else ", not by itself"
    return f"DecisionMade {data['recommendation']} to {target}{verdict}"


def _command(data: Data) -> str:
    command = data["command"]
    is_somewhere = command["command_type"] in ("switch", "create_replica")
    where = f" to {_target(command)}" if is_somewhere else ""
    return f"{command['command_type']}{where}"


def _target(command: Data) -> str:
    return str(command["target_pool"] or "on demand")


def _place(of: Data) -> str:
    return str(of["pool_id"] or "on demand")
