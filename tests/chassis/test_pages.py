"""Cursors: a page goes on where the last one ended, and a list knows its own."""

import base64
import json
from datetime import UTC, datetime, timedelta
from uuid import UUID

import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from chassis.pages import PAGE_BYTES, Pages, fitting
from spotkeeper_contracts import Refusal, Refused

EVENTS = Pages("events", at="created_at")
SOME_ID = str(UUID(int=1))


def encoded(value: object) -> str:
    return base64.urlsafe_b64encode(json.dumps(value).encode()).decode()


moments = st.datetimes(timezones=st.just(UTC))
texts = st.text() | st.just("events") | moments.map(str) | st.uuids().map(str)
values = st.recursive(
    st.none() | st.booleans() | st.floats() | st.integers() | texts,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(texts, inner, max_size=2),
)


@given(cursor=st.text() | values.map(encoded))
@example(cursor=encoded(["events", "0001-01-01T00:00:00+23:59", SOME_ID]))
@example(cursor=encoded(["events", "9999-12-31T23:59:59-23:59", SOME_ID]))
@example(cursor=encoded(["events", "2024-11-26T10:00:00+00:00", SOME_ID]))
def test_any_text_is_a_moment_in_utc_or_refused(cursor: str) -> None:
    try:
        place = EVENTS.position(cursor)
    except Refused:
        return
    assert place is not None
    assert place.at.utcoffset() == timedelta()


@given(at=moments, id=st.uuids())
def test_a_cursor_leads_back_to_the_place_it_was_made_for(at: datetime, id: UUID) -> None:
    row = {"created_at": at, "id": id}
    assert EVENTS.position(EVENTS.next_cursor([row, row], shown=1)) == (at, id)


def test_the_last_page_has_no_cursor() -> None:
    row = {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1)}
    assert EVENTS.next_cursor([row], shown=1) is None


@pytest.mark.parametrize("at", ["2024-11-26", "2024-11-26T10:00:00", "2024-11-26T12:00:00+02:00"])
def test_a_cursor_that_no_page_ended_with_is_refused(at: str) -> None:
    with pytest.raises(Refused):
        EVENTS.position(encoded(["events", at, SOME_ID]))


def test_a_cursor_of_another_list_is_refused() -> None:
    row = {"created_at": datetime(2026, 1, 1, tzinfo=UTC), "id": UUID(int=1)}
    cursor = EVENTS.next_cursor([row, row], shown=1)
    with pytest.raises(Refused) as refused:
        Pages("switches", at="created_at").position(cursor)
    assert refused.value.refusal.details == {"cursor": ["Not a cursor of this list"]}


def test_a_page_ends_where_an_answer_would_be_too_large() -> None:
    large = Refusal(code="X", error="x" * (PAGE_BYTES // 3), status=400)
    assert len(fitting([large] * 5)) == 2
    assert fitting([Refusal(code="X", error="x" * PAGE_BYTES, status=400), large]) != []
    assert fitting([]) == []
