"""Prices are kept for as long, and as many of them, as something can still be read from them."""

from bisect import bisect_right
from collections.abc import Sequence
from datetime import datetime, timedelta
from random import Random

import pytest

from chassis import clock
from chassis.testing import Scene
from decision.store import retention
from tests.decision.fleet import THERE, OneAgent

MINUTE = timedelta(minutes=1)
HOUR = timedelta(hours=1)


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


def in_force(told: Sequence[tuple[datetime, float]], at: datetime) -> float:
    """The price that was told last before a moment."""
    return told[bisect_right([moment for moment, _ in told], at) - 1][1]


async def test_old_prices_are_thinned_out_and_forgotten(
    agent: OneAgent, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decision.handlers.sweeping._forgot_at", float("-inf"))
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    for ago in (timedelta(days=40), timedelta(days=35)):
        await agent.reports({THERE: 0.01}, timestamp=now - ago)
    for minutes in (0, 10, 20):
        moment = now - timedelta(days=2, hours=3) + timedelta(minutes=minutes)
        await agent.reports({THERE: 0.02 + minutes / 1000}, timestamp=moment)
    await agent.reports({THERE: 0.03})
    await agent.scene.sweep()
    assert await agent.kept_prices() == [0.04, 0.03]


async def test_prices_are_thinned_out_as_they_grow_old_and_not_looked_at_again(
    agent: OneAgent,
) -> None:
    now = clock.now().replace(minute=0, second=0, microsecond=0)
    for minutes in (0, 10, 20):
        moment = now - timedelta(days=2) + timedelta(minutes=minutes)
        await agent.reports({THERE: 0.02 + minutes / 1000}, timestamp=moment)
    db = agent.scene.db
    assert await retention.thin_prices(db, at=now + timedelta(days=9), limit=9) == 0
    assert await retention.thin_prices(db, at=now + timedelta(hours=1), limit=9) == 2
    assert await agent.kept_prices() == [0.04]


async def test_a_price_that_many_report_unchanged_is_kept_once_an_hour(agent: OneAgent) -> None:
    now = clock.now().replace(minute=30, second=0, microsecond=0) - HOUR
    for ago in range(80, -1, -1):
        assert await agent.reports({THERE: 0.01}, timestamp=now - ago * MINUTE) == 1
    db = agent.scene.db
    while await retention.thin_same_prices(db, at=now + 5 * MINUTE, limit=7):
        pass
    moments = [(now - moment) / MINUTE for moment, _ in await agent.kept()]
    assert moments == [80.0, 30.0, 0.0], "the first of each hour, and the newest"


async def test_thinning_out_changes_no_price_that_was_in_force(agent: OneAgent) -> None:
    random = Random(7)
    now = clock.now().replace(minute=40, second=0, microsecond=0) - HOUR
    told = sorted(
        (now - random.uniform(0, 170) * MINUTE, random.choice((0.01, 0.02))) for _ in range(120)
    )
    for moment, price in random.sample(told, len(told)):
        await agent.reports({THERE: price}, timestamp=moment)
    assert await retention.thin_same_prices(agent.scene.db, at=now, limit=1_000) > 20
    after = await agent.kept()
    assert all(in_force(after, moment) == price for moment, price in told)
    assert after[-1] == told[-1]


async def test_a_price_of_a_moment_ago_is_not_thinned_out(agent: OneAgent) -> None:
    now = clock.now()
    for seconds in (50, 40, 30):
        await agent.reports({THERE: 0.01}, timestamp=now - timedelta(seconds=seconds))
    assert await retention.thin_same_prices(agent.scene.db, at=now, limit=9) == 0


async def test_another_ondemand_price_is_not_the_same(agent: OneAgent) -> None:
    now = clock.now().replace(minute=30, second=0, microsecond=0) - HOUR
    for minutes, ondemand in ((20, 0.04), (15, 0.05), (10, 0.05), (5, 0.05)):
        moment = now - minutes * MINUTE
        await agent.reports({THERE: 0.01}, timestamp=moment, on_demand_price=ondemand)
    assert await retention.thin_same_prices(agent.scene.db, at=now, limit=9) == 1
    assert len(await agent.kept()) == 3
