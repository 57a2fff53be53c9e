"""Cursors: the place behind which a page begins, as opaque text."""

import base64
import json
from collections.abc import Sequence
from datetime import UTC, datetime
from typing import Any, NamedTuple
from uuid import UUID

from spotkeeper_contracts import Refused


class Position(NamedTuple):
    """The last item of the page before."""

    at: datetime
    id: UUID


def position(cursor: str | None) -> Position | None:
    """The place that a cursor names; raises `Refused` with 400 if it is none of ours."""
    if cursor is None:
        return None
    try:
        at, id = json.loads(base64.urlsafe_b64decode(cursor.encode()))
        return Position(datetime.fromisoformat(at).astimezone(UTC), UUID(id))
    except (ValueError, TypeError, AttributeError, OverflowError) as error:
        details = {"cursor": ["Not a cursor of this list"]}
        raise Refused("VALIDATION_FAILED", "Validation failed", 400, details) from error


def next_cursor(rows: Sequence[Any], *, limit: int, at: str) -> str | None:
    """The cursor of the next page, if this one was cut; `at` names the column that orders."""
    if len(rows) <= limit:
        return None
    last = rows[limit - 1]
    text = json.dumps([last[at].isoformat(), str(last["id"])])
    return base64.urlsafe_b64encode(text.encode()).decode()
