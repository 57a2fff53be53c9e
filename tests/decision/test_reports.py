"""What models promised beside what came of it."""

from datetime import timedelta
from typing import Any

import pytest

from chassis import clock
from chassis.query import Query
from chassis.testing import Scene, example
from decision.store import models
from spotkeeper_contracts.models import GetModelReport
from spotkeeper_contracts.switches import SavingsMetered
from tests.decision.fleet import THERE, OneAgent, later
from tests.decision.test_models import CARD


async def report_of(decided: Scene) -> Any:
    """What the active model promised, and what came."""
    [record] = (await decided.handle(example(GetModelReport))).active  # type: ignore[union-attr]  # never None here
    return record


async def test_promise_and_outcome_stand_side_by_side(decided: Scene) -> None:
    calm, torn, moved = OneAgent(decided), OneAgent(decided), OneAgent(decided)
    for agent in (calm, torn):
        await agent.decides({})
    later(minutes=30)
    await torn.is_noticed()
    await moved.decides()
    await moved.switches(THERE)
    later(minutes=120)
    report: Any = await decided.handle(example(GetModelReport))
    [record] = report.active
    assert record.model_version == CARD["version"]
    assert (record.decisions, record.rated_hours, record.interruptions) == (3, 2, 1)
    assert 0 < record.expected_interruptions < 0.01
    assert record.brier_score == pytest.approx(0.5, abs=0.01)
    assert (record.switches, record.interrupted_switches) == (1, 0)
    assert record.promised_savings_per_hour == pytest.approx(0.0006)
    assert record.realised_savings_per_hour is None, "nobody has metered it yet"
    assert report.shadow == []


async def test_a_switch_whose_report_names_no_pool_keeps_the_promise_of_its_zone(
    decided: Scene,
) -> None:
    agent = OneAgent(decided)
    await agent.decides({"t3.medium.us-east-1b": 0.0098})
    await agent.switches("t3.medium.us-east-1b", is_named=False, az="us-east-1b")
    record = await report_of(decided)
    assert record.switches == 1
    assert record.promised_savings_per_hour == pytest.approx(0.0006)


async def test_a_switch_has_brought_what_was_metered_last(decided: Scene) -> None:
    ids = [clock.new_id() for _ in range(2)]
    for id in ids:
        agent = OneAgent(decided)
        await agent.decides()
        await agent.switches(THERE, switch_id=id)

    async def metered(number: int, hours: float, usd: float) -> None:
        told = {"switch_id": ids[number], "metered_hours": hours, "realised_savings": usd}
        await decided.handle(example(SavingsMetered, at=clock.now(), **told))

    await metered(0, 1.0, 0.5)
    await metered(0, 9.5, 7.0)
    await metered(0, 9.0, 0.19)
    await metered(1, 1.0, -0.09)
    assert (await report_of(decided)).realised_savings_per_hour == pytest.approx(0.01)


async def test_a_risk_that_a_recommendation_made_is_no_promise_of_the_model(
    decided: Scene,
) -> None:
    agent = OneAgent(decided, config={"risk_threshold": 1.0})
    await agent.decides({})
    await agent.opens("rebalance_recommendation")
    later(seconds=5)
    assert (await agent.decides({})).risk_score == 0.5
    later(minutes=120)
    await agent.decides({})
    later(minutes=240)
    record = await report_of(decided)
    assert (record.decisions, record.rated_hours) == (3, 2)
    assert record.expected_interruptions < 0.01


@pytest.mark.parametrize("query", [models._DECIDED, models._WATCHED])
async def test_a_report_reads_no_decision_whole_and_none_twice(
    decided: Scene, query: Query
) -> None:
    await decided.db.raw.execute(
        "set local enable_seqscan = off; set local enable_bitmapscan = off"
    )
    since, at = clock.now() - timedelta(days=30), clock.now()
    lines = await decided.db.raw.fetch(
        f"explain {query.sql}", *query._values(decided.db, {"at": at, "since": since})
    )
    plan = "\n".join(line[0] for line in lines)
    assert "Index Only Scan using agent_decision_history_reported" in plan
    assert "SubPlan" not in plan
