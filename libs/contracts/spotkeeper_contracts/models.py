"""Models of the decision engine: published, withdrawn, and judged by what came of them."""

from enum import StrEnum
from typing import Annotated

from pydantic import Field

from spotkeeper_contracts.message import Reply, Request, Value
from spotkeeper_contracts.topics import DECISION_REQUESTS
from spotkeeper_contracts.values import Count, Text, Timestamp

TRIAL_SECONDS = 30
"""What the trial of a model may take, with a margin for a busy machine."""


class ModelRole(StrEnum):
    """What a model does: decide, or watch."""

    ACTIVE = "active"
    SHADOW = "shadow"


class ModelDetail(Value):
    """A published model; `role` is null once another has taken its place.

    A file that both decides and watches is listed once for each, with the card of each.
    """

    sha256: str
    version: Text
    size_bytes: Count
    role: ModelRole | None
    published_by: Text
    timestamp: Timestamp


class ModelAnswer(Reply):
    """The model as it is kept now."""

    model: ModelDetail


class ModelQuestion(Request):
    """A question about the models of the decision engine; asked by the administrator."""

    @property
    def key(self) -> str:
        """One partition serves as well as another."""
        return "models"


class PublishModel(
    ModelQuestion, topic=DECISION_REQUESTS, reply=ModelAnswer, takes_seconds=TRIAL_SECONDS
):
    """Give a model a role, if it passes every check; it takes the place of the one before.

    Who has the other role stays the same, be it the same file.

    The ONNX file is given in Base64, with the content of its card. Every engine takes it up by
    itself, and without a pause.
    """

    role: ModelRole
    onnx: Annotated[str, Field(max_length=60_000)]
    card: dict[str, object]


class WithdrawModel(ModelQuestion, topic=DECISION_REQUESTS, reply=ModelAnswer):
    """Take its role from the published model; the engines' own file decides again."""

    role: ModelRole


class ModelList(Reply):
    """Published models, newest first."""

    models: list[ModelDetail]


class ListModels(ModelQuestion, topic=DECISION_REQUESTS, reply=ModelList, reads_only=True):
    """All models that were ever published."""


class ModelRecord(Value):
    """What a model promised, and what came of it.

    Interruptions are those within an hour of decisions on spot that left the agent where it was;
    savings are those of automatic switches, in USD an hour on average.
    """

    model_version: Text
    decisions: Count
    switches: Count
    rated_hours: Count
    expected_interruptions: float
    interruptions: Count
    brier_score: float | None
    promised_savings_per_hour: float | None
    realised_savings_per_hour: float | None
    interrupted_switches: Count


class ModelReport(Reply):
    """Promise and outcome by version, of the models that decided and those that watched."""

    active: list[ModelRecord]
    shadow: list[ModelRecord]
    as_of: Timestamp


class GetModelReport(ModelQuestion, topic=DECISION_REQUESTS, reply=ModelReport, reads_only=True):
    """What the models promised within the last days, beside what came of it."""

    days: Annotated[int, Field(ge=1, le=90)] = 30
