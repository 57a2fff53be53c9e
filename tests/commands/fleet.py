"""An agent of a test's own, and what it does with the commands service."""

from datetime import timedelta
from typing import Any, TypeVar
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts import Message, Refused, Request
from spotkeeper_contracts.agents import AgentRequest, AgentState
from spotkeeper_contracts.commands import (
    Command,
    CommandDetail,
    CommandQueue,
    LeaseCommands,
    ListCommands,
    QueueSwitch,
    ReportExecution,
)
from spotkeeper_contracts.emergencies import (
    AnnounceTermination,
    EmergencyStatus,
    GetEmergencyStatus,
    RecommendRebalance,
)
from spotkeeper_contracts.instances import InstanceTerminated
from spotkeeper_contracts.pools import PoolState
from spotkeeper_contracts.replicas import (
    CreateReplica,
    ListReplicas,
    PromoteInstance,
    RecordPromotion,
    Replica,
    ReportReplicaStatus,
)

CLIENT = UUID(int=7)
HOME = "i-home"
MANUAL = {"manual_replica_enabled": True, "auto_switch_enabled": False}
M = TypeVar("M", bound=Message)


class OneAgent:
    """One agent of a client, as the registry tells of it."""

    def __init__(self, commands: Scene, *, client_id: UUID = CLIENT, **state: Any) -> None:
        self.commands = commands
        self.id = clock.new_id()
        told = {"client_id": client_id, "revision": 1, "status": "online", **state}
        self.state = example(AgentState, agent_id=self.id, **told)

    async def ask(self, kind: type[Request], **fields: Any) -> Any:
        """Put a request about this agent."""
        if issubclass(kind, AgentRequest):
            fields = {"agent": self.state, **fields}
        fields = {"agent_id": self.id, "client_id": self.state.client_id, **fields}
        return await self.commands.handle(example(kind, **fields))

    async def refusal(self, kind: type[Request], **fields: Any) -> str:
        """The code that a request is refused with."""
        with pytest.raises(Refused) as refused:
            await self.ask(kind, **fields)
        return refused.value.refusal.code

    async def changes(self, **state: Any) -> None:
        """Let the registry tell another state; settings are given as `config`."""
        config = self.state.config.model_copy(update=state.pop("config", {}))
        changed = {"revision": self.state.revision + 1, "config": config, **state}
        self.state = self.state.model_copy(update=changed)
        await self.commands.handle(self.state)

    async def queue(self, **fields: Any) -> UUID:
        """Let the registry queue a switch; its command's id."""
        told = {"command_id": clock.new_id(), "trigger": "manual", "target_mode": "spot", **fields}
        answer = await self.ask(QueueSwitch, **told)
        id: UUID = answer.command_id
        return id

    async def lease(self, limit: int = 50) -> list[Command]:
        """The commands that it gets."""
        answer = await self.ask(LeaseCommands, limit=limit)
        commands: list[Command] = answer.commands
        return commands

    async def report(self, command_id: UUID, status: str = "success", **fields: Any) -> None:
        """Say what became of a command."""
        await self.ask(ReportExecution, command_id=command_id, status=status, **fields)

    async def history(self, **fields: Any) -> list[CommandDetail]:
        """Its commands, newest first."""
        page = await self.ask(ListCommands, **{"cursor": None, **fields})
        items: list[CommandDetail] = page.items
        return items

    async def status(self, command_id: UUID) -> str:
        """Where a command stands."""
        return next(c.status for c in await self.history() if c.command_id == command_id)

    async def replicas(self, **wanted: Any) -> list[Replica]:
        """Its replicas, newest first: those of which all this is so."""
        answer = await self.ask(ListReplicas)
        assert answer.total == len(answer.replicas)
        return [
            replica
            for replica in answer.replicas
            if all(getattr(replica, name) == value for name, value in wanted.items())
        ]

    async def replica(self, **fields: Any) -> Replica:
        """Order a replica, in the safest pool if none is named."""
        answer = await self.ask(CreateReplica, **{"pool_id": None, "instance_id": None, **fields})
        replica: Replica = answer.replica
        return replica

    async def launched(self, instance_id: str = "i-replica", **fields: Any) -> Replica:
        """Order a replica, and say that its instance is there and ready."""
        replica = await self.replica(**fields)
        return await self.says(replica.replica_id, "ready", instance_id=instance_id)

    async def says(self, replica_id: UUID, status: str, **fields: Any) -> Replica:
        """Say where a replica stands."""
        told = {"instance_id": None, "error": None, **fields}
        answer = await self.ask(ReportReplicaStatus, replica_id=replica_id, status=status, **told)
        replica: Replica = answer.replica
        return replica

    async def promoted(self, order: Message | None, **fields: Any) -> Any:
        """Let the registry obey an order to promote; the answer of who recorded that."""
        assert isinstance(order, PromoteInstance)
        former = self.state.instance_id
        moved = {"instance_id": order.instance.instance_id, "epoch": self.state.epoch + 1}
        moved |= {"revision": self.state.revision + 1}
        self.state = self.state.model_copy(update=moved)
        told = {"emergency_id": order.emergency_id, "termination": order.termination, **fields}
        return await self.ask(
            RecordPromotion, replica_id=order.replica_id, former_instance_id=former, **told
        )

    async def rebalance(self) -> tuple[str, UUID | None]:
        """Tell that AWS recommends to leave; what is done, with which replica."""
        answer = await self.ask(RecommendRebalance, instance_id=self.state.instance_id)
        return answer.action_taken, answer.replica_id

    async def notice(self, **fields: Any) -> Any:
        """Tell that AWS terminates the primary."""
        return await self.ask(
            AnnounceTermination, **{"instance_id": self.state.instance_id, **fields}
        )

    async def emergencies(self) -> EmergencyStatus:
        """How it stands with emergencies."""
        status = await self.ask(GetEmergencyStatus)
        assert isinstance(status, EmergencyStatus)
        return status

    async def last_event(self) -> tuple[bool, str, str, str]:
        """Whether there is an emergency, and the type, the action and the outcome of the last."""
        status = await self.emergencies()
        last = status.last_emergency_event
        assert last is not None
        return status.emergency_mode_active, last.type, last.action_taken, last.outcome

    async def instance_ends(self, instance_id: str, **fields: Any) -> None:
        """Let the registry tell that an instance is gone."""
        told = {"agent_id": self.id, "client_id": self.state.client_id, "at": clock.now(), **fields}
        await self.commands.handle(example(InstanceTerminated, instance_id=instance_id, **told))

    async def pool(self, az: str, price: float | None, **fields: Any) -> None:
        """Let the decision service tell of the pool in a zone; its client's if nothing else."""
        at = clock.now()
        told = {"client_id": self.state.client_id, "as_of": at, **fields}
        told = {"revision": int(at.timestamp() * 1e3) % 2**31, "pool_id": f"t3.medium.{az}", **told}
        await self.commands.handle(example(PoolState, az=az, price_usd_per_hour=price, **told))

    def emitted(self, kind: type[M]) -> list[M]:
        """What the last message made the service say, of one type."""
        return [message for message in self.commands.emitted if isinstance(message, kind)]

    def told_of_queue(self) -> tuple[int, int | None] | None:
        """What was said of its queue at last, if it was."""
        told = self.emitted(CommandQueue)
        return (told[-1].deliverable, told[-1].highest_priority) if told else None


def later(**span: float) -> None:
    """Let the clock run ahead of the true time by this much in all."""
    clock.move(timedelta(**span))


def agent(config: dict[str, Any] | None = None, **known: Any) -> AgentState:
    """An agent at home, with some settings."""
    return example(AgentState, config=config or {}, **{"instance_id": HOME, **known})
