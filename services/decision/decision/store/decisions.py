"""Decisions as they were made, and the pages and figures of them."""

from collections.abc import Mapping, Sequence
from datetime import datetime, timedelta
from typing import Any
from uuid import UUID

from sqlalchemy import Float, Integer, bindparam, select, update
from sqlalchemy.dialects.postgresql import insert

from chassis.pages import Position
from chassis.query import BEFORE, LIMIT, SINCE, Connection, Query, behind, given, given_all, named
from decision import acting
from decision.store.rows import AGENT, Row, of_agent
from decision.tables import agent_contexts as contexts
from decision.tables import agent_decision_history as history
from spotkeeper_contracts.decisions import DecisionDetail, Recommendation

_saving = insert(history).values(given_all(history)).cte("saved")
_noted = given(contexts, "last_decision_at", "ondemand_price", "told")
_is_switch = bindparam("is_switch", type_=Integer)
_SAVE = Query(
    update(contexts)
    .where(contexts.c.agent_id == AGENT)
    .values(_noted)
    .values(
        total_decisions=contexts.c.total_decisions + 1,
        switches_recommended=contexts.c.switches_recommended + _is_switch,
        confidence_sum=contexts.c.confidence_sum + bindparam("confidence", type_=Float),
    )
    .add_cte(_saving)
)
_newest_first = (history.c.decided_at.desc(), history.c.id.desc())
_PAGE = Query(
    select(history)
    .where(
        of_agent(history),
        behind(history.c.decided_at, history.c.id),
    )
    .order_by(*_newest_first)
    .limit(LIMIT)
)
_LAST_OF_ENGINE = Query(
    select(history)
    .where(of_agent(history), history.c.outcome.is_(None), history.c.decided_at > SINCE)
    .order_by(*_newest_first)
    .limit(1)
)
_former = [{"name": acting.IS_PRESENT, "passed": False}]
_LAST_FOR_THE_AGENT = Query(
    select(history)
    .where(
        of_agent(history),
        history.c.outcome.is_(None),
        history.c.decided_at > SINCE,
        ~history.c.detail["gates"].contains(_former),
    )
    .order_by(*_newest_first)
    .limit(1)
)
_LAST_TO = Query(
    select(history)
    .where(
        history.c.agent_id == AGENT,
        history.c.will_auto_execute,
        history.c.target_pool.is_not_distinct_from(
            bindparam("target_pool", type_=history.c.target_pool.type)
        ),
        history.c.decided_at <= BEFORE,
        history.c.decided_at > SINCE,
    )
    .order_by(*_newest_first)
    .limit(1)
)
DECISION_TO_SWITCH = timedelta(hours=2)
"""Within this time an automatic switch follows its decision: its command has expired by then."""


async def save(
    db: Connection,
    decision: DecisionDetail,
    *,
    agent_id: UUID,
    client_id: UUID,
    instance_id: str | None,
    ondemand_price: float,
    told: Mapping[str, Any] | None,
) -> None:
    """Keep a decision, and let the agent's figures grow by it; `told` is what the request told."""
    shadow = decision.shadow
    columns = {
        "id": decision.decision_id,
        "agent_id": agent_id,
        "client_id": client_id,
        "instance_id": instance_id,
        "decided_at": decision.timestamp,
        "recommendation": decision.recommendation.value,
        "current_pool": decision.current_pool,
        "target_pool": decision.target_pool,
        "risk_score": decision.risk_score,
        "will_auto_execute": decision.will_auto_execute,
        "outcome": decision.outcome,
        "model_version": decision.model_version,
        "shadow_version": shadow and shadow.model_version,
        "shadow_recommendation": shadow and shadow.recommendation.value,
        "shadow_risk_score": shadow and shadow.risk_score,
        "detail": decision,
    }
    noted = {
        "last_decision_at": decision.timestamp,
        "ondemand_price": ondemand_price,
        "told": told,
    }
    await _SAVE.run(
        db,
        agent_id=agent_id,
        is_switch=int(decision.recommendation is not Recommendation.STAY),
        confidence=decision.confidence,
        **named(columns | noted),
    )


async def page(
    db: Connection, agent_id: UUID, client_id: UUID, *, before: Position | None, limit: int
) -> Sequence[Row]:
    """An agent's decisions, newest first."""
    return await _PAGE.rows(
        db,
        agent_id=agent_id,
        client_id=client_id,
        before=before and before.at,
        before_id=before and before.id,
        limit=limit,
    )


async def last_of_engine(
    db: Connection, agent_id: UUID, client_id: UUID, *, since: datetime
) -> DecisionDetail | None:
    """The agent's last decision that the engine made, unless it is older than that."""
    row = await _LAST_OF_ENGINE.row(db, agent_id=agent_id, client_id=client_id, since=since)
    return None if row is None else detail_of(row)


async def last_for_the_agent(
    db: Connection, agent_id: UUID, client_id: UUID, *, since: datetime
) -> DecisionDetail | None:
    """As `last_of_engine`, but for what instances were told that the agent had left."""
    row = await _LAST_FOR_THE_AGENT.row(db, agent_id=agent_id, client_id=client_id, since=since)
    return None if row is None else detail_of(row)


async def last_to(
    db: Connection, agent_id: UUID, target_pool: str | None, *, before: datetime
) -> DecisionDetail | None:
    """The decision that an automatic switch to that pool (None is on demand) follows from."""
    row = await _LAST_TO.row(
        db,
        agent_id=agent_id,
        target_pool=target_pool,
        before=before,
        since=before - DECISION_TO_SWITCH,
    )
    return None if row is None else detail_of(row)


def detail_of(row: Row) -> DecisionDetail:
    """The decision in a row."""
    return DecisionDetail.model_validate(row["detail"])
