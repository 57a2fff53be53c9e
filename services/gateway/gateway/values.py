"""Value types of HTTP bodies that are stricter in form than those of the bus."""

import re
from collections.abc import Iterator
from datetime import UTC, datetime
from math import isfinite
from typing import Annotated, Any, Literal
from uuid import UUID

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    Strict,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from spotkeeper_contracts.values import Percent, Probability, UsdPerHour, rfc3339

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d+)?([Zz]|[+-]\d\d:\d\d)?", re.ASCII)
_DECIMAL = re.compile(r"\d+(\.\d+)?", re.ASCII)

ReportedStatus = Literal["online", "degraded", "switching", "stopping", "error", "disabled"]
"""What an agent may say of itself; only the server says `offline`."""


NULL = "\0null"
"""Stands for null in examples, since FastAPI's `get_openapi` leaves out whatever is None."""


def with_example(example: dict[str, Any], *, strict: bool = False) -> ConfigDict:
    """The config of a body's model, with the example that the documentation shows."""
    return ConfigDict(strict=strict, json_schema_extra={"examples": [shown(example)]})


def shown(example: Any) -> Any:
    """An example as it may be given to FastAPI; the document has its nulls again."""
    return _replaced(example, None, NULL)


def with_nulls(document: Any) -> Any:
    """What FastAPI made of examples, with their nulls."""
    return _replaced(document, NULL, None)


EARLIEST, LATEST = datetime(1970, 1, 1, tzinfo=UTC), datetime.max.replace(tzinfo=UTC)


def _replaced(value: Any, old: str | None, new: str | None) -> Any:
    if isinstance(value, dict):
        return {name: _replaced(part, old, new) for name, part in value.items()}
    if isinstance(value, list):
        return [_replaced(part, old, new) for part in value]
    return new if value == old else value


def _text_of_moment(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("moment", "Input should be a time as in RFC 3339")
    return value


def to_utc(moment: datetime) -> datetime:
    """The moment in UTC, which it is taken for where it names no zone; raises `ValueError`.

    Nothing here is older than `EARLIEST`, and the very ends of Python's calendar are no moments to
    a database: it takes them for infinite.
    """
    try:
        told = moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError:
        told = LATEST
    if not EARLIEST <= told < LATEST:
        raise PydanticCustomError("moment", "Input should be a time in the years 1970 to 9999")
    return told


Moment = Annotated[
    datetime,
    BeforeValidator(_text_of_moment),
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment written as in RFC 3339; a number is none."""


Flag = Annotated[bool, Strict()]
Confidence = Annotated[Probability, Strict()]
Percentage = Annotated[Percent, Strict()]
Price = Annotated[UsdPerHour, Strict()]


def _storable(given: dict[str, Any]) -> dict[str, Any]:
    for value in _parts_of(given):
        if isinstance(value, float) and not isfinite(value):
            raise PydanticCustomError("json_number", "Numbers must be finite")
        if isinstance(value, str) and ("\0" in value or not _is_unicode(value)):
            raise PydanticCustomError("json_text", "Texts must be Unicode without NUL")
    ordered: dict[str, Any] = _in_order(given)
    return ordered


def _in_order(value: Any) -> Any:
    """The value with its keys sorted, since in JSON their order tells nothing."""
    if isinstance(value, dict):
        return {name: _in_order(value[name]) for name in sorted(value)}
    if isinstance(value, list):
        return [_in_order(part) for part in value]
    return value


def _parts_of(value: Any) -> Iterator[Any]:
    """The value and all inside it, keys included; how deep it may be is limited elsewhere."""
    yield value
    if isinstance(value, dict):
        value = [*value, *value.values()]
    if isinstance(value, list):
        for part in value:
            yield from _parts_of(part)


def _is_unicode(text: str) -> bool:
    try:
        text.encode()
    except UnicodeEncodeError:  # JSON can escape one half of a surrogate pair.
        return False
    return True


JsonObject = Annotated[dict[str, Any], AfterValidator(_storable)]
"""Any JSON object that a database can keep as it is; said in another order it is the same."""


def _digits(value: Any) -> Any:
    if isinstance(value, str) and not (value.isascii() and value.isdecimal()):
        raise PydanticCustomError("count", "Input should be a whole number")
    return value


def _decimal(value: Any) -> Any:
    if isinstance(value, str) and not _DECIMAL.fullmatch(value):
        raise PydanticCustomError("decimal", "Input should be a decimal number")
    return value


IN_DIGITS = BeforeValidator(_digits)
"""A query's whole number has digits alone: Python would take `+5` and `5.0` for one as well.

It stands behind the bounds in an annotation, or pydantic could not document them.
"""
AS_DECIMAL = BeforeValidator(_decimal)
"""The same of a number that may have a fraction."""


def uuid_of(text: str) -> UUID | None:
    """The id in its one canonical form; anything else is none."""
    try:
        id = UUID(text)
    except ValueError:
        return None
    return id if str(id) == text.lower() else None


class Done(BaseModel):
    """The request took effect."""

    model_config = with_example({"success": True})

    success: Literal[True] = True
