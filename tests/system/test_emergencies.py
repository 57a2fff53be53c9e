"""Emergencies over HTTP: a replica is prepared and takes over, with the engine stopped too."""

import os
import signal
from typing import Any

from spotkeeper_contracts.topics import AGENT_COMMANDS, AGENT_EVENTS
from tests.stack import eventually
from tests.system.driver import Agent, Json, System


def notice(agent: Agent) -> Json:
    """AWS's notice that the instance which registered ends."""
    id = agent.registration["instance_id"]
    return {"instance_id": id, "termination_time": "2024-11-26T10:02:00Z"}


async def status(agent: Agent) -> Json:
    """The agent's emergency status."""
    return dict((await agent.get("emergency-status")).json())


async def settled(agent: Agent, **expected: Any) -> None:
    """Wait until the emergency status says all this."""

    async def is_so() -> bool:
        found = await status(agent)
        return all(found[name] == value for name, value in expected.items())

    await eventually(is_so, within_seconds=30)


async def test_a_recommended_replica_takes_over_when_the_notice_comes(system: System) -> None:
    agent = await system.register()
    replica_instance = f"{agent.registration['instance_id']}-r"
    answer = (await agent.post("rebalance-recommendation", {})).json()
    assert (answer["success"], answer["action_taken"]) == (True, "replica_created")
    assert (await agent.post("rebalance-recommendation", {})).json() == answer
    id = answer["replica_id"]
    [command] = (await agent.get("pending-commands", params={"wait": 5})).json()
    assert (command["command_type"], command["priority"]) == ("create_replica", 100)
    assert command["parameters"]["replica_id"] == id
    shown = await status(agent)
    assert (shown["emergency_mode_active"], shown["emergency_replicas_count"]) == (True, 1)

    early = await agent.post(f"replicas/{id}/promote", {})
    assert (early.status_code, early.json()["code"]) == (409, "NOT_LAUNCHED")
    told = {"status": "syncing", "instance_id": replica_instance}
    assert (await agent.post(f"replicas/{id}/status", told)).status_code == 200
    answer = (await agent.post("rebalance-recommendation", {})).json()
    assert (answer["action_taken"], answer["replica_id"]) == ("replica_ready", id)
    stale = await agent.post(f"replicas/{id}/promote", {"epoch": 7})
    assert (stale.status_code, stale.json()["code"]) == (409, "STALE_EPOCH")

    answer = (await agent.post("termination-imminent", notice(agent))).json()
    assert (answer["action_taken"], answer["replica_id"]) == ("replica_promoted", id)

    async def in_the_trail() -> bool:
        lines = (await agent.get("events")).json()["items"]
        told = [line["data"] for line in lines if line["event_type"] == "emergency_opened"]
        return {one["action_taken"] for one in told} == {
            *("emergency_replica_created", "replica_promoted")
        }

    await eventually(in_the_trail, within_seconds=20)
    detail = await agent.detail()
    assert (detail["instance_id"], detail["epoch"]) == (replica_instance, 2)
    await settled(agent, emergency_mode_active=False, termination_notices_24h=1)
    last = (await status(agent))["last_emergency_event"]
    assert (last["type"], last["action_taken"]) == ("termination_notice", "replica_promoted")
    assert last["outcome"] == "success"

    events = [message["type"] for message in await system.messages(AGENT_COMMANDS, agent.id)]
    assert sum("EmergencyOpened" in str(kind) for kind in events) == 2
    about = [message["type"] for message in await system.messages(AGENT_EVENTS, agent.id)]
    assert any("AgentPromoted" in str(kind) for kind in about)


async def test_a_notice_sends_an_agent_without_replica_on_demand(system: System) -> None:
    agent = await system.register()
    await agent.change(auto_switch_enabled=False)
    answer = (await agent.post("termination-imminent", notice(agent))).json()
    assert (answer["action_taken"], answer["replica_id"]) == ("switch_to_ondemand", None)
    [command] = (await agent.get("pending-commands", params={"wait": 5})).json()
    assert command["command_id"] == answer["command_id"]
    assert (command["target_mode"], command["target_pool"]) == ("ondemand", None)
    assert (command["priority"], command["parameters"]["trigger"]) == (100, "emergency")


async def test_emergencies_need_no_decision_service(system: System) -> None:
    agent = await system.register()
    decision = system.pid("decision")
    os.kill(decision, signal.SIGSTOP)
    try:
        answer = (await agent.post("rebalance-recommendation", {})).json()
        assert answer["action_taken"] == "replica_created"
        answer = (await agent.post("termination-imminent", notice(agent))).json()
        assert answer["action_taken"] == "promotion_pending"
    finally:
        os.kill(decision, signal.SIGCONT)


async def test_manual_mode_keeps_a_replica_standing(system: System) -> None:
    agent = await system.register()
    await agent.change(manual_replica_enabled=True, auto_switch_enabled=False)

    async def launching() -> list[str]:
        listed = (await agent.get("replicas")).json()["replicas"]
        return [r["replica_id"] for r in listed if r["status"] == "launching"]

    async def one_stands() -> bool:
        return len(await launching()) == 1

    await eventually(one_stands, within_seconds=30)
    [first] = await launching()
    told = {"status": "ready", "instance_id": f"{agent.registration['instance_id']}-m"}
    await agent.post(f"replicas/{first}/status", told)
    assert (await agent.system.http.delete(f"{agent.path}/replicas/{first}")).status_code == 200
    await eventually(one_stands, within_seconds=30)
    await agent.change(terminate_wait_seconds=0)

    async def is_left_behind() -> bool:
        listed = (await agent.get("instances-to-terminate")).json()
        return [(one["instance_id"], one["reason"]) for one in listed] == [
            (told["instance_id"], "replica_retired")
        ]

    await eventually(is_left_behind, within_seconds=30)
