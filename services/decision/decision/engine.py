"""The engine of this process: the model that decides, the one that watches, an answer in time."""

import asyncio
from collections.abc import Callable
from functools import cache
from typing import TypeVar

from chassis import clock
from chassis.log import get_logger
from decision import metrics
from decision.choices import Risk
from decision.features import Rows
from decision.model import SHIPPED, Model
from decision.prior import Advisor
from decision.questions import Answer, Question, answer
from decision.recordings import RecordingError, read_advisor
from decision.settings import DecisionSettings
from decision.slots import Asked, EngineDown, Slot
from decision.trials import trial_rows
from spotkeeper_contracts.models import ModelRole

log = get_logger()
T = TypeVar("T")


class Engine:
    """What answers questions."""

    def __init__(self, settings: DecisionSettings) -> None:
        self._timeout_seconds = settings.engine_timeout_seconds
        self._advisor = _advisor(settings)
        self._priors: dict[tuple[str, str], float] = {}
        self._is_failing = False
        limit = {"answer_seconds": settings.engine_timeout_seconds}
        self.active = Slot(ModelRole.ACTIVE, settings.model_file or SHIPPED, **limit)
        self.shadow = Slot(ModelRole.SHADOW, settings.shadow_file, **limit)
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

    async def answer(self, question: Question) -> tuple[Answer, Answer | None]:
        """The decision of the active model, and what the watching one would have decided.

        Raises `EngineDown` for the active model; the other has no answer then, as if it were none.
        """
        if self.shadow.asked is None:
            return await self._decide(question), None
        decided, watched = await asyncio.gather(
            self._decide(question), self._watch(self.shadow.asked, question), return_exceptions=True
        )
        if isinstance(decided, BaseException):
            raise decided
        return decided, watched if isinstance(watched, Answer) else None

    async def rate(self, rows: Rows) -> list[Risk] | None:
        """The risk of each row by the active model; None if it cannot say."""
        if self.active.asked is None:
            return None
        try:
            return await self._ask(lambda model: model.risks(rows))
        except EngineDown:
            return None

    async def recover(self) -> None:
        """If the last answer failed, see whether the engine answers all that it must again."""
        if self._is_failing:
            await self.rate(trial_rows())

    async def _decide(self, question: Question) -> Answer:
        return await self._ask(lambda model: answer(question, model))

    async def _watch(self, asked: Asked, question: Question) -> Answer | None:
        """The watching model has half of the time: nobody waits for it when a decision is made."""
        try:
            return await asked.ask(
                lambda model: answer(question, model), within_seconds=self._timeout_seconds / 2
            )
        except EngineDown as down:
            log.warning("the shadow has no answer", reason=down.reason)
            return None

    async def _ask(self, work: Callable[[Model], T]) -> T:
        """Ask the active model; whether it can decide is known by its last answer."""
        start = clock.monotonic()
        try:
            if self.active.asked is None:
                raise EngineDown("no-model", "no model is loaded")
            found = await self.active.asked.ask(work, within_seconds=self._timeout_seconds)
        except EngineDown as down:
            self._is_failing = True
            metrics.ENGINE_FAILURES.labels(down.reason).inc()
            log.error("the engine cannot decide", reason=down.reason)
            raise
        self._is_failing = False
        metrics.ENGINE_SECONDS.observe(clock.monotonic() - start)
        return found


@cache
def engine_of(settings: DecisionSettings) -> Engine:
    """The one engine of a process with these settings."""
    return Engine(settings)


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
