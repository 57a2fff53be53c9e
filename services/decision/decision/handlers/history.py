"""Decisions that were made: a page of them, the last one explained, and their figures."""

from chassis.pages import Pages, fitting
from chassis.transaction import Tx
from decision.store import contexts, decisions
from spotkeeper_contracts import Refused
from spotkeeper_contracts.decisions import (
    DecisionExplained,
    DecisionPage,
    ExplainDecision,
    GetStatistics,
    ListDecisions,
)
from spotkeeper_contracts.switches import DecisionStatistics, GetSwitchStatistics

PAGES = Pages("decisions", at="decided_at")


async def list_decisions(request: ListDecisions, tx: Tx) -> DecisionPage:
    """A page of decisions, newest first."""
    rows = await decisions.page(
        tx.db,
        request.agent_id,
        request.client_id,
        before=PAGES.position(request.cursor),
        limit=request.limit + 1,
    )
    items = fitting([decisions.detail_of(row) for row in rows[: request.limit]])
    return DecisionPage(items=items, next_cursor=PAGES.next_cursor(rows, shown=len(items)))


async def explain_decision(request: ExplainDecision, tx: Tx) -> DecisionExplained:
    """The last decision, gate by gate."""
    rows = await decisions.page(tx.db, request.agent_id, request.client_id, before=None, limit=1)
    if not rows:
        raise Refused("DECISION_NOT_FOUND", "No decision was made yet", 404)
    return DecisionExplained(decision=decisions.detail_of(rows[0]))


async def get_statistics(request: GetStatistics, tx: Tx) -> GetSwitchStatistics:
    """The agent's decisions in figures, handed on to the owner of switches."""
    row = await contexts.context(tx.db, request.agent_id, request.client_id)
    total = row["total_decisions"] if row else 0
    known = DecisionStatistics()
    if row is not None and total:
        known = DecisionStatistics(
            total_decisions=total,
            switches_recommended=row["switches_recommended"],
            average_confidence=round(row["confidence_sum"] / total, 4),
            last_decision_at=row["last_decision_at"],
        )
    return GetSwitchStatistics(
        agent_id=request.agent_id, client_id=request.client_id, decisions=known
    )
