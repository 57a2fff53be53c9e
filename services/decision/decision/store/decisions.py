"""Decisions as they were made, and the pages and figures of them."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from uuid import UUID

from sqlalchemy import bindparam, select
from sqlalchemy.dialects.postgresql import insert

from chassis.pages import Position
from chassis.query import BEFORE, LIMIT, SINCE, Connection, Query, behind, given_all, named
from decision.store.rows import AGENT, Row, of_agent
from decision.tables import agent_decision_history as history
from spotkeeper_contracts.decisions import DecisionDetail

_SAVE = Query(insert(history).values(given_all(history)))
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
) -> None:
    """Keep a decision."""
    told = decision.model_dump(
        mode="json",
        include={"current_pool", "recommendation", "target_pool", "risk_score"}
        | {"will_auto_execute", "outcome", "model_version"},
    )
    columns = told | {
        "id": decision.decision_id,
        "agent_id": agent_id,
        "client_id": client_id,
        "instance_id": instance_id,
        "decided_at": decision.timestamp,
        "detail": decision.model_dump(mode="json"),
    }
    await _SAVE.run(db, **named(columns))


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
