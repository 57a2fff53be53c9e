"""The loop over the whole system: agents that decide, move, are interrupted, and clean up.

Their world is simulated, their pace is fast; everything else is real, and reached over HTTP.
"""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import datetime
from pathlib import Path
from random import Random

import pytest

from chassis import clock
from spotkeeper_agent.agent import Agent
from spotkeeper_agent.api import connect
from spotkeeper_agent.cloud import Launch, SimulatedCloud, make_instance
from spotkeeper_agent.control import Control
from spotkeeper_agent.fleet import age_of
from spotkeeper_agent.market import Fate, Market, pool_id
from spotkeeper_agent.situation import Pace
from spotkeeper_agent.world import World
from tests.stack import eventually
from tests.system.driver import Json, System

KIND, HOME, OTHER, THIRD = "m5.large", "us-east-1a", "us-east-1b", "us-east-1c"
PRICES = {HOME: 0.036, OTHER: 0.036, THIRD: 0.037}
SOON = 30.0
PACE = Pace.of(1.5, wait_seconds=5.0)


class SetPrices(Market):
    """A market in which a test says what a pool costs."""

    def __init__(self) -> None:
        super().__init__(seed=7)
        self.prices = dict(PRICES)

    def spot_price(self, instance_type: str, az: str, at: datetime) -> float:
        return self.prices[az]


class Watched:
    """An agent in its world, and what the control plane says of it."""

    def __init__(self, system: System, name: str, market: SetPrices, cloud: SimulatedCloud) -> None:
        self.market = market
        self.cloud = cloud
        self._system = system
        self._name = name
        self._id = ""

    async def agent(self) -> Json | None:
        """The agent in the list, once it is there."""
        answer = await self._system.http.get("/api/agents", params={"q": self._name})
        found = answer.json()["items"]
        self._id = found[0]["agent_id"] if found else ""
        return found[0] if found else None

    async def registered(self) -> Json:
        """The agent, once it has registered."""
        agent = await eventually(self.agent, within_seconds=SOON)
        assert isinstance(agent, dict)
        return agent

    async def moved_from(self, instance_id: str) -> Json:
        """The agent, once it lives on another instance and says that it does."""

        async def moved() -> Json | None:
            agent = await self.agent()
            is_there = agent and agent["instance_id"] != instance_id
            return agent if is_there and agent and agent["status"] == "online" else None

        agent = await eventually(moved, within_seconds=SOON)
        assert isinstance(agent, dict)
        return agent

    async def get(self, place: str) -> Json:
        """Something of the agent."""
        answer = await self._system.http.get(f"/api/agents/{self._id}/{place}")
        assert answer.status_code == 200, answer.text
        return dict(answer.json())

    async def post(self, place: str, body: Json) -> Json:
        """Tell or ask something of the agent."""
        answer = await self._system.http.post(f"/api/agents/{self._id}/{place}", json=body)
        assert answer.is_success, answer.text
        return dict(answer.json())

    async def change(self, **settings: object) -> None:
        """Change the agent's config."""
        answer = await self._system.http.patch(f"/api/agents/{self._id}/config", json=settings)
        assert answer.status_code == 200, answer.text

    async def trail(self) -> list[str]:
        """The types of the lines of its audit trail, oldest first."""
        items = (await self.get("events?limit=500"))["items"]
        return [item["event_type"] for item in reversed(items)]


@asynccontextmanager
async def living(system: System, folder: Path) -> AsyncIterator[Watched]:
    """A world with one agent that nobody else uses."""
    name, market = f"loop-{clock.new_id().hex[-12:]}", SetPrices()
    cloud = SimulatedCloud(market, seed=7, began_at=clock.now())
    home = make_instance(7, KIND, region="us-east-1", az=HOME, mode="spot", client_token=name)
    cloud.settle(name, home, age_of(name, seed=7))
    control, chance = Control(folder), Random(7)
    control.open([name])
    token = system.ready["client_token"]
    async with connect(system.gateway, token) as api:

        def agent(launch: Launch) -> Agent:
            return Agent(launch, cloud, api, pace=PACE, chance=chance)

        world = World({name: home}, cloud, control, agent, PACE, chance)
        turning = asyncio.create_task(world.turn())
        try:
            yield Watched(system, name, market, cloud)
        finally:
            turning.cancel()
            await asyncio.wait({turning})


@pytest.fixture
async def watched(system: System, tmp_path: Path) -> AsyncIterator[Watched]:
    """An agent in its world, registered."""
    async with living(system, tmp_path) as watched:
        await watched.registered()
        yield watched


async def terminated(watched: Watched, instance_id: str) -> None:
    """Wait until an instance has ended, in the cloud and in the audit trail."""

    async def reported() -> bool:
        return "instance_terminated" in await watched.trail()

    await eventually(reported, within_seconds=SOON)
    assert not watched.cloud.is_running(instance_id)


