"""An agent that lives at a fast pace while a test looks on."""

import asyncio
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from random import Random

from spotkeeper_agent.agent import Agent
from spotkeeper_agent.api import connect
from spotkeeper_agent.cloud import Launch, SimulatedCloud
from spotkeeper_agent.situation import Pace
from tests.agent.control_plane import TOKEN, Call, ControlPlane
from tests.agent.worlds import FAST
from tests.stack import eventually

SOON = 5.0


@asynccontextmanager
async def living(
    plane: ControlPlane, cloud: SimulatedCloud, launch: Launch, pace: Pace = FAST
) -> AsyncIterator[tuple[Agent, asyncio.Task[None]]]:
    """An agent that lives on an instance until the end of the context, if not shorter."""
    async with connect(plane.url, TOKEN) as api:
        agent = Agent(launch, cloud, api, pace=pace, chance=Random(7))
        life = asyncio.create_task(agent.live())
        try:
            yield agent, life
        finally:
            life.cancel()
            await asyncio.wait({life})


async def calls(plane: ControlPlane, kind: str, count: int = 1) -> list[Call]:
    """The calls of a kind, once there are as many."""
    await eventually(lambda: len(plane.of(kind)) >= count, within_seconds=SOON)
    return plane.of(kind)
