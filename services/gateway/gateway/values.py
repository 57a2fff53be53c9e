"""Value types of HTTP bodies that are stricter in form than those of the bus."""

import re
from datetime import UTC, datetime
from typing import Annotated, Any, Literal

from pydantic import (
    AfterValidator,
    BaseModel,
    BeforeValidator,
    ConfigDict,
    PlainSerializer,
    WithJsonSchema,
)
from pydantic_core import PydanticCustomError

from spotkeeper_contracts.values import rfc3339

_RFC3339 = re.compile(r"\d{4}-\d\d-\d\d[Tt ]\d\d:\d\d:\d\d(\.\d{1,9})?([Zz]|[+-]\d\d:\d\d)?")

ReportedStatus = Literal["online", "degraded", "switching", "stopping", "error", "disabled"]
"""What an agent may say of itself; only the server says `offline`."""


def with_example(example: dict[str, Any], *, strict: bool = False) -> ConfigDict:
    """The config of a body's model, with the example that the documentation shows."""
    return ConfigDict(strict=strict, json_schema_extra={"examples": [example]})


def _text_of_moment(value: Any) -> Any:
    if not isinstance(value, str) or not _RFC3339.fullmatch(value):
        raise PydanticCustomError("moment", "Input should be a time as in RFC 3339")
    return value


def to_utc(moment: datetime) -> datetime:
    """The moment in UTC, which it is taken for where it names no zone; raises `ValueError`."""
    try:
        return moment.replace(tzinfo=UTC) if moment.tzinfo is None else moment.astimezone(UTC)
    except OverflowError as error:
        raise PydanticCustomError("moment", "Input should be a time in the years 1 to 9999") from (
            error
        )


Moment = Annotated[
    datetime,
    BeforeValidator(_text_of_moment),
    AfterValidator(to_utc),
    PlainSerializer(rfc3339, return_type=str, when_used="json"),
    WithJsonSchema({"type": "string", "format": "date-time"}),
]
"""A moment written as in RFC 3339; a number is none."""


class Done(BaseModel):
    """The request took effect."""

    model_config = with_example({"success": True})

    success: Literal[True] = True
