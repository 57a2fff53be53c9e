"""Published models, and what models promised beside what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    DateTime,
    Float,
    Text,
    and_,
    bindparam,
    case,
    cast,
    func,
    select,
    update,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import Connection, Query
from decision.choices import Move
from decision.store.evidence import EventKind
from decision.store.rows import AT, SINCE, Row, given, named
from decision.tables import agent_decision_history as history
from decision.tables import models, pool_events, switch_outcomes
from spotkeeper_contracts.decisions import Recommendation
from spotkeeper_contracts.models import ModelRole

_ROLE = bindparam("of_role", type_=Text)
_told = [column for column in models.c if column.name != "onnx"]
_publish = insert(models).values(given(models, *models.c.keys()))
_PUBLISH = Query(
    _publish.on_conflict_do_update(
        index_elements=["sha256"],
        set_={
            name: _publish.excluded[name]
            for name in ("role", "version", "card", "published_at", "published_by")
        },
    )
)
_RETIRE = Query(
    update(models).where(models.c.role == _ROLE).values(role=None).returning(*_told), writes=True
)
_ALL = Query(select(*_told).order_by(models.c.published_at.desc(), models.c.sha256))
_IN_ROLE = Query(select(models.c.role, models.c.sha256).where(models.c.role.is_not(None)))
_CONTENT = Query(
    select(models.c.onnx, models.c.card).where(models.c.sha256 == bindparam("sha256", type_=Text))
)


async def publish(db: Connection, role: ModelRole, **columns: Any) -> None:
    """Give a model a role, and take it from the one before."""
    await _RETIRE.row(db, of_role=role.value)
    await _PUBLISH.run(db, **named({**columns, "role": role.value}))


async def withdraw(db: Connection, role: ModelRole) -> Row | None:
    """Take its role from a model; the model, if there was one."""
    return await _RETIRE.row(db, of_role=role.value)


async def all_models(db: Connection) -> Sequence[Row]:
    """All models that were ever published, newest first."""
    return await _ALL.rows(db)


async def in_roles(db: Connection) -> dict[ModelRole, str]:
    """The SHA-256 of the model that has each role."""
    return {ModelRole(row["role"]): row["sha256"] for row in await _IN_ROLE.rows(db)}


async def content(db: Connection, sha256: str) -> Row | None:
    """A model's file and card."""
    return await _CONTENT.row(db, sha256=sha256)


_HOUR = timedelta(hours=1)
_hit = (
    select(pool_events.c.at)
    .where(
        pool_events.c.client_id == history.c.client_id,
        pool_events.c.instance_id == history.c.instance_id,
        pool_events.c.kind == EventKind.NOTICE.value,
        pool_events.c.at > history.c.decided_at,
        pool_events.c.at <= history.c.decided_at + _HOUR,
    )
    .exists()
)
_stayed = and_(
    history.c.recommendation == Recommendation.STAY.value,
    history.c.current_pool.is_not(None),
    history.c.decided_at <= AT - _HOUR,
)


def _calibration(version: Any, stays: Any, risk: Any) -> Query:
    """Promise and outcome of decisions by model version."""
    came = case((_hit, 1.0), else_=0.0)
    return Query(
        select(
            version.label("model_version"),
            func.count().label("decisions"),
            func.count(case((stays, 1))).label("rated_hours"),
            func.coalesce(func.sum(case((stays, risk))), 0.0).label("expected"),
            func.count(case((and_(stays, _hit), 1))).label("interruptions"),
            func.avg(case((stays, (risk - came) * (risk - came)))).label("brier_score"),
        )
        .where(
            version.is_not(None),
            history.c.outcome.is_(None),
            history.c.decided_at > SINCE,
            history.c.decided_at <= AT,
        )
        .group_by(version)
        .order_by(version)
    )


_shadow = history.c.detail["shadow"]
_DECIDED = _calibration(history.c.model_version, _stayed, history.c.risk_score)
_WATCHED = _calibration(
    _shadow["model_version"].astext,
    and_(_stayed, _shadow["recommendation"].astext == Recommendation.STAY.value),
    cast(_shadow["risk_score"].astext, Float),
)
_interrupted = (
    select(pool_events.c.at)
    .where(
        pool_events.c.client_id == switch_outcomes.c.client_id,
        pool_events.c.instance_id == switch_outcomes.c.instance_id,
        pool_events.c.kind == EventKind.NOTICE.value,
    )
    .exists()
)
_SWITCHED = Query(
    select(
        switch_outcomes.c.model_version,
        func.count().label("switches"),
        func.avg(switch_outcomes.c.promised_savings_per_hour).label("promised"),
        func.avg(switch_outcomes.c.realised_savings_per_hour).label("realised"),
        func.count(case((_interrupted, 1))).label("interrupted"),
    )
    .where(
        switch_outcomes.c.model_version.is_not(None),
        switch_outcomes.c.kind != Move.FORCED.value,
        switch_outcomes.c.completed_at > SINCE,
        switch_outcomes.c.completed_at <= bindparam("at", type_=DateTime(timezone=True)),
    )
    .group_by(switch_outcomes.c.model_version)
)


async def decided(db: Connection, *, at: datetime, since: datetime) -> Sequence[Row]:
    """Of each model that decided: its decisions, and promised and real interruptions."""
    return await _DECIDED.rows(db, at=at, since=since)


async def watched(db: Connection, *, at: datetime, since: datetime) -> Sequence[Row]:
    """The same of each model that only watched."""
    return await _WATCHED.rows(db, at=at, since=since)


async def switched(db: Connection, *, at: datetime, since: datetime) -> Sequence[Row]:
    """Of each model: the automatic switches that followed, and what they saved."""
    return await _SWITCHED.rows(db, at=at, since=since)
