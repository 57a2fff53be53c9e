"""Published models, and what models promised beside what came of it."""

from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import (
    ColumnElement,
    DateTime,
    FromClause,
    Table,
    Text,
    and_,
    bindparam,
    case,
    delete,
    false,
    func,
    null,
    select,
)
from sqlalchemy.dialects.postgresql import insert

from chassis.query import AT, SINCE, Connection, Query, given, named
from decision.choices import Move
from decision.store.evidence import EventKind
from decision.store.rows import Row
from decision.tables import agent_decision_history as history
from decision.tables import model_roles, models, pool_events, switch_outcomes
from spotkeeper_contracts.decisions import Recommendation
from spotkeeper_contracts.models import ModelRole

_ROLE = bindparam("of_role", type_=Text)
_published = ("version", "card", "published_by", "published_at")
_FILE = ("sha256", "size_bytes", "onnx", *_published)
_GIVEN = ("role", "sha256", *_published)
_keep = insert(models).values(given(models, *_FILE))
_KEEP = Query(
    _keep.on_conflict_do_update(
        index_elements=["sha256"], set_={name: _keep.excluded[name] for name in _published}
    )
)
_give = insert(model_roles).values(given(model_roles, *_GIVEN))
_GIVE = Query(
    _give.on_conflict_do_update(
        index_elements=["role"], set_={name: _give.excluded[name] for name in _GIVEN[1:]}
    )
)
_told = (models.c.sha256, models.c.size_bytes)
_WITHDRAW = Query(
    delete(model_roles)
    .where(model_roles.c.role == _ROLE, model_roles.c.sha256 == models.c.sha256)
    .returning(*_told, null().label("role"), *(model_roles.c[name] for name in _published)),
    writes=True,
)
_of_role = [func.coalesce(model_roles.c[n], models.c[n]).label(n) for n in _published]
_ALL = Query(
    select(*_told, model_roles.c.role, *_of_role)
    .select_from(models.outerjoin(model_roles))
    .order_by(_of_role[-1].desc(), models.c.sha256, model_roles.c.role)
)
_IN_ROLE = Query(
    select(*(model_roles.c[name] for name in ("role", "sha256", "version", "published_at")))
)
_CONTENT = Query(
    select(models.c.onnx, model_roles.c.card)
    .select_from(model_roles.join(models))
    .where(model_roles.c.role == _ROLE)
)


async def publish(db: Connection, role: ModelRole, **columns: Any) -> None:
    """Give a model a role, and take that from the one before; the other role stays as it is."""
    given_to = {**columns, "role": role.value}
    await _KEEP.run(db, **named({name: given_to[name] for name in _FILE}))
    await _GIVE.run(db, **named({name: given_to[name] for name in _GIVEN}))


async def withdraw(db: Connection, role: ModelRole) -> Row | None:
    """Take its role from a model; the model, if there was one."""
    return await _WITHDRAW.row(db, of_role=role.value)


async def all_models(db: Connection) -> Sequence[Row]:
    """All models that were ever published, newest first; one with two roles is there twice."""
    return await _ALL.rows(db)


async def in_roles(db: Connection) -> dict[ModelRole, object]:
    """What has each role: another value if it was published anew, be it the same file."""
    return {ModelRole(row["role"]): tuple(row)[1:] for row in await _IN_ROLE.rows(db)}


async def content(db: Connection, role: ModelRole) -> Row | None:
    """The file of the model with that role, and the card that it was given with."""
    return await _CONTENT.row(db, of_role=role.value)


_HOUR = timedelta(hours=1)


def _of_instances(kind: EventKind, told: Table) -> tuple[FromClause, ColumnElement[bool]]:
    """The events of a kind, and which belongs to an instance that is told of: at most one."""
    events = pool_events.alias(kind.value)
    same = and_(
        events.c.client_id == told.c.client_id,
        events.c.instance_id == told.c.instance_id,
        events.c.kind == kind.value,
    )
    return events, same


def _within_the_hour(at: ColumnElement[Any], since: ColumnElement[Any]) -> ColumnElement[bool]:
    return func.coalesce(and_(at > since, at <= since + _HOUR), false())


_notice, _of_notice = _of_instances(EventKind.NOTICE, history)
_rebalance, _of_rebalance = _of_instances(EventKind.REBALANCE, history)
_hit = _within_the_hour(_notice.c.at, history.c.decided_at)
_stayed = and_(
    history.c.recommendation == Recommendation.STAY.value,
    history.c.current_pool.is_not(None),
    history.c.decided_at <= AT - _HOUR,
    # After a recommendation of AWS the risk is what a rule says, and no model.
    ~_within_the_hour(_rebalance.c.at, history.c.decided_at - _HOUR),
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
        .select_from(history.outerjoin(_notice, _of_notice).outerjoin(_rebalance, _of_rebalance))
        .where(
            version.is_not(None),
            history.c.outcome.is_(None),
            history.c.decided_at > SINCE,
            history.c.decided_at <= AT,
        )
        .group_by(version)
        .order_by(version)
    )


_DECIDED = _calibration(history.c.model_version, _stayed, history.c.risk_score)
_WATCHED = _calibration(
    history.c.shadow_version,
    and_(_stayed, history.c.shadow_recommendation == Recommendation.STAY.value),
    history.c.shadow_risk_score,
)
_interruption, _of_interruption = _of_instances(EventKind.NOTICE, switch_outcomes)
_SWITCHED = Query(
    select(
        switch_outcomes.c.model_version,
        func.count().label("switches"),
        func.avg(switch_outcomes.c.promised_savings_per_hour).label("promised"),
        (
            func.sum(switch_outcomes.c.realised_savings)
            / func.nullif(func.sum(switch_outcomes.c.metered_hours), 0.0)
        ).label("realised"),
        func.count(_interruption.c.at).label("interrupted"),
    )
    .select_from(switch_outcomes.outerjoin(_interruption, _of_interruption))
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
