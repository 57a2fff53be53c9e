"""Deciding for an agent that asks, and saying what would be decided for one that does not."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from chassis.transaction import Tx
from decision import acting, metrics, records
from decision.handlers.asking import Market, known_pools, question_about
from decision.handlers.found import Known, agent_to_change, agent_to_read, follow
from decision.handlers.models import engine_of_now
from decision.questions import Answer
from decision.records import DEGRADED
from decision.slots import EngineDown
from decision.store import decisions, evidence, pools
from decision.store.pools import Told
from decision.store.rows import Row
from spotkeeper_contracts.decisions import (
    Decide,
    DecisionAnswer,
    DecisionDetail,
    DecisionMade,
    GetRecommendation,
    Recommendation,
    RecommendationAnswer,
    Situation,
)
from spotkeeper_contracts.values import PurchaseMode

NO_DATA = "no-data"


async def decide(request: Decide, tx: Tx) -> DecisionAnswer:
    """Decide by what the agent tells, and keep and tell the decision; nobody is moved by it.

    An instance that the agent has left gets its answer, and says nothing of where the agent is.
    """
    agent = await agent_to_change(request, tx)
    market = market_of(request.situation)
    is_former = await _is_former(request.situation.current_state.instance_id, agent, tx)
    known = await known_pools(agent, market, tx)
    await _keep_prices(agent, market, known, tx)
    told = agent.told
    if not is_former:
        told = _told(agent, request.situation, market, tx.now)
        if market.here != agent.pool_id:
            await follow(agent.told_anew(told), tx)
    detail, answer = await _decided(agent, market, known, tx, from_former=is_former)
    await decisions.save(
        tx.db,
        detail,
        agent_id=agent.id,
        client_id=agent.client_id,
        instance_id=agent.state.instance_id,
        ondemand_price=market.ondemand_price,
        told=told,
    )
    tx.emit(_made(agent, market, detail, answer))
    is_degraded = str(detail.outcome == DEGRADED).lower()
    tx.count(metrics.DECISIONS.labels(detail.recommendation.value, is_degraded).inc)
    return DecisionAnswer(
        decision_id=detail.decision_id,
        recommendation=detail.recommendation,
        target_pool=detail.target_pool,
        confidence=detail.confidence,
        reason=detail.reason,
        expected_savings_per_day=detail.expected_savings_per_day,
        risk_score=detail.risk_score,
        outcome=detail.outcome,
    )


async def get_recommendation(request: GetRecommendation, tx: Tx) -> RecommendationAnswer:
    """Say what would be decided by the latest known state; nothing is kept, and nobody moves."""
    agent = await agent_to_read(request, tx)
    market = await _latest_market(agent, tx)
    if market is None:
        return RecommendationAnswer(
            recommendation=Recommendation.STAY,
            target_pool=None,
            target_type=agent.state.current_mode,
            confidence=0.0,
            reason="Staying: no prices are known yet where the agent runs",
            savings_impact=0.0,
            will_auto_execute=False,
            outcome=NO_DATA,
        )
    known = await known_pools(agent, market, tx)
    detail, _ = await _decided(agent, market, known, tx)
    return RecommendationAnswer(
        recommendation=detail.recommendation,
        target_pool=detail.target_pool,
        target_type=_mode_after(detail),
        confidence=detail.confidence,
        reason=detail.reason,
        savings_impact=round(detail.expected_savings_per_day / 24.0, 6),
        will_auto_execute=detail.will_auto_execute,
        outcome=detail.outcome,
    )


def market_of(told: Situation) -> Market:
    """The market as an agent tells of it; its own pool's price is that of its current state."""
    current, pricing = told.current_state, told.pricing_data
    prices = {pool.pool_id: pool.price for pool in pricing.available_pools}
    here = current.current_pool if current.current_mode is PurchaseMode.SPOT else None
    if here is not None:
        assert current.current_price is not None
        prices[here] = current.current_price
    return Market(here, prices, pricing.ondemand_price, told.metrics.uptime_hours)


async def _is_former(instance_id: str, agent: Known, tx: Tx) -> bool:
    """Whether the agent is known to have left that instance; one never heard of may be its own."""
    if agent.state.instance_id is None or instance_id == agent.state.instance_id:
        return False
    stay = await evidence.stay_of(tx.db, agent.client_id, instance_id)
    return stay is not None and bool(stay["agent_id"] == agent.id)


