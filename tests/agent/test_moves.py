"""How orders are carried out over real HTTP: the launches, the reports, and crashes in between."""

import asyncio
from dataclasses import replace
from typing import Any

import pytest

from spotkeeper_agent import clock
from spotkeeper_agent.cloud import SimulatedCloud
from spotkeeper_agent.standing import Phase
from spotkeeper_contracts.switches import SwitchReport
from tests.agent.control_plane import ControlPlane
from tests.agent.living import SOON, calls, living
from tests.agent.worlds import FAST, cloud_with_a_home, home_of, switch_command
from tests.stack import eventually

QUIET = replace(FAST, decide_seconds=3_600, clean_seconds=3_600)


def world() -> SimulatedCloud:
    return cloud_with_a_home(clock.now())


async def test_a_switch_launches_hands_over_and_reports(plane: ControlPlane) -> None:
    cloud = world()
    home = home_of(cloud)
    plane.order(switch_command(epoch=1))
    async with living(plane, cloud, home, QUIET):
        (report_call, *_) = await calls(plane, "switch-report")
    report = SwitchReport.model_validate(report_call.body)
    assert report.old_instance.instance_id == home.instance.instance_id
    assert report.old_instance.pool_id == "m5.large.us-east-1a"
    assert report.new_instance.pool_id == "m5.large.us-east-1b"
    assert report.new_instance.instance_id in {i.instance.instance_id for i in cloud.running()}
    assert str(report.command_id) == switch_command()["command_id"]
    assert report.trigger == "automatic"
    assert report.downtime_seconds
    assert report.pricing.new_spot
    timing = report.timing
    assert timing.instance_launched_at
    assert timing.instance_ready_at
    assert timing.initiated_at < timing.instance_launched_at < timing.instance_ready_at
    assert "switching" in {beat.body["status"] for beat in plane.of("heartbeat")}
    assert not plane.of("executed")


async def test_who_handed_over_acts_no_more_and_falls_silent(plane: ControlPlane) -> None:
    plane.prepare("switch-report", X_Agent_Epoch="2")
    plane.order(switch_command(epoch=1))
    cloud = world()
    async with living(plane, cloud, home_of(cloud), QUIET) as (agent, life):
        await calls(plane, "switch-report")
        plane.epoch = 2
        plane.order(switch_command(epoch=2, expected_instance_id=None))
        for _ in range(9):
            plane.prepare("heartbeat", X_Outcome="not-primary")
        await asyncio.wait_for(life, SOON)
    assert agent.standing.phase is Phase.RETIRED
    assert len(plane.of("switch-report")) == 1
    assert len(cloud.running()) == 2


async def test_a_report_without_an_answer_is_repeated_under_its_key(plane: ControlPlane) -> None:
    plane.prepare("switch-report", 504)
    plane.prepare("switch-report", 503)
    plane.order(switch_command(epoch=1))
    cloud = world()
    async with living(plane, cloud, home_of(cloud), QUIET):
        reports = await calls(plane, "switch-report", 3)
    assert len({call.fields["Idempotency-Key"] for call in reports}) == 1
    assert all(call.body == reports[0].body for call in reports)
    assert {call.fields["X-Instance-Id"] for call in reports} == {
        reports[0].body["old_instance"]["instance_id"]
    }


async def test_an_agent_killed_in_mid_switch_goes_on_with_the_same_instance(
    plane: ControlPlane,
) -> None:
    cloud = world()
    home = home_of(cloud)
    plane.order(switch_command(epoch=1))
    async with living(plane, cloud, home, replace(QUIET, boot_seconds=3_600)):
        await eventually(lambda: len(cloud.running()) == 2, within_seconds=SOON)
    assert not plane.of("switch-report")

    plane.order(switch_command(epoch=1))  # Its lease ran out.
    async with living(plane, cloud, home, QUIET):
        (report, *_) = await calls(plane, "switch-report")
    assert len(cloud.running()) == 2
    assert report.body["new_instance"]["instance_id"] != home.instance.instance_id


@pytest.mark.parametrize(
    ("parameters", "word"),
    [
        ({"expected_instance_id": "i-another"}, "expected_instance_id"),
        ({"expected_pool": "m5.large.us-east-1c"}, "expected_pool"),
        ({"not_after": "2020-01-01T00:00:00Z"}, "not_after"),
        ({"max_price": 0.0001}, "max_price"),
        ({"epoch": 0}, "epoch"),
    ],
)
async def test_an_order_that_came_too_late_is_reported_and_changes_nothing(
    plane: ControlPlane, parameters: dict[str, Any], word: str
) -> None:
    cloud = world()
    plane.order(switch_command(**{"epoch": 1, **parameters}))
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    assert report.body["status"] == "failed"
    assert report.body["error"].startswith(f"{word}: ")
    assert len(cloud.running()) == 1


async def test_a_pool_that_the_cloud_does_not_have_fails_the_order(plane: ControlPlane) -> None:
    cloud = world()
    plane.order({**switch_command(epoch=1), "target_pool": "us-east-1b-pool-3"})
    async with living(plane, cloud, home_of(cloud), QUIET) as (agent, _):
        (report, *_) = await calls(plane, "executed")
        assert report.body["error"] == "us-east-1b-pool-3 names no pool of EC2"
        await eventually(lambda: agent.standing.may_act, within_seconds=SOON)
    assert report.path.endswith(f"/commands/{switch_command()['command_id']}/executed")


async def test_a_refused_switch_leaves_no_instance_behind(plane: ControlPlane) -> None:
    cloud = world()
    plane.prepare("switch-report", 409, "STALE_REPORT")
    plane.order(switch_command(epoch=1))
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    assert report.body["status"] == "failed"
    assert len(cloud.running()) == 1


