"""Views: the memory of compacted topics, for answers without a hop."""

import asyncio
from collections.abc import Callable, Mapping, ValuesView
from typing import Any, Generic, TypeVar

from aiokafka.structs import ConsumerRecord

from chassis import metrics
from chassis.envelope import Envelope, Unreadable
from chassis.log import get_logger
from chassis.reader import Reader, partitions_of
from spotkeeper_contracts import Message

log = get_logger()
M = TypeVar("M", bound=Message)

OnChange = Callable[[str, M | None, M | None], None]


class View(Generic[M]):
    """The latest message per key of one compacted topic; a lower `revision` replaces nothing.

    A miss means "not seen yet", never "does not exist": ask the owner.
    """

    def __init__(self, message: type[M]) -> None:
        self.message = message
        self.on_change: list[OnChange[M]] = []
        """Called as (key, old, new) after each change."""
        self._entries: dict[str, M] = {}
        self._waiting: dict[str, list[tuple[int, asyncio.Future[None]]]] = {}

    def __len__(self) -> int:
        return len(self._entries)

    def get(self, key: str) -> M | None:
        """The latest message of a key."""
        return self._entries.get(key)

    def values(self) -> ValuesView[M]:
        """The latest messages of all keys."""
        return self._entries.values()

    def put(self, key: str, new: M | None) -> None:
        """Take over a newer message, or forget the key."""
        old = self._entries.get(key)
        if new is None:
            self._entries.pop(key, None)
        elif old is not None and _revision(new) < _revision(old):
            return
        else:
            self._entries[key] = new
        metrics.VIEW_ENTRIES.labels(self.message.topic.name).set(len(self._entries))
        for changed in self.on_change:
            changed(key, old, new)
        self._wake(key, new)

    async def reached(self, key: str, revision: int, *, timeout_seconds: float) -> bool:
        """Wait until the view has this revision of the key, or say False when time is up."""
        entry = self._entries.get(key)
        if entry is not None and _revision(entry) >= revision:
            return True
        future: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        waiting = self._waiting.setdefault(key, [])
        waiting.append((revision, future))
        try:
            async with asyncio.timeout(timeout_seconds):
                await future
        except TimeoutError:
            return False
        finally:
            waiting.remove((revision, future))
            if not waiting:
                self._waiting.pop(key, None)
        return True

    def _wake(self, key: str, new: M | None) -> None:
        for revision, future in self._waiting.get(key, ()):
            if new is not None and _revision(new) >= revision and not future.done():
                future.set_result(None)


class Views:
    """Several views that one reader keeps current."""

    def __init__(
        self, bootstrap_servers: str, views: Mapping[type[Message], View[Any]], *, client_id: str
    ) -> None:
        self._by_topic = {message.topic.name: view for message, view in views.items()}
        self.topics = frozenset(self._by_topic)
        self._reader = Reader(
            bootstrap_servers,
            partitions_of([message.topic for message in views]),
            self.take,
            client_id=client_id,
            from_beginning=True,
        )

    @property
    def ready(self) -> bool:
        """Whether all topics were read to the end once and the broker still answers."""
        return self._reader.ready

    @property
    def loaded(self) -> bool:
        """Whether all topics were read to the end once, however long ago."""
        return self._reader.caught_up.is_set()

    def start(self) -> None:
        """Begin reading."""
        self._reader.start()

    async def stop(self) -> None:
        """Stop reading."""
        await self._reader.stop()

    def take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        """Put a state where it belongs, whether it comes from its own topic or with an answer."""
        if record.key is None:
            return
        key = record.key.decode()
        if not record.value:
            self._by_topic[record.topic].put(key, None)
            return
        try:
            message = Envelope.from_record(record.value, record.headers).message
        except Unreadable as error:
            log.error(
                "unreadable state", topic=record.topic, offset=record.offset, error=str(error)
            )
            return
        view = self._by_topic.get(message.topic.name)
        if view is not None and isinstance(message, view.message):
            view.put(key, message)


def _revision(message: Message) -> int:
    return getattr(message, "revision", 0)
