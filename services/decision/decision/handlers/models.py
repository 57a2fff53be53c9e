"""The models: published, withdrawn, taken up by this process, and judged by what came of them."""

import base64
import hashlib
from collections.abc import Sequence
from datetime import timedelta

from pydantic import ValidationError

from chassis import clock
from chassis.transaction import Tx
from decision.engine import Engine, engine_of
from decision.model import ModelCard, ModelError
from decision.proof import prove
from decision.slots import Published
from decision.store import models as store
from decision.store.rows import Row
from spotkeeper_contracts import Refused
from spotkeeper_contracts.models import (
    GetModelReport,
    ListModels,
    ModelAnswer,
    ModelDetail,
    ModelList,
    ModelRecord,
    ModelReport,
    PublishModel,
    WithdrawModel,
)

LOOK_SECONDS = 0.9
"""However many lanes sweep, a process looks for models about once a second."""


async def engine_of_now(tx: Tx) -> Engine:
    """This process's engine; the first to ask has it load its models."""
    engine = engine_of(tx.settings)
    if engine.looked_at is None:
        async with engine.opening:
            await look_at_models(engine, tx)
    return engine


async def look_at_models(engine: Engine, tx: Tx) -> None:
    """Take up what was published, and another file, if there is one."""
    if engine.looked_at is not None and clock.monotonic() < engine.looked_at + LOOK_SECONDS:
        return
    published = await store.in_roles(tx.db)
    for slot in engine.slots:
        await slot.look_at_file()
        mark = published.get(slot.role)
        if mark == slot.published_seen:
            continue
        row = await store.content(tx.db, slot.role)
        found = Published(mark, row["onnx"], row["card"]) if mark and row else None
        await slot.publish(found)
    engine.looked_at = clock.monotonic()


async def publish_model(request: PublishModel, tx: Tx) -> ModelAnswer:
    """Keep a model that passes every check, and give it the role."""
    content, card = _read(request)
    try:
        await prove(content, card, answer_seconds=tx.settings.engine_timeout_seconds)
    except ModelError as error:
        raise _invalid("onnx", str(error)) from error
    detail = ModelDetail(
        sha256=card.sha256,
        version=card.version,
        size_bytes=len(content),
        role=request.role,
        published_by=tx.actor,
        timestamp=tx.now,
    )
    await store.publish(
        tx.db,
        request.role,
        sha256=card.sha256,
        version=card.version,
        size_bytes=len(content),
        onnx=content,
        card=card.model_dump(mode="json"),
        published_by=tx.actor,
        published_at=tx.now,
    )
    return ModelAnswer(model=detail)


async def withdraw_model(request: WithdrawModel, tx: Tx) -> ModelAnswer:
    """Let the engines' own file decide (or nothing watch) again."""
    row = await store.withdraw(tx.db, request.role)
    if row is None:
        raise Refused("MODEL_NOT_FOUND", "No model is published for this role", 404)
    return ModelAnswer(model=_detail_of(row))


async def list_models(request: ListModels, tx: Tx) -> ModelList:
    """All published models, newest first."""
    return ModelList(models=[_detail_of(row) for row in await store.all_models(tx.db)])


async def get_model_report(request: GetModelReport, tx: Tx) -> ModelReport:
    """Promise and outcome by model version."""
    since = tx.now - timedelta(days=request.days)
    switched = {r["model_version"]: r for r in await store.switched(tx.db, at=tx.now, since=since)}
    return ModelReport(
        active=_records(await store.decided(tx.db, at=tx.now, since=since), switched),
        shadow=_records(await store.watched(tx.db, at=tx.now, since=since), {}),
        as_of=tx.now,
    )


def _read(request: PublishModel) -> tuple[bytes, ModelCard]:
    """The model's bytes and card; raises `Refused` with 400 and what is wrong with which."""
    try:
        content = base64.b64decode(request.onnx, validate=True)
    except ValueError as error:  # Also what is no ASCII at all.
        raise _invalid("onnx", "The model must be given in Base64") from error
    try:
        card = ModelCard.model_validate(request.card)
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in ("card", *first["loc"]))
        text = "Missing required field" if first["type"] == "missing" else first["msg"]
        raise _invalid(place, text) from error
    if hashlib.sha256(content).hexdigest() != card.sha256:
        raise _invalid("card.sha256", "The card is of another model")
    if len(content) != card.size_bytes:
        raise _invalid("card.size_bytes", f"The model has {len(content)} bytes")
    return content, card


def _invalid(field: str, text: str) -> Refused:
    return Refused("VALIDATION_FAILED", "Validation failed", 400, {field: [text]})


def _detail_of(row: Row) -> ModelDetail:
    told = {name: row[name] for name in ModelDetail.model_fields if name != "timestamp"}
    return ModelDetail(**told, timestamp=row["published_at"])


def _records(rows: Sequence[Row], switched: dict[str, Row]) -> list[ModelRecord]:
    return [_record(row, switched.get(row["model_version"])) for row in rows]


def _record(row: Row, switched: Row | None) -> ModelRecord:
    return ModelRecord(
        model_version=row["model_version"],
        decisions=row["decisions"],
        rated_hours=row["rated_hours"],
        expected_interruptions=row["expected"],
        interruptions=row["interruptions"],
        brier_score=row["brier_score"],
        switches=switched["switches"] if switched else 0,
        promised_savings_per_hour=_usd(switched, "promised"),
        realised_savings_per_hour=_usd(switched, "realised"),
        interrupted_switches=switched["interrupted"] if switched else 0,
    )


def _usd(row: Row | None, name: str) -> float | None:
    """An amount to a millionth of a dollar; None if there is none."""
    return None if row is None or row[name] is None else round(row[name], 6)
