"""Whatever happens, in whatever order the messages come: commands and the registry agree."""

import random
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.migrations import migrate
from chassis.testing import Scene, example, scene
from commands import invariants as of_commands
from registry import invariants as of_registry
from registry.app import service as registry_service
from spotkeeper_contracts import Refusal, Request
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentRequest,
    DeleteAgent,
    GetAgent,
    RegisterAgent,
    Registration,
)
from spotkeeper_contracts.commands import (
    CancelCommand,
    CommandsLeased,
    LeaseCommands,
    ReportExecution,
)
from spotkeeper_contracts.configs import ChangeConfig
from spotkeeper_contracts.emergencies import AnnounceTermination, RecommendRebalance
from spotkeeper_contracts.instances import Instance, ReportTermination
from spotkeeper_contracts.replicas import (
    CreateReplica,
    DeleteReplica,
    ListReplicas,
    PromoteReplica,
    ReplicaList,
    ReportReplicaStatus,
    ReportReplicaSync,
)
from spotkeeper_contracts.switches import IssueSwitch, ReportSwitch, SwitchReport
from tests.commands.bus import Bus
from tests.commands.fleet import CLIENT, later

INSTANCES = [f"i-{n}" for n in range(8)]
STEPS = 60


@pytest.fixture(scope="session")
async def registry_address(addresses: dict[str, str]) -> str:
    """The registry's address of the database where the commands service is migrated."""
    assert registry_service.migrations is not None
    await migrate(addresses["registry"], registry_service.migrations)
    return addresses["registry"]


@pytest.fixture
async def registry(registry_address: str) -> AsyncIterator[Scene]:
    async with scene(registry_service, registry_address) as acted:
        yield acted


class Wanderer:
    """An agent to which things happen."""

    def __init__(self, bus: Bus, chance: random.Random) -> None:
        self.id = clock.new_id()
        self._bus = bus
        self._chance = chance
        self._known: AgentAnswer | None = None
        self._leased: list[UUID] = []

    async def step(self) -> None:
        """Let one thing happen; a refusal is an answer like any other."""
        happenings: dict[Callable[[], Awaitable[object]], int] = {
            self._register: 8,
            self._report_switch: 6,
            self._change_config: 3,
            lambda: self._ask(IssueSwitch, target_pool=self._pool(), target_mode="spot"): 5,
            self._lease: 8,
            self._execute: 4,
            lambda: self._ask(CancelCommand, command_id=self._command()): 1,
            self._terminated: 3,
            lambda: self._ask(RecommendRebalance, instance_id=None): 4,
            lambda: self._ask(AnnounceTermination, instance_id=self._instance()): 4,
            lambda: self._ask(CreateReplica, pool_id=None, instance_id=None): 2,
            self._report_replica: 12,
            self._promote: 4,
            self._give_up: 2,
            lambda: self._ask(DeleteAgent): 1,
        }
        chosen = self._chance.choices([*happenings], [*happenings.values()])[0]
        await chosen()

    async def answer(self) -> AgentAnswer | None:
        """The agent as the registry knows it, unless it is unknown or deleted."""
        answer = await self._bus.ask(GetAgent(agent_id=self.id, client_id=CLIENT))
        return answer if isinstance(answer, AgentAnswer) else None

    async def _ask(self, kind: type[Request], **fields: Any) -> Any:
        """Ask as a gateway does, whose view may lag behind."""
        if issubclass(kind, AgentRequest):
            if self._known is None or self._chance.random() < 0.7:
                self._known = await self.answer()
            if self._known is None:
                return None
            fields = {"agent": self._known.state, **fields}
        request = example(kind, agent_id=self.id, client_id=CLIENT, **fields)
        answer = await self._bus.ask(request)
        return None if isinstance(answer, Refusal) else answer

    async def _register(self) -> None:
        told = example(Registration, logical_agent_id=str(self.id), instance_id=self._instance())
        await self._bus.ask(RegisterAgent(agent_id=self.id, client_id=CLIENT, registration=told))

    async def _report_switch(self) -> None:
        known = await self.answer()
        old = known and known.state.instance_id
        report = example(
            SwitchReport,
            command_id=self._command() if self._chance.random() < 0.5 else None,
            old_instance=example(Instance, instance_id=old or self._instance()),
            new_instance=example(Instance, instance_id=self._instance(), pool_id=self._pool()),
        )
        await self._ask(ReportSwitch, report=report)

    async def _change_config(self) -> None:
        name = self._chance.choice(
            ["enabled", "auto_switch_enabled", "auto_create_replica", "manual_replica_enabled"]
        )
        await self._ask(ChangeConfig, settings={name: self._chance.random() < 0.7})

    async def _lease(self) -> None:
        answer = await self._ask(LeaseCommands, limit=self._chance.randint(1, 3))
        if isinstance(answer, CommandsLeased):
            self._leased += [command.command_id for command in answer.commands]

    async def _execute(self) -> None:
        status = self._chance.choice(["success", "failed", "partial"])
        await self._ask(ReportExecution, command_id=self._command(), status=status)

    async def _terminated(self) -> None:
        success = self._chance.random() < 0.8
        await self._ask(ReportTermination, instance_id=self._instance(), success=success)

    async def _report_replica(self) -> None:
        fields: dict[str, Any] = {"replica_id": await self._replica()}
        if self._chance.random() < 0.3:
            percentage = self._chance.choice([50.0, 99.0])
            await self._ask(ReportReplicaSync, **fields, sync_percentage=percentage)
            return
        status = self._chance.choice(["syncing", "ready", "ready", "failed"])
        fields |= {"status": status, "instance_id": self._instance(), "error": None}
        await self._ask(ReportReplicaStatus, **fields)

    async def _promote(self) -> None:
        epoch = self._known.state.epoch if self._known and self._chance.random() < 0.5 else None
        demote = self._chance.random() < 0.7
        fields = {"replica_id": await self._replica(), "epoch": epoch}
        await self._ask(PromoteReplica, **fields, demote_old_primary=demote, wait_for_sync=False)

    async def _give_up(self) -> None:
        await self._ask(DeleteReplica, replica_id=await self._replica())

    async def _replica(self) -> UUID:
        answer = await self._ask(ListReplicas)
        known = answer.replicas if isinstance(answer, ReplicaList) else []
        return self._chance.choice(known).replica_id if known else self.id

    def _instance(self) -> str:
        return self._chance.choice(INSTANCES)

    def _pool(self) -> str:
        return self._chance.choice(["pool-a", "pool-b"])

    def _command(self) -> UUID:
        return self._chance.choice(self._leased) if self._leased else self.id


