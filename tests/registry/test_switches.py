"""The gate of switches, and what a reported switch or a promotion makes true."""

from typing import Any
from uuid import UUID

import pytest

from chassis import clock
from chassis.testing import Scene, example
from spotkeeper_contracts import Message, Refused, Request
from spotkeeper_contracts.agents import (
    AgentAnswer,
    AgentPromoted,
    AgentState,
    GetAgent,
    RegisterAgent,
    Registration,
)
from spotkeeper_contracts.commands import (
    CommandFinished,
    CommandQueued,
    CommandQueuedAnswer,
    CommandStatus,
    QueueSwitch,
    Trigger,
)
from spotkeeper_contracts.configs import ChangeConfig
from spotkeeper_contracts.instances import Instance, InstanceBecameZombie, InstanceTerminated
from spotkeeper_contracts.message import Done
from spotkeeper_contracts.replicas import (
    PromoteInstance,
    RecordPromotion,
    Replica,
    ReplicaChanged,
    ReplicaStatus,
)
from spotkeeper_contracts.switches import IssueSwitch, RecordSwitch, ReportSwitch, SwitchReport

CLIENT = UUID(int=7)
FIRST, SECOND = "i-first", "i-second"


class Fleet:
    """One agent on its first instance, and what tests do with it."""

    def __init__(self, registry: Scene) -> None:
        self.registry = registry
        self.id = clock.new_id()

    async def register(self, instance_id: str) -> str:
        registration = example(Registration, logical_agent_id=str(self.id), instance_id=instance_id)
        reply = await self.registry.handle(
            RegisterAgent(agent_id=self.id, client_id=CLIENT, registration=registration)
        )
        return str(getattr(reply, "outcome"))  # noqa: B009

    async def change(self, **settings: Any) -> None:
        await self.registry.handle(
            ChangeConfig(agent_id=self.id, client_id=CLIENT, settings=settings)
        )

    async def issue(self, pool: str | None = "pool-b", mode: str = "spot") -> Any:
        return await self.registry.handle(
            example(
                IssueSwitch,
                agent_id=self.id,
                client_id=CLIENT,
                target_pool=pool,
                target_mode=mode,
            )
        )

    async def report(self, old: str, new: str, **changes: Any) -> Any:
        report = example(
            SwitchReport,
            **{
                "command_id": None,
                "old_instance": instance(old),
                "new_instance": instance(new, pool_id="pool-b", az="us-east-1b"),
                **changes,
            },
        )
        return await self.registry.handle(
            ReportSwitch(agent_id=self.id, client_id=CLIENT, report=report)
        )

    async def state(self) -> AgentState:
        answer = await self.registry.handle(GetAgent(agent_id=self.id, client_id=CLIENT))
        assert isinstance(answer, AgentAnswer)
        return answer.state

    async def refusal(self, request: Request | None = None, **issue: Any) -> str:
        with pytest.raises(Refused) as refused:
            await (self.issue(**issue) if request is None else self.registry.handle(request))
        return refused.value.refusal.code

    async def statuses(self) -> dict[str, str]:
        rows = await self.registry.db.raw.fetch(
            "select instance_id, status from instances where agent_id = $1", self.id
        )
        return {row["instance_id"]: row["status"] for row in rows}


def instance(id: str, **changes: Any) -> Instance:
    return example(Instance, instance_id=id, **changes)


@pytest.fixture
async def fleet(registry: Scene) -> Fleet:
    fleet = Fleet(registry)
    await fleet.register(FIRST)
    return fleet


def kinds(messages: list[Message]) -> list[type[Message]]:
    return [type(message) for message in messages]


async def test_the_gate_hands_a_switch_on_with_the_state_it_was_let_through_by(
    fleet: Fleet,
) -> None:
    queued = await fleet.issue()
    assert isinstance(queued, QueueSwitch)
    assert queued.agent == await fleet.state()
    assert (queued.priority, queued.trigger) == (75, Trigger.MANUAL)


async def test_the_gate_says_no_in_the_documented_words(fleet: Fleet) -> None:
    await fleet.change(enabled=False)
    assert await fleet.refusal() == "AGENT_DISABLED"
    await fleet.change(auto_switch_enabled=False)
    assert await fleet.refusal() == "AUTO_SWITCH_DISABLED"
    await fleet.change(auto_switch_enabled=True, enabled=True)
    pool = (await fleet.state()).current_pool_id
    assert await fleet.refusal(pool=pool) == "ALREADY_ON_TARGET"


async def test_one_switch_at_a_time(fleet: Fleet) -> None:
    queued = await fleet.issue("pool-b")
    again = await fleet.issue("pool-b")
    assert again == CommandQueuedAnswer(command_id=queued.command_id)
    assert await fleet.refusal(pool="pool-c") == "SWITCH_IN_PROGRESS"


@pytest.mark.parametrize("status", [CommandStatus.CANCELLED, CommandStatus.SUCCEEDED])
async def test_the_gate_opens_again_when_the_command_has_ended(
    fleet: Fleet, status: CommandStatus
) -> None:
    queued = await fleet.issue("pool-b")
    await fleet.registry.handle(finished(fleet, queued.command_id, status))
    other = await fleet.issue("pool-c")
    assert other.command_id != queued.command_id


@pytest.mark.parametrize(
    ("status", "outcome"),
    [(CommandStatus.SUCCEEDED, "standby"), (CommandStatus.FAILED, "promoted")],
)
async def test_a_newcomer_stands_by_until_a_successful_switch_is_reported(
    fleet: Fleet, status: CommandStatus, outcome: str
) -> None:
    queued = await fleet.issue("pool-b")
    assert await fleet.register("i-early") == "standby"
    await fleet.registry.handle(finished(fleet, queued.command_id, status))
    assert await fleet.register(SECOND) == outcome


