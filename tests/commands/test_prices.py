"""What pools cost in the past: found whoever else has prices, and without reading those."""

from datetime import UTC, datetime, timedelta
from typing import Any
from uuid import UUID

import pytest

from chassis.testing import Scene
from commands.store import pools
from tests.commands.fleet import CLIENT
from tests.commands.moves import prices_read

START = datetime(2024, 11, 26, 10, tzinfo=UTC)
TYPES, POOLS, HOURS = 5, 5, 200
HERE, THERE = (("t0", "us-east-1", f"pool-{number}") for number in (0, 1))

FILL = """
    insert into pool_prices (client_id, instance_type, region, pool_id, at, price_usd_per_hour)
    select $1, 't' || type, 'us-east-1', 'pool-' || pool, $2::timestamptz + hour * interval '1h',
        type + pool / 10.0 + hour / 1000.0
    from generate_series(0, $3 - 1) type, generate_series(0, $4 - 1) pool,
        generate_series(1, $5) hour
"""


@pytest.fixture
async def history(commands: Scene) -> Scene:
    """Two hundred hours, each with another price, of five types in five pools, for two clients."""
    for client_id in (CLIENT, UUID(int=8)):
        await commands.db.raw.execute(FILL, client_id, START, TYPES, POOLS, HOURS)
    return commands


def cost(hours: range, *, pool: float) -> list[tuple[datetime, Any]]:
    """What a pool of the first type cost in these hours."""
    return [
        (START + timedelta(hours=hour), pytest.approx(pool / 10 + hour / 1000)) for hour in hours
    ]


@pytest.mark.parametrize(
    ("since", "first"), [(0.0, 1), (1.0, 1), (1.5, 1), (150.0, 150), (150.5, 150), (999.0, HOURS)]
)
async def test_prices_begin_with_the_one_in_force(history: Scene, since: float, first: int) -> None:
    found = await pools.prices(
        history.db, CLIENT, {HERE, THERE}, since=START + timedelta(hours=since)
    )
    hours = range(first, HOURS + 1)
    assert found == {HERE: cost(hours, pool=0), THERE: cost(hours, pool=1)}


async def test_a_pool_of_which_nothing_is_known_has_no_prices(history: Scene) -> None:
    unknown = {("t9", "us-east-1", "pool-0"), ("t0", "us-west-2", "pool-0")}
    assert await pools.prices(history.db, CLIENT, unknown | {HERE}, since=START) == {
        HERE: cost(range(1, HOURS + 1), pool=0)
    }
    assert await pools.prices(history.db, CLIENT, set(), since=START) == {}


@pytest.mark.parametrize("is_analysed", [False, True])
async def test_no_prices_are_read_but_those_that_are_asked_for(
    history: Scene, is_analysed: bool
) -> None:
    if is_analysed:
        await history.db.raw.execute("analyze pool_prices")
    before = await prices_read(history)
    found = await pools.prices(
        history.db, CLIENT, {HERE, THERE}, since=START + timedelta(hours=HOURS - 10.5)
    )
    shown = sum(map(len, found.values()))
    assert shown == 24
    assert await prices_read(history) - before <= shown + len(found)
