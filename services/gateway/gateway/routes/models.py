"""Models of the decision engine, for the bearer of the admin token: published, listed, judged."""

from typing import Annotated

from fastapi import Path, Query
from pydantic import BaseModel, StringConstraints

from gateway.auth import ADMINISTRATORS
from gateway.calls import Ask, AskOnce
from gateway.errors import MODEL_NOT_FOUND
from gateway.routing import open_to, router
from gateway.values import IN_DIGITS, JsonObject, with_example
from spotkeeper_contracts.models import (
    GetModelReport,
    ListModels,
    ModelAnswer,
    ModelDetail,
    ModelList,
    ModelRecord,
    ModelReport,
    ModelRole,
    PublishModel,
    WithdrawModel,
)
from spotkeeper_contracts.values import Timestamp

routes = router("models")

_MODEL = {
    "sha256": "9f86d081884c7d659a2feaa0c55ad015a3bf4f1b2b0b822cd15d6c15b0f00a08",
    "version": "2024-11-01",
    "size_bytes": 702,
    "role": "shadow",
    "published_by": "admin",
    "timestamp": "2024-11-26T10:00:00Z",
}


class ModelToPublish(BaseModel):
    """An ONNX file in Base64, the content of its card, and what the model is to do."""

    model_config = with_example(
        {"role": "shadow", "onnx": "CAgSBGFjbWU=", "card": {"version": "2024-11-01"}}
    )

    role: ModelRole
    onnx: Annotated[str, StringConstraints(max_length=60_000)]
    card: JsonObject


class ModelBody(BaseModel):
    """The model as it is kept now."""

    model_config = with_example({"model": _MODEL})

    model: ModelDetail


class ModelsBody(BaseModel):
    """Published models, the newest first."""

    model_config = with_example({"models": [_MODEL]})

    models: list[ModelDetail]


class ModelReportBody(BaseModel):
    """Promise and outcome, by version, of the models that decided and of those that watched."""

    model_config = with_example(
        {
            "active": [
                {
                    "model_version": "2024-11-01",
                    "decisions": 145,
                    "switches": 38,
                    "rated_hours": 120,
                    "expected_interruptions": 1.4,
                    "interruptions": 1,
                    "brier_score": 0.011,
                    "promised_savings_per_hour": 0.0021,
                    "realised_savings_per_hour": 0.0019,
                    "interrupted_switches": 0,
                }
            ],
            "shadow": [],
            "as_of": "2024-11-26T10:00:00Z",
        }
    )

    active: list[ModelRecord]
    shadow: list[ModelRecord]
    as_of: Timestamp


@routes.post("/api/admin/models", operation_id="publish_model", status_code=201)
@open_to(ADMINISTRATORS)
async def publish_model(body: ModelToPublish, ask: AskOnce) -> ModelBody:
    """Publish an ONNX model: it is checked, then every engine takes it up without a restart.

    Whatever is wrong with file or card is a 400 whose details say what.

    As `active` it decides in the place of the one before; as `shadow` it is scored and recorded
    beside that, and never acts.
    """
    answer: ModelAnswer = await ask(PublishModel(role=body.role, onnx=body.onnx, card=body.card))
    return ModelBody(model=answer.model)


@routes.get("/api/admin/models", operation_id="list_models")
@open_to(ADMINISTRATORS)
async def list_models(ask: Ask) -> ModelsBody:
    """All models that were ever published, with the role that each has now."""
    answer: ModelList = await ask(ListModels())
    return ModelsBody(models=answer.models)


@routes.get("/api/admin/models/report", operation_id="report_on_models")
@open_to(ADMINISTRATORS)
async def report_on_models(
    ask: Ask,
    days: Annotated[int, Query(ge=1, le=90, description="Days to look back."), IN_DIGITS] = 30,
) -> ModelReportBody:
    """What each model promised, and what came of it."""
    report: ModelReport = await ask(GetModelReport(days=days))
    return ModelReportBody(active=report.active, shadow=report.shadow, as_of=report.as_of)


@routes.delete("/api/admin/models/{role}", operation_id="withdraw_model")
@open_to(ADMINISTRATORS, MODEL_NOT_FOUND)
async def withdraw_model(
    role: Annotated[ModelRole, Path(description="What the model does.")], ask: Ask
) -> ModelBody:
    """Take a published model back: the engines decide by their own file again."""
    answer: ModelAnswer = await ask(WithdrawModel(role=role))
    return ModelBody(model=answer.model)