def finished(fleet: Fleet, command_id: UUID, status: CommandStatus) -> CommandFinished:
    command = {"command_id": command_id, "command_type": "switch"}
    return example(
        CommandFinished, agent_id=fleet.id, client_id=CLIENT, command=command, status=status
    )


async def test_a_reported_switch_moves_the_agent_and_leaves_the_old_instance_behind(
    fleet: Fleet,
) -> None:
    before = await fleet.state()
    record = await fleet.report(FIRST, SECOND, timing={"old_terminated_at": None})
    assert isinstance(record, RecordSwitch)
    assert kinds(fleet.registry.emitted) == [AgentPromoted, InstanceBecameZombie, AgentState]
    state = await fleet.state()
    assert (state.instance_id, state.epoch) == (SECOND, before.epoch + 1)
    assert (state.current_pool_id, state.az) == ("pool-b", "us-east-1b")
    assert record.agent == state
    assert await fleet.statuses() == {FIRST: "zombie", SECOND: "primary"}


@pytest.mark.parametrize(("auto_terminate", "status"), [(True, "terminated"), (False, "zombie")])
async def test_an_old_instance_that_has_ended_is_gone_if_it_might_end_by_itself(
    fleet: Fleet, auto_terminate: bool, status: str
) -> None:
    await fleet.change(auto_terminate_enabled=auto_terminate)
    await fleet.report(FIRST, SECOND, timing={"old_terminated_at": clock.now()})
    assert (await fleet.statuses())[FIRST] == status
    assert (InstanceTerminated in kinds(fleet.registry.emitted)) == auto_terminate


async def test_a_repeated_report_changes_nothing_and_a_stale_one_is_refused(
    fleet: Fleet,
) -> None:
    command_id = clock.new_id()
    await fleet.report(FIRST, SECOND, command_id=command_id)
    state = await fleet.state()
    assert await fleet.report(FIRST, SECOND) == Done(revision=state.revision)
    assert await fleet.report(FIRST, "i-x", command_id=command_id) == Done(revision=state.revision)
    assert fleet.registry.emitted == []
    with pytest.raises(Refused, match="STALE_REPORT"):
        await fleet.report(FIRST, "i-third")
    with pytest.raises(Refused, match="STALE_REPORT"):
        await fleet.report(SECOND, FIRST)
    assert await fleet.state() == state


async def test_a_standby_becomes_primary_by_the_report(fleet: Fleet) -> None:
    queued = await fleet.issue("pool-b")
    assert await fleet.register(SECOND) == "standby"
    await fleet.report(FIRST, SECOND, command_id=queued.command_id)
    assert (await fleet.statuses())[SECOND] == "primary"
    assert await fleet.register(SECOND) == "updated"
    assert await fleet.register(FIRST) == "zombie-rejected"


async def test_an_emergency_switch_lets_its_newcomer_stand_by(fleet: Fleet) -> None:
    command = {"command_type": "switch", "parameters": {"trigger": "emergency"}}
    event = example(CommandQueued, agent_id=fleet.id, client_id=CLIENT, command=command)
    await fleet.registry.handle(event)
    fresh = clock.now() < event.command.expires_at
    assert await fleet.register(SECOND) == ("standby" if fresh else "promoted")


async def test_a_replicas_instance_stands_by_as_long_as_the_replica_lives(fleet: Fleet) -> None:
    await fleet.registry.handle(replica(fleet, ReplicaStatus.LAUNCHING, None))
    assert await fleet.register("i-any") == "standby"
    await fleet.registry.handle(replica(fleet, ReplicaStatus.READY, SECOND))
    assert await fleet.register(SECOND) == "standby"
    await fleet.registry.handle(replica(fleet, ReplicaStatus.FAILED, SECOND))
    assert await fleet.register(SECOND) == "promoted"


REPLICA = UUID(int=9)


def replica(fleet: Fleet, status: ReplicaStatus, instance_id: str | None) -> ReplicaChanged:
    told = example(Replica, replica_id=REPLICA, status=status, instance_id=instance_id)
    return example(ReplicaChanged, agent_id=fleet.id, client_id=CLIENT, replica=told)


def promotion(fleet: Fleet, **changes: Any) -> PromoteInstance:
    return PromoteInstance(
        agent_id=fleet.id,
        client_id=CLIENT,
        replica_id=REPLICA,
        **{"instance": instance(SECOND), **changes},
    )


@pytest.mark.parametrize(("demote", "status"), [(True, "zombie"), (False, "superseded")])
async def test_a_promotion_makes_a_replicas_instance_the_primary(
    fleet: Fleet, demote: bool, status: str
) -> None:
    record = await fleet.registry.handle(promotion(fleet, epoch=1, demote_old_primary=demote))
    assert isinstance(record, RecordPromotion)
    assert (record.former_instance_id, record.agent.epoch) == (FIRST, 2)
    assert await fleet.statuses() == {FIRST: status, SECOND: "primary"}


async def test_a_promotion_of_another_epoch_or_of_a_zombie_is_refused(fleet: Fleet) -> None:
    assert await fleet.refusal(promotion(fleet, epoch=2)) == "STALE_EPOCH"
    await fleet.report(FIRST, SECOND)
    zombie = promotion(fleet, instance=instance(FIRST))
    assert await fleet.refusal(zombie) == "STALE_REPORT"


async def test_a_repeated_promotion_is_only_recorded_again(fleet: Fleet) -> None:
    await fleet.registry.handle(promotion(fleet))
    record = await fleet.registry.handle(promotion(fleet))
    assert isinstance(record, RecordPromotion)
    assert fleet.registry.emitted == []
