"""What pools are rated by: as much of their prices as is needed, and no more."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from chassis import clock
from chassis.testing import Scene
from decision.features import HISTORY_HOURS, price_history
from decision.handlers.sweeping import IDLE_RATING, PRICES_BACK
from decision.store.histories import prices_of
from decision.store.pools import Told, keep_prices
from spotkeeper_contracts.pools import PoolState
from tests.decision.fleet import GROUP, HERE, ONDEMAND, THERE, OneAgent, later

HOUR = timedelta(hours=1)
OFTEN = timedelta(seconds=300)
History = dict[float, float]

HISTORIES: dict[str, History] = {
    "of a month": {hours: 0.01 + 0.0001 * (hours % 7) for hours in range(700, 0, -5)},
    "that changed last long ago": {500.0: 0.011, 400.0: 0.012},
    "with a change where the window begins": {
        HISTORY_HOURS + ago: 0.01 + 0.001 * ago for ago in (9.0, 2.0, 1.0, 0.0, -1.0)
    },
    "of some days": {hours: 0.02 - 0.0001 * (hours % 5) for hours in range(90, 3, -3)},
    "of some hours": {9.0: 0.01, 2.0: 0.011},
    "of one price": {0.5: 0.01},
}


@pytest.fixture
async def agent(decided: Scene) -> OneAgent:
    agent = OneAgent(decided)
    await agent.is_known()
    return agent


async def tells(agent: OneAgent, pool_id: str, history: History, now: datetime) -> None:
    """Tell the prices of a pool by their age in hours; the first with an on-demand price."""
    first, *others = (
        Told(pool_id, GROUP, price, now - timedelta(hours=hours))
        for hours, price in history.items()
    )
    await agent.reports({pool_id: first.price}, timestamp=first.at)
    await keep_prices(agent.scene.db, agent.state.client_id, others, ondemand=None)


async def kept(agent: OneAgent, pool_id: str) -> Any:
    """The pool as it was rated last."""
    return await agent.scene.db.raw.fetchrow(
        "select * from pools where client_id = $1 and pool_group = $2 and pool_id = $3",
        *(agent.state.client_id, GROUP, pool_id),
    )


@pytest.mark.parametrize("name", HISTORIES)
async def test_a_rating_is_what_all_prices_would_make_it(agent: OneAgent, name: str) -> None:
    history, now = HISTORIES[name], agent.scene.tx.now
    for pool_id, other in ((THERE, history), (HERE, HISTORIES["of some days"])):
        await tells(agent, pool_id, other, now)
    await agent.scene.sweep()
    rated = await kept(agent, THERE)
    ages = np.array(list(history))
    _, volatility = price_history(-ages, np.array(list(history.values())), 0.0)
    assert rated["price_usd_per_hour"] == list(history.values())[-1]
    assert rated["ondemand_usd_per_hour"] == ONDEMAND
    assert rated["priced_at"] == now - timedelta(hours=float(ages[-1]))
    assert rated["first_priced_at"] == now - timedelta(hours=float(ages[0]))
    assert rated["volatility"] == pytest.approx(volatility)


async def test_prices_before_the_one_in_force_are_not_read(agent: OneAgent) -> None:
    now = clock.now()
    await tells(agent, THERE, HISTORIES["of a month"], now)
    [row] = await prices_of(
        agent.scene.db,
        agent.state.client_id,
        [(GROUP, HERE), (GROUP, THERE)],
        since=now - PRICES_BACK,
        at=now,
    )
    assert row["pool_id"] == THERE
    assert [round((now - moment) / HOUR) for moment in row["moments"]] == list(range(170, 0, -5))
    assert now - row["first_at"] == 700 * HOUR


async def test_of_a_report_of_several_moments_each_price_is_told(agent: OneAgent) -> None:
    now = clock.now()
    history = {3.0: 0.0110, 2.0: 0.0140, 1.0: 0.0120}
    await tells(agent, THERE, history, now)
    assert await told(agent) == [0.0110, 0.0140, 0.0120]
    await tells(agent, THERE, {2.5: 0.5, 0.5: 0.0150, 0.25: 0.0160}, now)
    assert await told(agent) == [0.0150, 0.0160], "what lies before what was told is late"
    assert await told(agent) == []


async def test_the_zone_of_a_pool_is_learned_from_whoever_names_it(agent: OneAgent) -> None:
    await agent.decides({"blue": 0.0098})
    await agent.scene.sweep()
    assert "blue" not in {state.pool_id for state in agent.emitted(PoolState)}
    await agent.reports({"blue": 0.0097})
    await agent.scene.sweep()
    states = [state for state in agent.emitted(PoolState) if state.pool_id == "blue"]
    assert (states[-1].az, states[-1].price_usd_per_hour) == ("us-east-1b", 0.0097)


async def test_the_pool_that_an_agent_runs_in_lies_in_its_zone(agent: OneAgent) -> None:
    await agent.changes(current_pool_id="red", az="us-east-1c", instance_id="i-red")
    assert (await kept(agent, "red"))["az"] == "us-east-1c"


async def told(agent: OneAgent) -> list[float | None]:
    """The prices of a pool that a sweep tells of, in their order."""
    await agent.scene.sweep()
    states = [state for state in agent.emitted(PoolState) if state.pool_id == THERE]
    assert [state.as_of for state in states] == sorted(state.as_of for state in states)
    return [state.price_usd_per_hour for state in states]


async def pauses(agent: OneAgent) -> dict[str, timedelta]:
    """For how long pools are not rated again, after a sweep; those that it rated."""
    await agent.scene.sweep()
    now = agent.scene.tx.now
    rows = await agent.scene.db.raw.fetch(
        "select pool_id, due_at from pools where client_id = $1", agent.state.client_id
    )
    found = {row["pool_id"]: row["due_at"] - now for row in rows}
    return {id: pause for id, pause in found.items() if pause in (OFTEN, IDLE_RATING)}


async def test_a_pool_that_nobody_knows_a_price_of_or_ran_in_is_rated_once_a_day(
    agent: OneAgent,
) -> None:
    await agent.reports({THERE: 0.01})
    assert await pauses(agent) == {HERE: OFTEN, THERE: OFTEN}
    later(hours=25)
    assert await pauses(agent) == {HERE: OFTEN, THERE: IDLE_RATING}, "an instance runs here"
    await agent.reports({THERE: 0.02})
    assert await pauses(agent) == {THERE: OFTEN}


async def test_a_notice_wakes_the_idle_pools_beside_it(agent: OneAgent) -> None:
    await agent.reports({THERE: 0.01}, timestamp=clock.now() - timedelta(hours=25))
    assert (await pauses(agent))[THERE] == IDLE_RATING
    later(minutes=10)
    await agent.is_noticed()
    await agent.scene.sweep()
    assert THERE in [one.pool_id for one in agent.emitted(PoolState)]


async def test_a_risk_that_drifts_in_small_steps_is_told_once_they_add_up(agent: OneAgent) -> None:
    await agent.decides()
    await agent.is_noticed()
    told = {}
    for minutes in (70, 95, 120, 145):
        later(minutes=minutes)
        await agent.scene.sweep()
        for state in agent.emitted(PoolState):
            if state.pool_id == HERE:
                told[minutes] = state.risk_1h
    assert list(told) == [70, 120]
    assert 0.9 < told[120] / told[70] < 0.95