async def test_an_emergency_goes_on_demand_where_it_is(plane: ControlPlane) -> None:
    cloud = world()
    plane.order(
        {
            **switch_command(epoch=1, trigger="emergency"),
            "target_pool": None,
            "target_mode": "ondemand",
        }
    )
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "switch-report")
    new = report.body["new_instance"]
    assert (new["mode"], new["pool_id"], new["az"]) == ("ondemand", None, "us-east-1a")
    assert report.body["trigger"] == "emergency"


async def test_a_newcomer_whose_predecessor_is_gone_reports_the_switch(plane: ControlPlane) -> None:
    cloud = world()
    home = home_of(cloud)
    plane.order(switch_command(epoch=1))
    async with living(plane, cloud, home, replace(QUIET, boot_seconds=3_600)):
        await eventually(lambda: len(cloud.running()) == 2, within_seconds=SOON)
    cloud.terminate(home.instance.instance_id, by="aws")

    plane.calls.clear()
    plane.prepare("register", X_Outcome="standby")
    plane.prepare("heartbeat", X_Outcome="not-primary")
    async with living(plane, cloud, home_of(cloud), QUIET) as (agent, _):
        (report, *_) = await calls(plane, "switch-report")
        await eventually(lambda: agent.standing.phase is Phase.PRIMARY, within_seconds=SOON)
    told = SwitchReport.model_validate(report.body)
    assert told.downtime_seconds is None
    assert told.new_instance.instance_id == home_of(cloud).instance.instance_id


async def test_a_newcomer_whom_nobody_wants_ends_itself(plane: ControlPlane) -> None:
    cloud = world()
    home = home_of(cloud)
    plane.order(switch_command(epoch=1))
    async with living(plane, cloud, home, replace(QUIET, boot_seconds=3_600)):
        await eventually(lambda: len(cloud.running()) == 2, within_seconds=SOON)
    newcomer = next(launch for launch in cloud.running() if launch != home)
    told = replace(newcomer.user_data, give_up_at="2020-01-01T00:00:00+00:00")

    plane.prepare("register", X_Outcome="standby")
    for _ in range(99):
        plane.prepare("heartbeat", X_Outcome="not-primary")
    async with living(plane, cloud, replace(newcomer, user_data=told), QUIET):
        await eventually(lambda: cloud.running() == [home], within_seconds=SOON)


async def test_a_replica_is_launched_told_of_and_reported(plane: ControlPlane) -> None:
    cloud = world()
    command = switch_command(epoch=1, replica_id="replica-1")
    plane.order({**command, "command_type": "create_replica"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    (status,) = plane.of("status")
    launched = cloud.running()[1]
    assert status.path.endswith("/replicas/replica-1/status")
    assert status.body == {"status": "syncing", "instance_id": launched.instance.instance_id}
    assert launched.user_data.replica_id == "replica-1"
    assert report.body["status"] == "success"
    assert report.body["result"] == {"instance_id": launched.instance.instance_id}
    assert report.body["duration_seconds"] >= 0


async def test_a_replica_that_is_not_wanted_any_more_is_ended(plane: ControlPlane) -> None:
    cloud = world()
    plane.prepare("status", 409, "REPLICA_ENDED")
    command = switch_command(epoch=1, replica_id="replica-1")
    plane.order({**command, "command_type": "create_replica"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    assert report.body["status"] == "failed"
    assert len(cloud.running()) == 1


async def test_a_replica_tells_how_far_it_is_until_it_is_ready(plane: ControlPlane) -> None:
    cloud = world()
    command = switch_command(epoch=1, replica_id="replica-1")
    plane.order({**command, "command_type": "create_replica"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        await calls(plane, "executed")
    plane.calls.clear()
    plane.prepare("register", X_Outcome="standby")
    for _ in range(99):
        plane.prepare("heartbeat", X_Outcome="not-primary")
    plane.prepare("sync-status", 409, "NOT_LAUNCHED")
    async with living(plane, cloud, cloud.running()[1], QUIET):
        (ready, *_) = await calls(plane, "status")
    told = [call.body["sync_percentage"] for call in plane.of("sync-status")]
    assert told == sorted(told)
    assert told[-1] == 100
    assert ready.body["status"] == "ready"
    assert ready.fields["X-Instance-Id"] == ready.body["instance_id"]


async def test_a_promotion_is_asked_for_in_the_present_epoch(plane: ControlPlane) -> None:
    cloud = world()
    command = switch_command(epoch=1, replica_id="replica-1")
    plane.order({**command, "command_type": "promote_replica"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        (promotion, *_) = await calls(plane, "promote")
    assert promotion.path.endswith("/replicas/replica-1/promote")
    assert promotion.body == {"epoch": 1}


async def test_a_config_is_fetched_on_order(plane: ControlPlane) -> None:
    cloud = world()
    plane.order({**switch_command(epoch=1), "command_type": "update_config"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    assert len(plane.of("config")) == 1
    assert report.body["result"] == {"config_version": 1}


async def test_an_order_of_tomorrow_is_reported_as_failed(plane: ControlPlane) -> None:
    cloud = world()
    plane.order({**switch_command(epoch=1), "command_type": "dance"})
    async with living(plane, cloud, home_of(cloud), QUIET):
        (report, *_) = await calls(plane, "executed")
    assert report.body["error"] == "This agent does not know how to dance"


async def test_one_of_many_agents_asks_for_commands_when_a_beat_says_so(
    plane: ControlPlane,
) -> None:
    cloud = world()
    async with living(plane, cloud, home_of(cloud), replace(QUIET, wait_seconds=0)):
        await calls(plane, "heartbeat", 3)
        assert not plane.of("pending-commands")
        plane.order({**switch_command(epoch=1), "command_type": "update_config"})
        await calls(plane, "executed")