async def test_a_cheaper_pool_moves_an_agent_and_ends_the_instance_that_it_left(
    watched: Watched,
) -> None:
    before = await watched.registered()
    await watched.change(terminate_wait_seconds=1)
    watched.market.prices[OTHER] = 0.012
    after = await watched.moved_from(before["instance_id"])
    assert after["current_pool_id"] == pool_id(KIND, OTHER)
    assert after["epoch"] == before["epoch"] + 1
    await terminated(watched, before["instance_id"])

    (command,) = (await watched.get("commands"))["items"]
    assert command["status"] == "succeeded"
    assert command["parameters"]["trigger"] == "automatic"
    (switch,) = (await watched.get("switches"))["items"]
    assert switch["command_id"] == command["command_id"]
    assert switch["trigger"] == "automatic"
    assert switch["promised_savings_per_hour"] == pytest.approx(0.036 - 0.012)
    assert switch["downtime_seconds"] > 0
    statistics = (await watched.get("statistics"))["statistics"]
    assert statistics["switches_executed"] == 1
    assert statistics["decisions_by_trigger"] == {"automatic": 1, "manual": 0}
    assert statistics["switches_recommended"] >= 1
    assert statistics["total_decisions"] >= statistics["switches_recommended"]
    assert statistics["avg_downtime_seconds"] == pytest.approx(switch["downtime_seconds"])
    trail = await watched.trail()
    wanted = ["agent_registered", "switch_issued", "switch_completed", "instance_terminated"]
    assert [line for line in trail if line in wanted] == wanted


async def test_an_operator_moves_an_agent(watched: Watched) -> None:
    before = await watched.registered()
    issued = await watched.post(
        "issue-switch-command", {"target_pool": pool_id(KIND, THIRD), "reason": "a test"}
    )
    after = await watched.moved_from(before["instance_id"])
    assert after["current_pool_id"] == pool_id(KIND, THIRD)
    (switch,) = (await watched.get("switches"))["items"]
    assert switch["command_id"] == issued["command_id"]
    assert switch["trigger"] == "manual"


async def test_with_auto_switch_off_a_cheaper_pool_is_only_shown(watched: Watched) -> None:
    before = await watched.registered()
    await watched.change(auto_switch_enabled=False)
    watched.market.prices[OTHER] = 0.012

    async def recommended() -> bool:
        answer = await watched.get("switch-recommendation")
        return bool(answer["recommendation"] == "switch")

    await eventually(recommended, within_seconds=SOON)
    answer = await watched.get("switch-recommendation")
    assert answer["target_pool"] == pool_id(KIND, OTHER)
    assert answer["will_auto_execute"] is False
    assert (await watched.get("commands"))["items"] == []
    assert (await watched.registered())["instance_id"] == before["instance_id"]


async def test_an_interruption_is_met_by_a_replica(watched: Watched, tmp_path: Path) -> None:
    before = await watched.registered()
    # Else the engine may leave the pool in the seconds between the recommendation and the notice.
    await watched.change(terminate_wait_seconds=1, auto_switch_enabled=False)
    Control(tmp_path).interrupt((await watched.registered())["logical_agent_id"])
    after = await watched.moved_from(before["instance_id"])
    assert after["epoch"] == before["epoch"] + 1
    (replica,) = (await watched.get("replicas"))["replicas"]
    assert replica["status"] == "promoted"
    assert replica["kind"] == "emergency"
    assert replica["instance_id"] == after["instance_id"]
    await terminated(watched, before["instance_id"])

    status = await watched.get("emergency-status")
    assert status["emergency_mode_active"] is False
    assert status["termination_notices_24h"] == 1
    assert status["last_emergency_event"]["outcome"] == "success"
    trail = await watched.trail()
    wanted = ["agent_registered", "replica_promoted", "instance_terminated"]
    assert [line for line in trail if line in wanted] == wanted


async def test_the_engine_leaves_an_endangered_pool_and_the_replica_stands_down(
    watched: Watched,
) -> None:
    before = await watched.registered()
    await watched.change(terminate_wait_seconds=1)
    watched.cloud.interrupt(before["instance_id"], Fate(rebalance_at=clock.now()))
    after = await watched.moved_from(before["instance_id"])
    assert after["epoch"] == before["epoch"] + 1
    (switch,) = (await watched.get("switches"))["items"]
    assert switch["trigger"] == "automatic"
    (replica,) = (await watched.get("replicas"))["replicas"]
    assert replica["status"] == "terminated"
    assert replica["instance_id"] != after["instance_id"]
    running = watched.cloud.running
    await eventually(
        lambda: [one.instance.instance_id for one in running()] == [after["instance_id"]],
        within_seconds=SOON,
    )
    status = await watched.get("emergency-status")
    assert status["emergency_mode_active"] is False
    assert status["last_emergency_event"]["outcome"] == "success"


async def test_an_agent_that_crashes_in_mid_switch_ends_on_one_instance(
    watched: Watched, tmp_path: Path
) -> None:
    before = await watched.registered()
    control, name = Control(tmp_path), before["logical_agent_id"]
    await watched.post("issue-switch-command", {"target_pool": pool_id(KIND, THIRD)})
    await eventually(lambda: len(watched.cloud.running()) == 2, within_seconds=SOON)
    control.stop(name)
    control.start(name)
    after = await watched.moved_from(before["instance_id"])
    assert after["current_pool_id"] == pool_id(KIND, THIRD)
    launched = {launch.instance.instance_id for launch in watched.cloud.running()}
    assert launched == {before["instance_id"], after["instance_id"]}
    assert len((await watched.get("switches"))["items"]) == 1