async def _decided(
    agent: Known, market: Market, known: Sequence[Row], tx: Tx, *, from_former: bool = False
) -> tuple[DecisionDetail, Answer | None]:
    """The engine's decision or, while the engine is away, what stands in for it."""
    gates = acting.gates_of(
        agent.state.config,
        in_emergency=agent.is_interrupted(tx.now),
        from_former=from_former,
    )
    engine = await engine_of_now(tx)
    question = await question_about(agent, market, known, engine, tx)
    decision_id = tx.new_id()
    try:
        answer, shadow = await engine.answer(question)
    except EngineDown as down:
        last = await _last_decision(agent, market.here, list(market.prices), tx)
        detail = records.degraded(
            str(down), last, gates, current_pool=market.here, decision_id=decision_id, at=tx.now
        )
        return detail, None
    return records.detail_of(answer, shadow, gates, decision_id=decision_id, at=tx.now), answer


async def _last_decision(
    agent: Known, here: str | None, pool_ids: Sequence[str], tx: Tx
) -> DecisionDetail | None:
    since = tx.now - timedelta(seconds=tx.settings.decision_fresh_seconds)
    last = await decisions.last_of_engine(tx.db, agent.id, agent.client_id, since=since)
    return last if last and records.still_holds(last, here, pool_ids) else None


async def _keep_prices(agent: Known, market: Market, known: Sequence[Row], tx: Tx) -> None:
    """Keep what the request tells of prices, and the pools that were not known before."""
    places = {pool_id: agent.place_of(pool_id) for pool_id in market.prices}
    there = {(row["pool_group"], row["pool_id"]) for row in known}
    new = {id: place for id, place in places.items() if (place.group, id) not in there}
    await pools.add(tx.db, agent.client_id, new, at=tx.now)
    prices = [Told(id, places[id].group, price, tx.now) for id, price in market.prices.items()]
    kept = await pools.keep_prices(
        tx.db, agent.client_id, prices, ondemand=market.ondemand_price, only_changes_at=tx.now
    )
    tx.count(metrics.PRICES_RECORDED.labels("decide").inc, kept)


def _told(agent: Known, told: Situation, market: Market, now: datetime) -> dict[str, Any]:
    """What a request tells of where the agent's instance runs, and since when."""
    return {
        "registered_at": agent.registered_at,
        "pool_id": market.here,
        "running_since": (now - timedelta(hours=told.metrics.uptime_hours)).isoformat(),
        "at": now.isoformat(),
    }


async def _latest_market(agent: Known, tx: Tx) -> Market | None:
    """The market by all that was told of it lately; None if too little is known."""
    state, here = agent.state, agent.pool_id
    if here is None and agent.told is None and state.current_mode is PurchaseMode.SPOT:
        return None
    groups = {f"{state.instance_type}.{state.region}"}
    if here is not None:
        groups.add(agent.place_of(here).group)
    rows = await pools.latest_prices(
        tx.db, agent.client_id, sorted(groups), at=tx.now, since=tx.now - tx.settings.price_life
    )
    prices = {row["pool_id"]: row["price_usd_per_hour"] for row in rows}
    ondemand = _ondemand_price(rows, agent)
    if ondemand is None or (here is not None and here not in prices):
        return None
    return Market(here, prices, ondemand, agent.uptime_hours(tx.now))


def _ondemand_price(rows: Sequence[Row], agent: Known) -> float | None:
    """USD per hour as the agent told last, or else as others did with a spot price."""
    told: float | None = agent.row["ondemand_price"] if agent.row is not None else None
    if told is not None:
        return told
    newest = max(
        (row for row in rows if row["ondemand_usd_per_hour"] is not None),
        key=lambda row: row["at"],
        default=None,
    )
    return None if newest is None else float(newest["ondemand_usd_per_hour"])


def _made(
    agent: Known, market: Market, detail: DecisionDetail, answer: Answer | None
) -> DecisionMade:
    decision = answer.decision if answer else None
    told = detail.model_dump(include=DecisionMade.model_fields.keys() & detail.model_fields_set)
    return DecisionMade(
        **told,
        agent_id=agent.id,
        client_id=agent.client_id,
        target_mode=_mode_after(detail),
        urgent=decision is not None and acting.flees_risk(decision),
        max_price=acting.max_price(decision) if decision else None,
        at=detail.timestamp,
    )


def _mode_after(detail: DecisionDetail) -> PurchaseMode:
    """How the agent's instance is paid for if it does as it is told."""
    if detail.recommendation is Recommendation.STAY and detail.current_pool is None:
        return PurchaseMode.ONDEMAND
    is_ondemand = detail.recommendation is Recommendation.SWITCH_TO_ONDEMAND
    return PurchaseMode.ONDEMAND if is_ondemand else PurchaseMode.SPOT
