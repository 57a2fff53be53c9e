"""Pages of history in the form that the caller prefers: as JSON, or as CSV for spreadsheets."""

import csv
import io
import json
import re
from collections.abc import Mapping, Sequence
from typing import Annotated, Any, Protocol

from fastapi import Header, Response
from pydantic import BaseModel

Accept = Annotated[str, Header(description="text/csv gives CSV.")]
AS_JSON = "application/json"
_QUALITY = re.compile(r"[0-9]+(\.[0-9]*)?")


class Page(Protocol):
    """Some items of a list, and where it goes on."""

    @property
    def items(self) -> Sequence[BaseModel]:
        """The items, newest first."""

    @property
    def next_cursor(self) -> str | None:
        """What leads to the next page, if there is one."""


def in_csv_too(columns: Sequence[str]) -> dict[int | str, dict[str, Any]]:
    """What the documentation says of a list that is given as CSV as well."""
    return {200: {"content": {"text/csv": {"example": ",".join(columns) + "\r\n"}}}}


def page_response(
    accept: str, body: type[BaseModel], page: Page, columns: Sequence[str]
) -> Response:
    """The page as the caller accepts it; in CSV, `X-Next-Cursor` leads to the next one."""
    if not prefers_csv(accept):
        told = body.model_validate({"items": page.items, "next_cursor": page.next_cursor})
        return Response(told.model_dump_json(), media_type=AS_JSON)
    headers = {} if page.next_cursor is None else {"X-Next-Cursor": page.next_cursor}
    return Response(csv_of(columns, page.items), headers=headers, media_type="text/csv")


def prefers_csv(accept: str) -> bool:
    """Whether CSV is named, and JSON is not named with more weight."""
    weights = {"text/csv": 0.0, AS_JSON: 0.0}
    for media_range in accept.split(","):
        name, *parameters = (part.strip().lower() for part in media_range.split(";"))
        quality = next((p[2:] for p in parameters if p.startswith("q=")), "1")
        if name in weights:
            weights[name] = float(quality) if _QUALITY.fullmatch(quality) else 0.0
    return weights["text/csv"] > 0 and weights["text/csv"] >= weights[AS_JSON]


def csv_of(columns: Sequence[str], items: Sequence[BaseModel]) -> str:
    """The items as RFC 4180 with a header line; no cell can be taken for a formula.

    A column names a field, or after a dot one inside it: `old_instance.pool_id`.
    """
    text = io.StringIO()
    writer = csv.writer(text)
    writer.writerow(columns)
    for item in items:
        fields = item.model_dump(mode="json")
        writer.writerow([_cell(fields, column) for column in columns])
    return text.getvalue()


def _cell(fields: Mapping[str, Any], column: str) -> str:
    value: Any = fields
    for name in column.split("."):
        value = value[name]
    match value:
        case None:
            return ""
        case str():
            return _plain(value)
        case _:
            return json.dumps(value)


def _plain(text: str) -> str:
    """OWASP, CSV injection: spreadsheets run texts that begin with one of these."""
    return f"'{text}" if text.startswith(("=", "+", "-", "@", "\t", "\r")) else text
