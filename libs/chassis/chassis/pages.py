"""Cursors: the place behind which a page of a list begins, as opaque text."""

import base64
import json
from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from spotkeeper_contracts import Refused


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
            details = {"cursor": ["Not a cursor of this list"]}
            raise Refused("VALIDATION_FAILED", "Validation failed", 400, details) from error

    def next_cursor(self, rows: Sequence[Any], *, limit: int) -> str | None:
        """The cursor of the next page, if this one, of `limit` rows, was cut."""
        if len(rows) <= limit:
            return None
        last = rows[limit - 1]
        return self._cursor(Position(last[self.at], last["id"]))

    def _cursor(self, position: Position) -> str:
        text = json.dumps([self.name, position.at.isoformat(), str(position.id)])
        return base64.urlsafe_b64encode(text.encode()).decode()
