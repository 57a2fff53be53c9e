"""Pages of lists, and cursors: the place behind which a page begins, as opaque text."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple, TypeVar
from uuid import UUID

from pydantic import BaseModel

from spotkeeper_contracts import Refused
from spotkeeper_contracts.topics import RECORD_BYTES

PAGE_BYTES = RECORD_BYTES * 3 // 4
"""What the items of one page may take; a page is an answer, and an answer one record."""

Item = TypeVar("Item", bound=BaseModel)


class Position(NamedTuple):
    """The last item of the page before."""

    at: datetime
    id: UUID


@dataclass(frozen=True)
class Pages:
    """The pages of one list, which takes no cursor but its own."""

    name: str
    at: str
    """The column that orders the list, by time and newest first; `id` decides between equals."""

    def position(self, cursor: str | None) -> Position | None:
        """The place that a cursor names; raises `Refused` with 400 if it is none of this list."""
        if cursor is None:
            return None
        try:
            _, at, id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
            position = Position(datetime.fromisoformat(at).astimezone(UTC), UUID(id))
            if cursor != self._cursor(position):
                raise ValueError(cursor)
            return position
        except (ValueError, TypeError, AttributeError, OverflowError) as error:
            raise not_a_cursor() from error

    def next_cursor(self, rows: Sequence[Any], *, shown: int) -> str | None:
        """The cursor of the next page, if this one shows only the first of the rows."""
        if len(rows) <= shown:
            return None
        last = rows[shown - 1]
        return self._cursor(Position(last[self.at], last["id"]))

    def _cursor(self, position: Position) -> str:
        text = json.dumps([self.name, position.at.isoformat(), str(position.id)])
        return base64.urlsafe_b64encode(text.encode()).decode()


def not_a_cursor() -> Refused:
    """The refusal of a cursor that is none of the list."""
    details = {"cursor": ["Not a cursor of this list"]}
    return Refused("VALIDATION_FAILED", "Validation failed", 400, details)


def fitting(items: Sequence[Item]) -> list[Item]:
    """The first of the items: as many as one page holds, and one at least."""
    taken = 0
    for number, item in enumerate(items):
        taken += len(item.model_dump_json().encode())
        if taken > PAGE_BYTES and number > 0:
            return list(items[:number])
    return list(items)