@pytest.mark.parametrize("seed", range(10))
async def test_any_history_comes_to_rest_in_order(
    commands: Scene, registry: Scene, seed: int
) -> None:
    chance = random.Random(seed)
    bus = Bus({"registry": registry, "commands": commands}, chance)
    agents = [Wanderer(bus, chance) for _ in range(2)]
    seconds = 0.0
    for _ in range(STEPS):
        await chance.choice(agents).step()
        assert await of_registry.violations(registry.db.raw) == {}
        await bus.deliver(at_most=chance.choice([0, 0, 1, 3, 10]))
        seconds += chance.choice([0, 0, 1, 30, 90, 1000])
        later(seconds=seconds)
        if chance.random() < 0.3:
            await bus.sweep()
    await bus.settle()
    assert await of_registry.violations(registry.db.raw) == {}
    assert await of_commands.violations(commands.db.raw) == {}
    for agent in agents:
        await _assert_both_agree(agent, commands, registry)


async def _assert_both_agree(agent: Wanderer, commands: Scene, registry: Scene) -> None:
    """What commands knows of an agent is what the registry knows, and no instance is forgotten."""
    answer = await agent.answer()
    known = await commands.db.raw.fetchrow(
        "select revision, state from agent_contexts where agent_id = $1", agent.id
    )
    if answer is not None:
        assert known is not None
        assert known["state"] == answer.state.model_dump(mode="json")
    statuses: dict[str, str] = {
        row["instance_id"]: row["status"]
        for row in await registry.db.raw.fetch(
            "select instance_id, status from instances where agent_id = $1", agent.id
        )
    }
    for row in await commands.db.raw.fetch(
        "select instance_id, status from replicas"
        " where agent_id = $1 and status in ('terminated', 'failed') and instance_id is not null",
        agent.id,
    ):
        assert statuses[row["instance_id"]] != "standby", f"a {row['status']} replica is forgotten"
