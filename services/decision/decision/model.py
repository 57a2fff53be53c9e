"""The risk model: an ONNX file, checked against its card, as something that answers.

This is the only module that knows the runtime. A loaded `Model` never changes; to swap models is
to bind another one to the name that decisions read.
"""

import hashlib
import math
from dataclasses import dataclass
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import onnxruntime
from pydantic import BaseModel, StringConstraints, ValidationError

from decision.choices import HORIZON_HOURS, Risk
from decision.features import NAMES, Rows
from decision.trials import trial_rows

SHIPPED = Path(__file__).parent / "shipped" / "risk.onnx"
SIZE_LIMIT_BYTES = 1_000_000
ROUNDING = 1.00001
"""By so much one 32-bit number may be too large beside another."""
CARD_LIMIT_BYTES = 200_000

INPUT = "features"
OUTPUTS = {"hazard_per_h": 1, "risk": 3, "expected_hours": 1, "risk_h": 1}
"""Each output's number of columns: the hazard per hour, the risk within 1, 4 and 24 hours, the
expected hours until an interruption within the horizon of 72 hours, the risk within it."""


class ModelError(Exception):
    """A model that cannot be used, and why, in one sentence."""


class DataSource(BaseModel):
    """A recording that a model was fitted to."""

    name: str
    origin: str
    licence: str
    begins: str
    ends: str
    pools: int
    samples: int


class Skill(BaseModel):
    """How well a model did on pools or days that it had not seen."""

    test: str
    horizon_h: int
    base_rate: float
    brier_skill_percent: float
    trailing_rate_skill_percent: float
    advisor_band_skill_percent: float
    expected_calibration_error: float


class ModelCard(BaseModel):
    """What stands beside a model: which file it is, what it was made from, what it is worth.

    `prior` tells where the rates before evidence came from as it was fitted.
    """

    name: str
    version: Annotated[str, StringConstraints(min_length=1, max_length=255)]
    sha256: str
    size_bytes: int
    features: tuple[str, ...]
    fitted: dict[str, float]
    method: str
    prior: str = ""
    data: list[DataSource]
    skill: list[Skill]
    no_skill: list[str]


@dataclass(frozen=True)
class Model:
    """A model that passed every check."""

    card: ModelCard
    _session: Any

    @property
    def version(self) -> str:
        """The name under which decisions record it."""
        return self.card.version

    def risks(self, rows: Rows) -> list[Risk]:
        """The risk of each feature row [n, 10]; raises `ModelError`."""
        if not len(rows):
            return []
        try:
            outputs = self._session.run(list(OUTPUTS), {INPUT: rows})
            told = np.concatenate(outputs, axis=1)
        except Exception as error:  # The runtime's errors have no public base class.
            raise ModelError("The model fails on a row of features.") from error
        if len(told) != len(rows):
            raise ModelError(f"The model answers {len(told)} rows where {len(rows)} were asked.")
        risks = [Risk(*row) for row in told.tolist()]
        if not all(map(_is_sound, risks)):
            raise ModelError(_complaint(next(risk for risk in risks if not _is_sound(risk))))
        return risks


def card_path(path: Path) -> Path:
    """Where the card of a model lies: beside it, under the same name."""
    return path.with_suffix(".card.json")


