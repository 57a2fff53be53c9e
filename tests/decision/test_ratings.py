"""What pools are rated by: as much of their prices as is needed, and no more."""

from datetime import datetime, timedelta
from typing import Any

import numpy as np
import pytest

from chassis import clock
from chassis.testing import Scene
from decision.features import HISTORY_HOURS, price_history
from decision.handlers.sweeping import PRICES_BACK
from decision.store.histories import prices_of
from decision.store.pools import Told, keep_prices
from tests.decision.fleet import GROUP, HERE, ONDEMAND, THERE, OneAgent

HOUR = timedelta(hours=1)
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
