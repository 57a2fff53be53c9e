"""Bodies within their limits, and the JSON that the contract takes."""

import pytest
from starlette.types import Message

from gateway.bodies import MAX_DEPTH, parse_json, read_body
from gateway.heads import Head, read_head
from spotkeeper_contracts import Refused


def nested(levels: int) -> bytes:
    return b'{"a":' * (levels - 1) + b"{}" + b"}" * (levels - 1)


def test_json_of_the_allowed_depth_is_taken() -> None:
    assert parse_json(nested(MAX_DEPTH))


@pytest.mark.parametrize(
    "body",
    [
        nested(MAX_DEPTH + 1),
        b"[" * 60_000,
        b'{"price": NaN}',
        b'{"price": Infinity}',
        b'{"price": -Infinity}',
        b'{"name": "\xff"}',
        "{}".encode("utf-16"),
        b'{"n": ' + b"1" * 5_000 + b"}",
        b"{",
        b'{"a": "\n"}',
    ],
)
def test_json_outside_the_contract_is_refused(body: bytes) -> None:
    with pytest.raises(Refused) as refused:
        parse_json(body)
    assert refused.value.refusal.status == 400
    assert list(refused.value.refusal.details or ()) == ["body"]


def test_of_a_repeated_key_the_last_one_counts() -> None:
    assert parse_json(b'{"a": 1, "a": 2}') == {"a": 2}


async def read(parts: list[bytes], head: Head) -> bytes:
    messages: list[Message] = [
        {"type": "http.request", "body": part, "more_body": left > 0}
        for left, part in zip(reversed(range(len(parts))), parts, strict=True)
    ]

    async def receive() -> Message:
        return messages.pop(0)

    return await read_body(receive, head, limit_bytes=10, timeout_seconds=1)


async def test_a_body_in_parts_is_put_together() -> None:
    head = read_head([(b"transfer-encoding", b"chunked")])
    assert await read([b"12345", b"", b"67890"], head) == b"1234567890"


@pytest.mark.parametrize(
    ("parts", "headers"),
    [
        ([b"12345678901"], [(b"content-length", b"11")]),
        ([b"123456", b"78901"], [(b"transfer-encoding", b"chunked")]),
    ],
)
async def test_a_body_over_the_limit_is_refused(
    parts: list[bytes], headers: list[tuple[bytes, bytes]]
) -> None:
    with pytest.raises(Refused) as refused:
        await read(parts, read_head(headers))
    assert refused.value.refusal.status == 413


def test_requests_without_an_id_get_one_each() -> None:
    ids = {read_head([]).request_id for _ in range(100)}
    assert len(ids) == 100


def test_an_id_of_the_caller_is_kept_only_if_it_is_plain() -> None:
    assert read_head([(b"x-request-id", b"abc-123")]).request_id == b"abc-123"
    assert read_head([(b"x-request-id", b"a b\tc")]).request_id != b"a b\tc"
    assert read_head([(b"x-request-id", b"x" * 129)]).request_id != b"x" * 129


@pytest.mark.parametrize(
    ("content_type", "is_json"),
    [
        (b"application/json", True),
        (b"Application/JSON; charset=utf-8", True),
        (b"application/problem+json", True),
        (b"text/json", False),
        (b"application/x-www-form-urlencoded", False),
        (b"", False),
    ],
)
def test_json_is_known_by_its_media_type(content_type: bytes, is_json: bool) -> None:
    assert read_head([(b"content-type", content_type)]).says_json is is_json


def test_a_body_of_no_declared_type_is_taken_for_json() -> None:
    assert read_head([]).says_json
