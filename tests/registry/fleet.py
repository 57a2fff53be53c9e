"""Agents of a test's own, and what it does with them."""

from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts import Message, Refused, Request
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentRegistration,
    AgentState,
    EventPage,
    GetAgent,
    ListEvents,
    RegisterAgent,
    Registration,
)
from spotkeeper_contracts.configs import ChangeConfig
from spotkeeper_contracts.instances import Instance, ListInstancesToTerminate, ReportTermination
from spotkeeper_contracts.switches import IssueSwitch, ReportSwitch, SwitchReport

CLIENT = UUID(int=7)


class OneAgent:
    """One agent of a client, not registered yet."""

    def __init__(self, registry: Scene, *, client_id: UUID = CLIENT) -> None:
        self.registry = registry
        self.id = clock.new_id()
        self.client_id = client_id

    @property
    def emitted(self) -> list[type[Message]]:
        """The types of what the last request emitted."""
        return [type(message) for message in self.registry.emitted]

    async def ask(self, kind: type[Request], **fields: Any) -> Any:
        """Put a request about this agent."""
        request = example(kind, agent_id=self.id, client_id=self.client_id, **fields)
        return await self.registry.handle(request)

    async def register(self, instance_id: str, **told: Any) -> str:
        """Register from an instance; what became of it."""
        return (await self.registration(instance_id, **told)).outcome

    async def registration(self, instance_id: str, **told: Any) -> AgentRegistration:
        """Register from an instance; the whole answer."""
        logical_id = told.pop("logical_agent_id", str(self.id))
        request = RegisterAgent(
            agent_id=self.id,
            client_id=self.client_id,
            registration=example(
                Registration, logical_agent_id=logical_id, instance_id=instance_id, **told
            ),
        )
        reply = await self.registry.handle(request)
        assert isinstance(reply, AgentRegistration)
        return reply

    async def change(self, **settings: Any) -> None:
        """Change settings."""
        await self.ask(ChangeConfig, settings=settings)

    async def issue(self, pool: str | None = "pool-b", mode: str = "spot") -> Any:
        """Ask for a switch."""
        return await self.ask(IssueSwitch, target_pool=pool, target_mode=mode)

    async def report(self, old: str, new: str, **changes: Any) -> Any:
        """Report a switch from one instance to another."""
        told = {
            "command_id": None,
            "old_instance": instance(old),
            "new_instance": instance(new, pool_id="pool-b", az="us-east-1b"),
            **changes,
        }
        report = example(SwitchReport, **told)
        return await self.registry.handle(
            ReportSwitch(agent_id=self.id, client_id=self.client_id, report=report)
        )

    async def terminated(self, instance_id: str, **changes: Any) -> Any:
        """Report the termination of an instance."""
        request = ReportTermination(
            agent_id=self.id, client_id=self.client_id, instance_id=instance_id, **changes
        )
        return await self.registry.handle(request)

    async def to_terminate(self) -> list[str]:
        """The instances that it is told to terminate."""
        reply = await self.ask(ListInstancesToTerminate)
        return [one.instance_id for one in reply.instances]

    async def state(self) -> AgentState:
        """The agent as everyone may know it."""
        answer = await self.ask(GetAgent)
        assert isinstance(answer, AgentAnswer)
        return answer.state

    async def refusal(self, kind: type[Request], **fields: Any) -> str:
        """The code that a request is refused with."""
        with pytest.raises(Refused) as refused:
            await self.ask(kind, **fields)
        return refused.value.refusal.code

    async def trail(self) -> list[str]:
        """What its audit trail tells of, oldest first."""
        page = await self.ask(ListEvents, limit=500)
        assert isinstance(page, EventPage)
        return [event.event_type for event in reversed(page.items)]

    async def notifications(self) -> list[str]:
        """What its client was told of, oldest first."""
        rows = await self.registry.db.raw.fetch(
            "select kind from notifications where agent_id = $1 and client_id = $2"
            " order by created_at",
            self.id,
            self.client_id,
        )
        return [row["kind"] for row in rows]

    async def statuses(self) -> dict[str, str]:
        """What each of its instances is."""
        rows = await self.registry.db.raw.fetch(
            "select instance_id, status from instances where agent_id = $1", self.id
        )
        return {row["instance_id"]: row["status"] for row in rows}


def instance(id: str, **changes: Any) -> Instance:
    """An instance of this id."""
    return example(Instance, instance_id=id, **changes)
