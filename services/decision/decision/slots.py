"""The models in use: one that decides, one that watches, each from a file or published.

A model is proved and loaded aside, then bound to the name that decisions read: no decision sees
half of a swap. A published model stands above the file of the settings, which each process watches.
"""

import asyncio
from collections.abc import Awaitable, Callable, Mapping
from concurrent.futures import Future, ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any, TypeVar

from chassis.log import get_logger
from decision import metrics
from decision.model import SHIPPED, Model, ModelCard, ModelError, card_path, checked, read
from decision.proof import prove
from spotkeeper_contracts.models import ModelRole

log = get_logger()
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


class Asked:
    """A model with threads of its own: where it hangs, it hinders no other model."""

    def __init__(self, model: Model) -> None:
        self.model = model
        self._threads = ThreadPoolExecutor(ANSWERS_AT_ONCE, "engine")
        self.hanging: set[Future[Any]] = set()

    async def ask(self, work: Callable[[Model], T], *, within_seconds: float) -> T:
        """What the work makes of the model; raises `EngineDown`."""
        if len(self.hanging) >= ANSWERS_AT_ONCE:  # No thread is left that could answer.
            raise EngineDown("timeout", "the engine did not answer in time")
        working = self._threads.submit(work, self.model)
        try:
            async with asyncio.timeout(within_seconds):
                return await asyncio.wrap_future(working)
        except TimeoutError as error:
            self.hanging.add(working)
            working.add_done_callback(self.hanging.discard)
            raise EngineDown("timeout", "the engine did not answer in time") from error
        except ModelError as error:
            raise EngineDown("model", "the model failed") from error


class Slot:
    """The model of one role."""

    def __init__(self, role: ModelRole, path: Path | None, *, answer_seconds: float) -> None:
        self.role = role
        self.path = path
        self._error: str | None = None
        self._answer_seconds = answer_seconds
        self._of_file: Asked | None = None
        self._published: Asked | None = None
        self._file_seen: object = None
        self.published_seen: object = None

    @property
    def asked(self) -> Asked | None:
        """The model in use, with its threads."""
        return self._published or self._of_file

    @property
    def model(self) -> Model | None:
        """The model in use."""
        return None if self.asked is None else self.asked.model

    @property
    def error(self) -> str | None:
        """What is wrong with the file; while a published model stands above it, that is nothing."""
        return None if self._published else self._error

    async def look_at_file(self) -> None:
        """Load the file if it, or its card, is another than before; a bad one changes nothing."""
        if self.path is None:
            return
        seen = tuple(_mark(path) for path in (self.path, card_path(self.path)))
        if seen == self._file_seen:
            return
        asked = await self._taken(self._of(self.path), "file")
        self._file_seen = seen  # Not before: where no trial can be made now, one is made later.
        self._error = None if asked else f"{self.path} is no sound model"
        self._of_file = asked or self._of_file

    async def publish(self, published: Published | None) -> None:
        """Take up what was published for the role, or let the file decide again."""
        taken = None
        if published is not None:  # The one before decides until this one is open.
            taken = await self._taken(_opened(published), "published")
        self.published_seen = published.mark if published else None
        self._published = taken

    async def _of(self, path: Path) -> Model:
        """The model in a file; what did not come with this program is proved first."""
        content, card = await asyncio.to_thread(read, path)
        if path != SHIPPED:
            await prove(content, card, answer_seconds=self._answer_seconds)
        return await asyncio.to_thread(checked, content, card)

    async def _taken(self, opening: Awaitable[Model], origin: str) -> Asked | None:
        try:
            model = await opening
        except (ModelError, ValueError) as error:
            metrics.MODEL_REFUSED.labels(origin).inc()
            log.error("model refused", role=self.role.value, origin=origin, error=str(error))
            return None
        metrics.MODELS_SWAPPED.labels(self.role.value).inc()
        log.info("model taken up", role=self.role.value, origin=origin, version=model.version)
        return Asked(model)


async def _opened(published: Published) -> Model:
    """The model, which was proved when it was published; raises `ModelError`."""
    card = ModelCard.model_validate(published.card)
    return await asyncio.to_thread(checked, published.onnx, card)


def _mark(path: Path) -> object:
    """What changes when a file does; None if there is none."""
    try:
        found = path.stat()
    except OSError:
        return None
    return found.st_mtime_ns, found.st_size, found.st_ino
