"""CSV for those who prefer it, which runs no formula."""

import csv
import io

import pytest
from pydantic import BaseModel

from chassis import clock
from gateway.lists import csv_of, prefers_csv
from gateway.routes.history import COLUMNS
from spotkeeper_contracts.agents import SystemEvent


@pytest.mark.parametrize(
    ("accept", "csv_wanted"),
    [
        ("text/csv", True),
        ("text/csv, application/json", True),
        ("application/json, text/csv;q=0.5", False),
        ("*/*", False),
        ("text/csv;q=0", False),
        ("text/csv;q=\xb2", False),
        ("text/csv;q=.", False),
        ("", False),
    ],
)
def test_csv_is_given_to_those_who_ask_for_it(accept: str, csv_wanted: bool) -> None:
    assert prefers_csv(accept) is csv_wanted


def test_csv_has_a_header_and_no_formulas() -> None:
    event = SystemEvent(
        event_id=clock.new_id(), event_type="agent_registered", severity="info",
        message="=1+1, \"quoted\"", actor="admin", data={"a": 1}, timestamp=clock.now(),
    )  # fmt: skip
    header, line = list(csv.reader(io.StringIO(csv_of(COLUMNS, [event]))))
    assert tuple(header) == COLUMNS
    assert dict(zip(header, line, strict=True))["message"] == '\'=1+1, "quoted"'
    assert dict(zip(header, line, strict=True))["data"] == '{"a": 1}'


class Inner(BaseModel):
    pool_id: str | None


class Outer(BaseModel):
    inner: Inner
    saved: float
    settled: bool
    note: str | None


def test_a_column_reaches_inside_and_a_number_stays_a_number() -> None:
    item = Outer(inner=Inner(pool_id="a"), saved=-0.5, settled=False, note=None)
    text = csv_of(["inner.pool_id", "saved", "settled", "note", "inner"], [item])
    (line,) = list(csv.reader(io.StringIO(text)))[1:]
    assert line == ["a", "-0.5", "false", "", '{"pool_id": "a"}']
