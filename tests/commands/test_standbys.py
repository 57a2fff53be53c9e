"""Replicas: where they lie, what they cost, and which of them are listed."""

import pytest

from chassis.testing import Scene
from spotkeeper_contracts.replicas import ChangeReplica, ListReplicas
from tests.commands.fleet import OneAgent


@pytest.fixture
def agent(commands: Scene) -> OneAgent:
    return OneAgent(commands)


@pytest.mark.parametrize("is_changed", [False, True])
@pytest.mark.parametrize(
    ("known", "az", "price"),
    [
        ({"region": "us-east-1", "az": "us-east-1b"}, "us-east-1b", 0.01),
        ({"region": "us-west-2", "az": "us-west-2b"}, "us-east-1a", None),
        ({"region": "us-east-1", "az": "us-east-1b", "instance_type": "m5.large"},
         "us-east-1b", None),
    ],
)  # fmt: skip
async def test_a_replica_lies_in_its_agents_region_and_costs_what_its_type_does(
    agent: OneAgent, is_changed: bool, known: dict[str, str], az: str, price: float | None
) -> None:
    await agent.pool(price=0.01, pool_id="named", **known)
    if is_changed:
        place = {"pool_id": "named", "instance_id": None}
        id = (await agent.replica(pool_id="t3.medium.us-east-1c")).replica_id
        replica = (await agent.ask(ChangeReplica, replica_id=id, **place)).replica
    else:
        replica = await agent.replica(pool_id="named")
    assert (replica.pool_id, replica.region) == ("named", "us-east-1")
    assert (replica.az, replica.price_usd_per_hour) == (az, price)


COPIES = """
    insert into replicas select (jsonb_populate_record(r, jsonb_build_object(
        'id', gen_random_uuid(), 'status', 'terminated', 'instance_id', null, 'ended_at', now(),
        'created_at', r.created_at + n * interval '1 second'
    ))).* from replicas r, generate_series(1, 500) n where r.id = $1
"""


async def test_a_live_replica_is_listed_however_many_were_after_it(agent: OneAgent) -> None:
    old = await agent.launched()
    await agent.commands.db.raw.execute(COPIES, old.replica_id)
    young = await agent.replica()
    answer = await agent.ask(ListReplicas)
    assert (answer.total, len(answer.replicas)) == (502, 500)
    assert answer.replicas[-1] == old
    created = [replica.created_at for replica in answer.replicas]
    assert created == sorted(created, reverse=True)
    assert young in answer.replicas


async def test_one_replica_may_be_asked_for(agent: OneAgent) -> None:
    first, _ = await agent.replica(), await agent.replica()
    answer = await agent.ask(ListReplicas, replica_id=first.replica_id)
    assert (answer.replicas, answer.total) == ([first], 1)
    answer = await agent.ask(ListReplicas, replica_id=agent.id)
    assert (answer.replicas, answer.total) == ([], 0)
