"""One agent's life over real HTTP, with a control plane that says what a test wants."""

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from random import Random
from typing import Any

import pytest

from gateway.heartbeats import HeartbeatBody, decode
from gateway.routes.registration import RegistrationBody
from spotkeeper_agent import clock
from spotkeeper_agent.agent import Agent
from spotkeeper_agent.api import connect
from spotkeeper_agent.market import Fate
from spotkeeper_agent.standing import Phase, phase_after_beat, phase_after_registration
from spotkeeper_agent.world import live
from tests.agent.control_plane import TOKEN, ControlPlane, control_plane
from tests.agent.worlds import FAST, SLOW_BUT_BEATS, cloud_with_a_home, home_of
from tests.stack import eventually

SOON = 5.0
NO_OBJECTS: list[Any] = [{}, [], None, "yes"]
NO_LISTS: list[Any] = [{}, None, [{}], [None], [{"command_id": "a", "parameters": []}]]


@asynccontextmanager
async def living(plane: ControlPlane) -> AsyncIterator[tuple[Agent, asyncio.Task[None]]]:
    """An agent that lives until the end of the context, if not shorter."""
    cloud = cloud_with_a_home()
    async with connect(plane.url, TOKEN) as api:
        agent = Agent(home_of(cloud), cloud, api, pace=SLOW_BUT_BEATS, chance=Random(7))
        life = asyncio.create_task(agent.live())
        try:
            yield agent, life
        finally:
            life.cancel()
            await asyncio.wait({life})


async def beats(plane: ControlPlane, more: int) -> None:
    """Wait for some more beats."""
    count = len(plane.of("heartbeat")) + more
    await eventually(lambda: len(plane.of("heartbeat")) >= count, within_seconds=SOON)


async def test_an_agent_registers_and_beats_with_the_documented_bodies(
    plane: ControlPlane,
) -> None:
    async with living(plane) as (agent, _):
        await beats(plane, 3)
    assert agent.standing.phase is Phase.PRIMARY
    assert [call.kind for call in plane.calls[:4]] == ["register", *["heartbeat"] * 3]
    registration = RegistrationBody.model_validate(plane.calls[0].body)
    beat = decode(json.dumps(plane.calls[1].body).encode())
    assert registration.logical_agent_id == "agent-01"
    assert (beat.status, beat.config_version) == ("online", 1)
    assert beat.instance_id == registration.instance_id
    assert registration.model_fields_set == set(plane.calls[0].body)
    assert set(plane.calls[1].body) == set(HeartbeatBody.model_fields)


async def test_beats_share_one_connection(plane: ControlPlane) -> None:
    async with living(plane):
        await beats(plane, 10)
    assert plane.connections == 1


@pytest.mark.parametrize("status", [401, 408, 429, 500, 503, 504])
async def test_no_failure_makes_an_agent_give_up(plane: ControlPlane, status: int) -> None:
    plane.prepare("register", status)
    async with living(plane) as (agent, _):
        await beats(plane, 1)
        plane.prepare("heartbeat", status)
        plane.prepare("heartbeat", status)
        await beats(plane, 4)
    assert agent.standing.phase is Phase.PRIMARY
    assert len(plane.of("register")) == 2


@pytest.mark.parametrize("kind", ["register", "heartbeat"])
async def test_an_agent_waits_as_long_as_it_is_asked_to(plane: ControlPlane, kind: str) -> None:
    plane.prepare(kind, 503, Retry_After="1")
    async with living(plane):
        await eventually(lambda: len(plane.of(kind)) > 1, within_seconds=SOON)
    first, second = plane.of(kind)[:2]
    assert second.at - first.at >= 1


async def test_an_answer_that_is_none_of_spotkeepers_is_a_failure(plane: ControlPlane) -> None:
    plane.prepare("register", X_Agent_Epoch="what")
    async with living(plane):
        await beats(plane, 1)
    assert len(plane.of("register")) == 2


@pytest.mark.parametrize(
    ("kind", "odd"),
    [
        (kind, odd)
        for kind in ("register", "heartbeat", "config", "decide", "termination-imminent")
        for odd in NO_OBJECTS
    ]
    + [(kind, odd) for kind in ("pending-commands", "instances-to-terminate") for odd in NO_LISTS],
)
async def test_an_answer_of_another_shape_is_a_failure(
    plane: ControlPlane, kind: str, odd: Any
) -> None:
    plane.odd[kind].append(odd)
    cloud = cloud_with_a_home(clock.now())
    home = home_of(cloud).instance.instance_id
    cloud.interrupt(home, Fate(notice_at=clock.now() - timedelta(minutes=1)))
    async with connect(plane.url, TOKEN) as api:
        agent = Agent(home_of(cloud), cloud, api, pace=FAST, chance=Random(7))
        life = asyncio.create_task(agent.live())
        if kind == "config":
            await beats(plane, 1)
            plane.config_version = 2
        await eventually(lambda: len(plane.of(kind)) > 0, within_seconds=SOON)
        await beats(plane, 3)
        life.cancel()
        await asyncio.wait({life})
        assert life.cancelled()


