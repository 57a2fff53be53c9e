"""Replicas: where they lie and what they cost."""

import pytest

from chassis.testing import Scene
from spotkeeper_contracts.replicas import ChangeReplica
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
