"""What agents say late, or early, of a replica."""

import pytest

from chassis.testing import Scene
from commands.invariants import violations
from spotkeeper_contracts.instances import RetireInstance
from spotkeeper_contracts.replicas import PromoteReplica, ReportReplicaStatus, ReportReplicaSync
from tests.commands.fleet import OneAgent


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


@pytest.mark.parametrize("status", ["promoted", "terminated", "failed"])
async def test_a_replica_that_has_ended_is_given_no_other_instance(
    agent: OneAgent, status: str
) -> None:
    id = (await agent.launched("i-replica")).replica_id
    if status == "promoted":
        await agent.promoted(await agent.ask(PromoteReplica, replica_id=id, epoch=None))
    else:
        await agent.says(id, status)
    [ended] = await agent.replicas()
    told = {"replica_id": id, "status": status, "error": None}
    other = await agent.refusal(ReportReplicaStatus, **told, instance_id="i-other")
    assert other == "REPLICA_ENDED"
    assert await agent.replicas() == [ended]
    assert await agent.says(id, status, instance_id="i-replica") == ended
    assert agent.commands.emitted == []
    assert await violations(agent.commands.db.raw) == {}


async def test_an_instance_that_is_named_after_its_replica_failed_is_left_behind(
    agent: OneAgent,
) -> None:
    id = (await agent.replica()).replica_id
    await agent.says(id, "failed", error="no capacity")
    await agent.says(id, "failed", instance_id="i-late")
    assert [order.instance.instance_id for order in agent.emitted(RetireInstance)] == ["i-late"]


async def test_a_replica_that_launches_on_a_known_instance_is_ready_once_it_holds_the_data(
    agent: OneAgent,
) -> None:
    _, id = await agent.rebalance()
    assert id is not None
    await agent.says(id, "launching", instance_id="i-replica")
    for percentage, status in ((40.0, "syncing"), (100.0, "ready")):
        answer = await agent.ask(ReportReplicaSync, replica_id=id, sync_percentage=percentage)
        assert answer.replica.status == status
    assert await agent.rebalance() == ("replica_ready", id)