async def test_an_error_of_an_agent_is_not_the_end_of_its_life(
    plane: ControlPlane, caplog: pytest.LogCaptureFixture
) -> None:
    cloud = cloud_with_a_home()
    home = home_of(cloud)
    plane.left_behind.append({"instance_id": home.instance.instance_id, "reason": "an error"})
    async with connect(plane.url, TOKEN) as api:
        agent = Agent(home, cloud, api, pace=FAST, chance=Random(7))
        life = asyncio.create_task(live(agent, 0.0, Random(7)))
        try:
            await eventually(lambda: "falls over and gets up" in caplog.text, within_seconds=SOON)
            plane.left_behind.clear()
            await beats(plane, 3)
        finally:
            life.cancel()
            await asyncio.wait({life})
    assert "no agent is told to end itself" in caplog.text


async def test_an_agent_finds_a_control_plane_that_comes_later() -> None:
    plane = control_plane()
    async with living(plane) as (agent, _):
        async with plane.serving():
            await beats(plane, 2)
        assert agent.standing.phase is Phase.PRIMARY
        async with plane.serving():
            await beats(plane, 2)
    assert len(plane.of("register")) == 1


@pytest.mark.parametrize("status", [404, 410])
async def test_an_agent_that_is_not_known_any_more_registers_again(
    plane: ControlPlane, status: int
) -> None:
    async with living(plane) as (agent, _):
        await beats(plane, 1)
        plane.prepare("heartbeat", status)
        await eventually(lambda: len(plane.of("register")) == 2, within_seconds=SOON)
        await beats(plane, 1)
    assert agent.standing.phase is Phase.PRIMARY


async def test_a_config_is_fetched_when_its_version_moves_and_only_then(
    plane: ControlPlane,
) -> None:
    async with living(plane) as (agent, _):
        await beats(plane, 3)
        assert not plane.of("config")
        plane.config_version, plane.enabled = 2, False
        await eventually(lambda: agent.standing.config.version == 2, within_seconds=SOON)
        await beats(plane, 3)
    assert len(plane.of("config")) == 1
    last = plane.of("heartbeat")[-1].body
    assert (last["status"], last["config_version"]) == ("disabled", 2)


async def test_a_config_that_cannot_be_fetched_is_fetched_later(plane: ControlPlane) -> None:
    plane.prepare("config", 503)
    async with living(plane) as (agent, _):
        await beats(plane, 1)
        plane.config_version = 2
        await eventually(lambda: agent.standing.config.version == 2, within_seconds=SOON)
    assert len(plane.of("config")) == 2


async def test_a_zombie_never_beats(plane: ControlPlane) -> None:
    plane.prepare("register", X_Outcome="zombie-rejected")
    async with living(plane) as (agent, life):
        await asyncio.wait_for(life, SOON)
    assert agent.standing.phase is Phase.RETIRED
    assert [call.kind for call in plane.calls] == ["register"]


async def test_an_instance_that_was_replaced_falls_silent(plane: ControlPlane) -> None:
    async with living(plane) as (agent, life):
        await beats(plane, 2)
        plane.epoch = 2
        plane.prepare("heartbeat", X_Outcome="not-primary")
        await asyncio.wait_for(life, SOON)
    assert agent.standing.phase is Phase.RETIRED
    assert len(plane.of("register")) == 1


async def test_a_gateway_that_is_behind_silences_nobody(plane: ControlPlane) -> None:
    plane.prepare("register", X_Agent_Epoch="2")
    for _ in range(3):
        plane.prepare("heartbeat", X_Outcome="not-primary", X_Config_Version="9")
    async with living(plane) as (agent, _):
        await beats(plane, 3)
        plane.epoch = 2
        await beats(plane, 2)
    assert agent.standing.phase is Phase.PRIMARY
    assert not plane.of("config")


async def test_a_standby_beats_until_it_is_the_primary(plane: ControlPlane) -> None:
    plane.prepare("register", X_Outcome="standby", X_Config_Version="0")
    for _ in range(3):
        plane.prepare("heartbeat", X_Outcome="not-primary")
    async with living(plane) as (agent, _):
        await beats(plane, 2)
        assert agent.standing.config.version == 0
        await eventually(lambda: agent.standing.config.version == 1, within_seconds=SOON)
    assert agent.standing.phase is Phase.PRIMARY


@pytest.mark.parametrize(
    ("outcome", "phase"),
    [
        (None, Phase.PRIMARY),
        ("standby", Phase.STANDBY),
        ("zombie-rejected", Phase.RETIRED),
        ("a-word-of-tomorrow", Phase.STANDBY),
    ],
)
def test_what_a_registration_makes_of_an_instance(outcome: str | None, phase: Phase) -> None:
    assert phase_after_registration(outcome) is phase


@pytest.mark.parametrize(
    ("before", "outcome", "after"),
    [
        (Phase.PRIMARY, None, Phase.PRIMARY),
        (Phase.PRIMARY, "not-primary", Phase.RETIRED),
        (Phase.STANDBY, None, Phase.PRIMARY),
        (Phase.STANDBY, "not-primary", Phase.STANDBY),
    ],
)
def test_what_a_beat_makes_of_an_instance(before: Phase, outcome: str | None, after: Phase) -> None:
    assert phase_after_beat(before, outcome) is after
