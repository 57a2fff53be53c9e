"""What every message is: a frozen value with a type name, a topic and a key, declared once."""

from typing import Any, ClassVar, Self

from pydantic import BaseModel, ConfigDict

from spotkeeper_contracts.topics import GATEWAY_REPLIES, Topic

MESSAGES: dict[str, type["Message"]] = {}
"""All declared messages by their type on the wire, such as `AgentRegistered.v1`."""


class Value(BaseModel):
    """A frozen value; a reader ignores fields it does not know, so fields may be added."""

    model_config = ConfigDict(frozen=True, extra="ignore", ser_json_inf_nan="constants")


class Message(Value):
    """A fact or a question that travels on a topic; its class is its contract."""

    topic: ClassVar[Topic]
    version: ClassVar[int]
    type: ClassVar[str]

    def __init_subclass__(
        cls, *, topic: Topic | None = None, version: int = 1, **kwargs: Any
    ) -> None:
        super().__init_subclass__(**kwargs)
        if topic is None:
            return
        cls.topic = topic
        cls.version = version
        cls.type = f"{cls.__name__}.v{version}"
        assert cls.type not in MESSAGES, f"message {cls.type} is declared twice"
        MESSAGES[cls.type] = cls

    @property
    def key(self) -> str:
        """The value that orders this message among those of its topic."""
        return str(getattr(self, self.topic.key))

    def to_bytes(self) -> bytes:
        """The message as it stands in the record's value: JSON in UTF-8."""
        return self.__pydantic_serializer__.to_json(self)

    @classmethod
    def from_bytes(cls, value: bytes) -> Self:
        """The message in a record's value; raises `pydantic.ValidationError` if it is none."""
        return cls.model_validate_json(value)


class Reply(Message):
    """An answer to a request. `revision`, if given, is that of the state the answer tells of."""

    revision: int | None = None

    def __init_subclass__(cls, *, version: int = 1, **kwargs: Any) -> None:
        super().__init_subclass__(topic=GATEWAY_REPLIES, version=version, **kwargs)


class Done(Reply):
    """The request took effect; there is nothing more to say."""


class Refusal(Reply):
    """A "no" that the caller can expect, with the HTTP status that tells it."""

    code: str
    error: str
    status: int
    details: dict[str, list[str]] | None = None


class Refused(Exception):
    """Raised by a handler or a rule, before the first write, to answer with a `Refusal`."""

    def __init__(
        self, code: str, error: str, status: int, details: dict[str, list[str]] | None = None
    ) -> None:
        super().__init__(f"{code}: {error}")
        self.refusal = Refusal(code=code, error=error, status=status, details=details)


class Request(Message):
    """A question to the one owner of its topic.

    `reply` is what the owner answers. A request that `reads_only` leaves no trace: it is neither
    remembered nor protected against a repeat, since a repeat of it changes nothing. The fields
    named in `context` tell of the surroundings or come from headers, and are not what is asked: a
    repeat may differ in them. One with `takes_seconds` may be worked at for so long between two
    questions to the owner's database, where others may for a moment.
    """

    reply: ClassVar[type[Reply]]
    reads_only: ClassVar[bool] = False
    takes_seconds: ClassVar[int] = 0
    context: ClassVar[frozenset[str]] = frozenset()

    def __init_subclass__(
        cls,
        *,
        topic: Topic | None = None,
        version: int = 1,
        reply: type[Reply] | None = None,
        reads_only: bool = False,
        takes_seconds: int = 0,
        **kwargs: Any,
    ) -> None:
        super().__init_subclass__(topic=topic, version=version, **kwargs)
        if reply is not None:
            cls.reply = reply
        cls.reads_only = reads_only
        cls.takes_seconds = takes_seconds