def load(path: Path = SHIPPED, *, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> Model:
    """The model in a file, with the card beside it; raises `ModelError`."""
    return checked(*read(path, size_limit_bytes=size_limit_bytes))


def read(path: Path, *, size_limit_bytes: int = SIZE_LIMIT_BYTES) -> tuple[bytes, ModelCard]:
    """What a model's file and its card hold, unchecked; raises `ModelError`."""
    return _read(path, size_limit_bytes), _read_card(card_path(path))


def checked(content: bytes, card: ModelCard) -> Model:
    """The model in these bytes, if they are what the card says; raises `ModelError`."""
    digest = hashlib.sha256(content).hexdigest()
    if digest != card.sha256:
        raise ModelError(f"The model's SHA-256 is {digest}, its card says {card.sha256}.")
    if len(content) != card.size_bytes:
        raise ModelError(f"The model has {len(content)} bytes, its card says {card.size_bytes}.")
    if card.features != NAMES:
        raise ModelError(f"The model's card names the features {', '.join(card.features)}.")
    model = Model(card, _session(content))
    _assert_sane(model)
    return model


def _read(path: Path, size_limit_bytes: int) -> bytes:
    try:
        with path.open("rb") as file:
            content = file.read(size_limit_bytes + 1)
    except OSError as error:
        raise ModelError(f"{path} cannot be read: {error.strerror}.") from error
    if len(content) > size_limit_bytes:
        raise ModelError(f"{path} is larger than {size_limit_bytes} bytes.")
    return content


def _read_card(path: Path) -> ModelCard:
    try:
        return ModelCard.model_validate_json(_read(path, CARD_LIMIT_BYTES))
    except ValidationError as error:
        first = error.errors()[0]
        place = ".".join(str(part) for part in first["loc"]) or "it"
        raise ModelError(f"{path} is no model card: {place}: {first['msg']}.") from error


def _session(content: bytes) -> Any:
    """A session over bytes: without a path, the file cannot draw in data from other files."""
    options = onnxruntime.SessionOptions()
    options.intra_op_num_threads = options.inter_op_num_threads = 1
    options.log_severity_level = 4  # What is wrong is raised.
    try:
        session = onnxruntime.InferenceSession(
            content, sess_options=options, providers=["CPUExecutionProvider"]
        )
    except Exception as error:  # The runtime's errors have no public base class.
        raise ModelError("The model is no ONNX file that the runtime can load.") from error
    for one in (*session.get_inputs(), *session.get_outputs()):
        if one.shape and isinstance(one.shape[0], int):  # Else it has a name, or None.
            raise ModelError(f"The model takes {one.shape[0]} rows at a time, not any number.")
    inputs = {one.name: (one.type, one.shape[1:]) for one in session.get_inputs()}
    if inputs != {INPUT: ("tensor(float)", [len(NAMES)])}:
        raise ModelError(f"The model's inputs are {inputs}, not {INPUT} [n, {len(NAMES)}].")
    outputs = {one.name: (one.type, one.shape[1:]) for one in session.get_outputs()}
    if outputs != {name: ("tensor(float)", [width]) for name, width in OUTPUTS.items()}:
        raise ModelError(f"The model's outputs are {outputs}, not {OUTPUTS}.")
    return session


def _assert_sane(model: Model) -> None:
    """Whatever a fleet can bring must give risks and hours that can be, one row or many."""
    rows = trial_rows()
    model.risks(rows)
    model.risks(rows[:1])


def _is_sound(risk: Risk) -> bool:
    """Whether an answer can be true. It is asked for each pool of each decision, so it is short."""
    hazard, hour, four_hours, day, hours, horizon = risk  # What is no number is in no range.
    return (
        0.0 <= hazard < math.inf
        and 0.0 <= hour <= four_hours * ROUNDING
        and four_hours <= day * ROUNDING
        and day <= horizon * ROUNDING
        and hour <= 1.0
        and four_hours <= 1.0
        and day <= 1.0
        and horizon <= 1.0
        and 0.0 <= hours <= HORIZON_HOURS * ROUNDING
    )


def _complaint(risk: Risk) -> str:
    """What is wrong with an answer that is not sound, in one sentence."""
    risks = (*risk[1:4], risk.horizon)
    if not all(map(math.isfinite, risk)):
        return "The model's risks are no numbers."
    if not all(0.0 <= value <= 1.0 for value in risks):
        return "The model's risks do not lie between 0 and 1."
    if risk.hazard_per_h < 0.0:
        return "The model's hazards are negative."
    if not 0.0 <= risk.expected_hours <= HORIZON_HOURS * ROUNDING:
        return f"The model expects other than 0 to {HORIZON_HOURS:g} hours."
    return "The model's risks fall as time goes on."
