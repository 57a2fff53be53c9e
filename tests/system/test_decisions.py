"""Decisions from outside: asked over HTTP, fed by reports and notices, acted upon by the loop."""

from collections.abc import AsyncIterator
from dataclasses import replace
from typing import Any

import pytest

from chassis import clock
from spotkeeper_contracts.topics import AGENT_DECISIONS, ENGINE_STATE, POOL_STATE
from tests.stack import eventually
from tests.system.driver import Agent, System

HERE, THERE = "us-east-1a-pool-1", "us-east-1b-pool-1"


def situation(pools: dict[str, float] | None = None, **current: Any) -> dict[str, Any]:
    """The documented request, but for what is given."""
    return {
        "current_state": {
            "instance_id": "i-current",
            "instance_type": "t3.medium",
            "current_mode": "spot",
            "current_pool": HERE,
            "current_price": 0.0104,
            **current,
        },
        "pricing_data": {
            "available_pools": [
                {"pool_id": id, "price": price}
                for id, price in ({THERE: 0.0098} if pools is None else pools).items()
            ],
            "ondemand_price": 0.0416,
        },
        "metrics": {"uptime_hours": 24, "interruption_count": 0},
    }


@pytest.fixture
async def agent(system: System) -> AsyncIterator[Agent]:
    """An agent of a client that has no other."""
    async with await system.client(f"decided-{clock.new_id().hex}") as http:
        yield await replace(system, http=http).register()


async def test_a_decision_becomes_a_command_by_itself(agent: Agent) -> None:
    answer = await agent.post("decide", situation())
    assert answer.status_code == 200, answer.text
    body = answer.json()
    assert set(body) == {
        *("recommendation", "target_pool", "confidence", "reason", "expected_savings_per_day"),
        "risk_score",
    }
    assert (body["recommendation"], body["target_pool"]) == ("switch", THERE)
    assert body["expected_savings_per_day"] == 0.0144

    async def queued() -> Any:
        return (await agent.get("pending-commands")).json()

    [command] = await eventually(queued, within_seconds=20)
    assert (command["command_type"], command["target_pool"]) == ("switch", THERE)
    assert command["parameters"]["trigger"] == "automatic"
    assert command["priority"] == 25
    [listed] = (await agent.get("commands")).json()["items"]
    assert listed["transitions"][0]["actor"] == "system:decision"  # Whoever asked ordered nothing.
    statistics = (await agent.get("statistics")).json()["statistics"]
    assert (statistics["total_decisions"], statistics["switches_recommended"]) == (1, 1)
    explained = (await agent.get("explain")).json()
    assert explained["model_version"].startswith("risk-")
    made = await agent.system.messages(AGENT_DECISIONS, agent.id)
    assert [one["will_auto_execute"] for one in made] == [True]


async def test_a_later_decision_takes_the_waiting_command_back(agent: Agent) -> None:
    await agent.post("decide", situation())

    async def status() -> str | None:
        items = (await agent.get("commands")).json()["items"]
        return items[0]["status"] if items else None

    async def is_queued() -> bool:
        return await status() == "queued"

    await eventually(is_queued, within_seconds=15)
    told = (await agent.post("decide", situation({}))).json()
    assert told["recommendation"] == "stay"

    async def is_cancelled() -> bool:
        return await status() == "cancelled"

    await eventually(is_cancelled, within_seconds=15)
    assert (await agent.get("pending-commands")).json() == []


async def test_with_auto_switch_off_the_recommendation_shows_and_nothing_moves(
    agent: Agent,
) -> None:
    assert (await agent.change(auto_switch_enabled=False)).status_code == 200
    await agent.post("decide", situation())
    told = (await agent.get("switch-recommendation")).json()
    assert (told["recommendation"], told["will_auto_execute"]) == ("switch", False)
    assert told["savings_impact"] == 0.0006
    assert (await agent.get("pending-commands")).json() == []


async def test_reports_and_notices_move_the_risk(agent: Agent) -> None:
    nothing = await agent.get("switch-recommendation")
    assert nothing.headers["X-Outcome"] == "no-data"
    elsewhere = await agent.get("switch-recommendation", headers={"X-Instance-Id": "i-other"})
    assert elsewhere.headers["X-Outcome"] == "not-primary"
    report = {
        "instance_type": "t3.medium",
        "region": "us-east-1",
        "spot_prices": [
            {"pool_id": "t3.medium.us-east-1a", "az": "us-east-1a", "price": 0.0104},
            {"pool_id": "t3.medium.us-east-1b", "az": "us-east-1b", "price": 0.0098},
        ],
        "on_demand_price": 0.0416,
    }
    answer = await agent.post("pricing-report", report)
    assert answer.json() == {"success": True, "records_inserted": 2}
    told = (await agent.get("switch-recommendation")).json()
    assert (told["recommendation"], told["target_pool"]) == ("switch", "t3.medium.us-east-1b")

    async def states() -> Any:
        found = await agent.system.messages(POOL_STATE)
        return [one for one in found if one["client_id"] == agent.answer["client_id"]]

    before = await eventually(states, within_seconds=20)
    notice = {
        "instance_id": agent.registration["instance_id"],
        "termination_time": "2030-01-01T00:00:00Z",
    }
    assert (await agent.post("termination-imminent", notice)).status_code == 200
    calm = max(one["risk_1h"] for one in before)

    async def raised() -> bool:
        return any(one["risk_1h"] > 5 * calm for one in await states())

    await eventually(raised, within_seconds=20)


async def test_the_engine_says_how_it_is(agent: Agent) -> None:
    states = await agent.system.messages(ENGINE_STATE)
    assert states[-1]["healthy"]
    status = (await agent.get("emergency-status")).json()
    assert status["ml_models_loaded"]
    assert status["decision_engine_active"]


@pytest.mark.parametrize(
    "change",
    [
        {"pricing_data": None},
        {"metrics": {"uptime_hours": -1}},
        {"pricing_data": {"available_pools": [], "ondemand_price": -0.1}},
        {"pricing_data": {"available_pools": [], "ondemand_price": "NaN"}},
        {"pricing_data": {"available_pools": [{"pool_id": "p"}], "ondemand_price": 0.1}},
    ],
)
async def test_bad_input_is_refused_and_not_kept(agent: Agent, change: dict[str, Any]) -> None:
    answer = await agent.post("decide", {**situation(), **change})
    assert answer.status_code == 400
    assert answer.json()["error"] == "Validation failed"
    statistics = (await agent.get("statistics")).json()["statistics"]
    assert statistics["total_decisions"] == 0


async def test_too_many_pools_and_a_pool_twice_are_refused(agent: Agent) -> None:
    many = situation({f"pool-{n}": 0.01 for n in range(201)})
    assert (await agent.post("decide", many)).status_code == 400
    twice = situation()
    twice["pricing_data"]["available_pools"] *= 2
    assert (await agent.post("decide", twice)).status_code == 400
