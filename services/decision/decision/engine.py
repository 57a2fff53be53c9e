"""The engine of this process: the models in use, their swap, and an answer in time.

A model is loaded and checked aside, then bound to the name that decisions read: no decision sees
half of a swap. A published model stands above the file of the settings, which each process watches.
"""

import asyncio
from collections.abc import Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from functools import cache
from pathlib import Path
from typing import Any, ParamSpec, TypeVar

from chassis import clock
from chassis.log import get_logger
from decision import metrics
from decision.choices import Risk
from decision.features import Rows
from decision.model import SHIPPED, Model, ModelCard, ModelError, card_path, checked, load
from decision.prior import Advisor
from decision.questions import Answer, Question, answer
from decision.recordings import RecordingError, read_advisor
from decision.settings import DecisionSettings
from decision.trials import trial_rows
from spotkeeper_contracts.models import ModelRole

log = get_logger()
P = ParamSpec("P")
T = TypeVar("T")

ANSWERS_AT_ONCE = 4


class EngineDown(Exception):
    """The engine cannot decide now; `reason` says why in a word, the text in a sentence."""

    def __init__(self, reason: str, text: str) -> None:
        super().__init__(text)
        self.reason = reason


@dataclass(frozen=True, slots=True)
class Published:
    """A model that was published for a role; with each publication `mark` is another value."""

    mark: object
    onnx: bytes
    card: Mapping[str, Any]

    def opened(self) -> Model:
        """The model, checked anew; raises `ModelError`."""
        return checked(self.onnx, ModelCard.model_validate(self.card))


class Slot:
    """The model of one role: from a file, or published."""

    def __init__(self, role: ModelRole, path: Path | None) -> None:
        self.role = role
        self.path = path
        self.error: str | None = None
        self._of_file: Model | None = None
        self._published: Model | None = None
        self._file_seen: object = None
        self.published_seen: object = None

    @property
    def model(self) -> Model | None:
        """The model that decides now."""
        return self._published or self._of_file

    def look_at_file(self) -> None:
        """Load the file if it, or its card, is another than before; a bad one changes nothing."""
        if self.path is None:
            return
        seen = tuple(_mark(path) for path in (self.path, card_path(self.path)))
        if seen == self._file_seen:
            return
        self._file_seen = seen
        path = self.path
        model = self._taken(lambda: load(path), "file")
        self.error = None if model else f"{path} is no sound model"
        self._of_file = model or self._of_file

    def publish(self, published: Published | None) -> None:
        """Take up what was published for the role, or let the file decide again."""
        self.published_seen = published.mark if published else None
        self._published = self._taken(published.opened, "published") if published else None

    def _taken(self, opened: Callable[[], Model], origin: str) -> Model | None:
        try:
            model = opened()
        except (ModelError, ValueError) as error:
            metrics.MODEL_REFUSED.labels(origin).inc()
            log.error("model refused", role=self.role.value, origin=origin, error=str(error))
            return None
        metrics.MODELS_SWAPPED.labels(self.role.value).inc()
        log.info("model taken up", role=self.role.value, origin=origin, version=model.version)
        return model


class Engine:
    """What answers questions."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._timeout_seconds = settings.engine_timeout_seconds
        self._threads = ThreadPoolExecutor(ANSWERS_AT_ONCE, "engine")
        self._hanging: set[Future[Any]] = set()
        self._advisor = _advisor(settings)
        self._priors: dict[tuple[str, str], float] = {}
        self._is_failing = False
        self.active = Slot(ModelRole.ACTIVE, settings.model_file or SHIPPED)
        self.shadow = Slot(ModelRole.SHADOW, settings.shadow_file)
        self.opening = asyncio.Lock()
        self.looked_at: float | None = None
        self.told_at = float("-inf")
        self.told: object = None

    @property
    def slots(self) -> tuple[Slot, Slot]:
        """The model that decides, and the one that watches."""
        return self.active, self.shadow

    @property
    def is_healthy(self) -> bool:
        """Whether a model is loaded, its file is sound, and its last answer came in time."""
        return self.active.model is not None and not self.active.error and not self._is_failing

    def prior_per_h(self, instance_type: str, region: str) -> float:
        """Interruptions per hour of a pool before any evidence."""
        key = instance_type, region
        if key not in self._priors:
            self._priors[key] = self._advisor.prior_per_h(*key)
        return self._priors[key]

    async def answer(self, question: Question) -> Answer:
        """The decision of the active model; raises `EngineDown`."""
        model = self.active.model
        if model is None:
            self._fails("no-model")
            raise EngineDown("no-model", "no model is loaded")
        found = await self._in_time(answer, question, model)
        self._is_failing = False
        return found

    async def rate(self, rows: Rows) -> list[Risk] | None:
        """The risk of each row by the active model; None if it cannot say."""
        model = self.active.model
        if model is None:
            return None
        try:
            found = await self._in_time(model.risks, rows)
        except EngineDown:
            return None
        self._is_failing = False
        return found

    async def recover(self) -> None:
        """If the last answer failed, see whether the engine answers all that it must again."""
        if self._is_failing:
            await self.rate(trial_rows())

    async def shadow_answer(self, question: Question) -> Answer | None:
        """What the watching model would have decided, if there is one and it answers."""
        model = self.shadow.model
        if model is None:
            return None
        try:
            return await self._in_time(answer, question, model)
        except EngineDown:
            return None

    async def _in_time(self, work: Callable[P, T], *args: P.args, **kwargs: P.kwargs) -> T:
        start = clock.monotonic()
        if len(self._hanging) >= ANSWERS_AT_ONCE:  # No thread is left that could answer.
            self._fails("timeout")
            raise EngineDown("timeout", "the engine did not answer in time")
        working = self._threads.submit(work, *args, **kwargs)
        try:
            async with asyncio.timeout(self._timeout_seconds):
                found = await asyncio.wrap_future(working)
        except TimeoutError as error:
            self._hanging.add(working)
            working.add_done_callback(self._hanging.discard)
            self._fails("timeout")
            raise EngineDown("timeout", "the engine did not answer in time") from error
        except ModelError as error:
            self._fails("model")
            raise EngineDown("model", "the model failed") from error
        metrics.ENGINE_SECONDS.observe(clock.monotonic() - start)
        return found

    def _fails(self, reason: str) -> None:
        self._is_failing = True
        metrics.ENGINE_FAILURES.labels(reason).inc()
        log.error("the engine cannot decide", reason=reason)


@cache
def engine_of(settings: DecisionSettings) -> Engine:
    """The one engine of a process with these settings."""
    return Engine(settings)


def _mark(path: Path) -> object:
    """What changes when a file does; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino


def _advisor(settings: DecisionSettings) -> Advisor:
    """The advisor's feed; without one, or if it cannot be read, what is assumed of classes."""
    if settings.advisor_file is not None:
        try:
            found = read_advisor(settings.advisor_file)
        except RecordingError as error:
            log.error("advisor refused", error=str(error))
        else:
            return Advisor(found.bands, settings.prior_rates)
    return Advisor(rates=settings.prior_rates)
