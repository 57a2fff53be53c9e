"""The tail of some topics: new messages as they pass, without a group."""

from collections.abc import Callable, Sequence

from aiokafka import TopicPartition
from aiokafka.structs import ConsumerRecord

from chassis.envelope import Envelope, Unreadable, header
from chassis.reader import Reader, partitions_of
from spotkeeper_contracts import Topic

OnMessage = Callable[[Envelope, TopicPartition, int], None]


class Tail:
    """Gives each new message of some topics, with its partition and offset, to one function.

    Given `positions`, it begins there instead of at the end: so a reader that was away goes on.
    Only messages of clients that `is_wanted` are opened, which is most of what reading costs.
    """

    def __init__(
        self,
        bootstrap_servers: str,
        topics: Sequence[Topic],
        on_message: OnMessage,
        *,
        client_id: str,
        is_wanted: Callable[[str | None], bool],
        positions: dict[TopicPartition, int] | None = None,
    ) -> None:
        self._on_message = on_message
        self._is_wanted = is_wanted
        self._reader = Reader(
            bootstrap_servers,
            partitions_of(topics),
            self._take,
            client_id=client_id,
            from_beginning=False,
            positions=positions,
        )

    @property
    def ready(self) -> bool:
        """Whether it reads."""
        return self._reader.ready

    @property
    def positions(self) -> dict[TopicPartition, int]:
        """Where it stands: the next offset of each partition."""
        return self._reader.positions

    async def caught_up(self) -> None:
        """Wait until all that was there at the start has been given out."""
        await self._reader.caught_up.wait()

    def start(self) -> None:
        """Begin reading."""
        self._reader.start()

    async def stop(self) -> None:
        """Stop reading."""
        await self._reader.stop()

    def _take(self, record: "ConsumerRecord[bytes, bytes]") -> None:
        if not self._is_wanted(header(record.headers, "ce_clientid")):
            return
        try:
            envelope = Envelope.from_record(record.value, record.headers)
        except Unreadable:
            return  # Its readers keep it as a dead letter; here it is only not shown.
        self._on_message(envelope, TopicPartition(record.topic, record.partition), record.offset)
