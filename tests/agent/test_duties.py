"""What an agent does by itself over real HTTP: announcements, cleaning, prices, decisions."""

from datetime import UTC, datetime, timedelta

from spotkeeper_agent import clock
from spotkeeper_agent.cloud import SimulatedCloud
from spotkeeper_agent.market import Fate
from spotkeeper_contracts.values import rfc3339
from tests.agent.control_plane import ControlPlane
from tests.agent.living import SOON, calls, living
from tests.agent.worlds import NAME, cloud_with_a_home, home_of
from tests.stack import eventually

LATER = datetime(2099, 1, 1, tzinfo=UTC)


def world() -> SimulatedCloud:
    return cloud_with_a_home(clock.now())


async def test_prices_are_told_and_a_decision_is_asked_for(plane: ControlPlane) -> None:
    cloud = world()
    instance = home_of(cloud).instance
    async with living(plane, cloud, home_of(cloud)):
        (question, *_) = await calls(plane, "decide")
    told = plane.of("pricing-report")[0].body
    assert told["instance_type"] == "m5.large"
    assert [pool["az"] for pool in told["spot_prices"]] == [f"us-east-1{zone}" for zone in "abc"]
    assert told["on_demand_price"] == 0.096
    current = question.body["current_state"]
    assert current["instance_id"] == instance.instance_id
    assert current["current_pool"] == "m5.large.us-east-1a"
    asked = {
        pool["pool_id"]: pool["price"] for pool in question.body["pricing_data"]["available_pools"]
    }
    assert asked == {pool["pool_id"]: pool["price"] for pool in told["spot_prices"]}
    assert current["current_price"] == asked["m5.large.us-east-1a"]
    metrics = question.body["metrics"]
    assert 10 <= metrics["uptime_hours"] < 10.1
    assert metrics["interruption_count"] == cloud.interruptions(NAME) == 0


async def test_what_aws_announces_is_told_once(plane: ControlPlane) -> None:
    cloud, now = world(), clock.now()
    instance_id = home_of(cloud).instance.instance_id
    cloud.interrupt(instance_id, Fate(now, now + timedelta(seconds=0.2)))
    plane.prepare("rebalance-recommendation", 503)
    async with living(plane, cloud, home_of(cloud)):
        (notice, *_) = await calls(plane, "termination-imminent")
        await calls(plane, "heartbeat", len(plane.of("heartbeat")) + 5)
    first, again = plane.of("rebalance-recommendation")
    assert first.body == again.body
    assert first.body == {"instance_id": instance_id, "recommendation_time": now.isoformat()}
    assert len(plane.of("termination-imminent")) == 1
    assert notice.body["instance_id"] == instance_id
    notice_at, ends_at = (
        datetime.fromisoformat(notice.body[name]) for name in ("notice_time", "termination_time")
    )
    assert ends_at - notice_at == timedelta(minutes=2)


async def test_what_is_left_behind_is_ended_and_reported(plane: ControlPlane) -> None:
    cloud = world()
    home = home_of(cloud)
    before = cloud.launch(
        "m5.large",
        region="us-east-1",
        az="us-east-1b",
        mode="spot",
        client_token="before",
        user_data=home.user_data,
        now=clock.now(),
    ).instance
    plane.left_behind = [
        {
            "instance_id": instance_id,
            "reason": "zombie_instance",
            "age_hours": 0.1,
            "terminate_after": rfc3339(clock.now()),
        }
        for instance_id in (before.instance_id, "i-never-heard-of")
    ]
    async with living(plane, cloud, home):
        await calls(plane, "termination-report", 2)
        await eventually(lambda: not plane.left_behind, within_seconds=SOON)
    assert cloud.running() == [home]
    told = {call.body["instance_id"]: call.body for call in plane.of("termination-report")}
    assert told[before.instance_id]["reason"] == "system"
    assert told[before.instance_id]["termination_type"] == "graceful"


async def test_an_agent_that_is_disabled_only_beats(plane: ControlPlane) -> None:
    plane.enabled = False
    cloud = world()
    async with living(plane, cloud, home_of(cloud)):
        await calls(plane, "heartbeat", 20)
    assert {call.kind for call in plane.calls} == {"register", "heartbeat"}


async def test_who_is_told_that_it_is_not_the_primary_acts_no_more_until_a_beat_says_otherwise(
    plane: ControlPlane,
) -> None:
    plane.prepare("pricing-report", 409, "NOT_PRIMARY")
    cloud = world()
    async with living(plane, cloud, home_of(cloud)):
        await calls(plane, "decide")
    kinds = [call.kind for call in plane.calls]
    refused = kinds.index("pricing-report")
    acting = {"pricing-report", "decide"}  # Other duties may have been under way when it was told.
    next_act = next(n for n in range(refused + 1, len(kinds)) if kinds[n] in acting)
    assert "heartbeat" in kinds[refused:next_act]


async def test_a_standby_does_nothing_but_beat(plane: ControlPlane) -> None:
    plane.prepare("register", X_Outcome="standby")
    for _ in range(99):
        plane.prepare("heartbeat", X_Outcome="not-primary")
    cloud = world()
    cloud.interrupt(home_of(cloud).instance.instance_id, Fate(clock.now()))
    async with living(plane, cloud, home_of(cloud)):
        await calls(plane, "heartbeat", 20)
    assert {call.kind for call in plane.calls} == {"register", "heartbeat"}


async def test_a_duty_that_gets_no_answer_is_done_later(plane: ControlPlane) -> None:
    plane.prepare("pricing-report", 500)
    plane.prepare("decide", 504)
    plane.prepare("instances-to-terminate", 503)
    plane.prepare("pending-commands", 503)
    cloud = world()
    async with living(plane, cloud, home_of(cloud)):
        for kind in ("decide", "instances-to-terminate", "pending-commands"):
            await calls(plane, kind, 2)
