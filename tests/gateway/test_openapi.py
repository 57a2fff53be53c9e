"""The document is complete and current, and the page made of it needs nothing from elsewhere."""

import json
import re
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import jsonschema
import pytest

from gateway.app import framework
from gateway.reference import examples_in, page_of

COMMITTED = Path(__file__).parents[2] / "docs" / "openapi.json"
DOCUMENT: dict[str, Any] = framework(None).openapi()


def operations() -> Iterator[tuple[str, str, dict[str, Any]]]:
    for path, methods in DOCUMENT["paths"].items():
        for method, operation in methods.items():
            yield path, method, operation


EACH = pytest.mark.parametrize(
    ("path", "method", "operation"),
    [pytest.param(*one, id=one[2]["operationId"]) for one in operations()],
)


def test_the_committed_document_is_current() -> None:
    assert json.loads(COMMITTED.read_text(encoding="utf-8")) == DOCUMENT


@EACH
def test_every_operation_is_named_told_of_and_shown(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    assert operation["operationId"]
    assert operation["description"].endswith(".")
    assert operation["tags"]
    bodies = [operation["requestBody"]] if "requestBody" in operation else []
    for body in [*bodies, *operation["responses"].values()]:
        for content in body.get("content", {}).values():
            assert examples_in(DOCUMENT, content), (path, method, body)


@EACH
def test_every_operation_under_api_tells_its_errors(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    statuses = set(operation["responses"])
    assert "422" not in statuses
    if path.startswith("/api"):
        assert {"401", "403", "429", "500", "503", "504"} <= statuses
        assert operation["security"]
    if "{agent_id}" in path:
        assert {"404", "410"} <= statuses
    if "requestBody" in operation:
        assert {"400", "413", "415"} <= statuses


@pytest.mark.parametrize(
    ("method", "path", "told"),
    [
        ("get", "/config", {"ETag", "X-Config-Version", "X-Outcome"}),
        ("patch", "/config", {"ETag", "X-Config-Version"}),
        ("post", "/heartbeat", {"X-Config-Version", "X-Outcome"}),
        ("get", "/statistics", {"X-As-Of", "X-Outcome"}),
        ("get", "/events", {"X-Next-Cursor", "X-Outcome"}),
        ("post", "/decide", {"X-Outcome"}),
    ],
)
def test_a_success_tells_of_its_headers(method: str, path: str, told: set[str]) -> None:
    operation = DOCUMENT["paths"][f"/api/agents/{{agent_id}}{path}"][method]
    headers = set(operation["responses"]["200"]["headers"])
    assert headers == told | {"X-Request-ID", "X-Agent-Epoch"}


@pytest.mark.parametrize("path", ["/config", "/replica-config"])
def test_what_is_not_modified_tells_of_its_headers_too(path: str) -> None:
    responses = DOCUMENT["paths"][f"/api/agents/{{agent_id}}{path}"]["get"]["responses"]
    assert responses["304"]["headers"].keys() == responses["200"]["headers"].keys()


@EACH
def test_every_post_under_a_key_may_be_a_misuse_of_it(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    if path.startswith("/api") and method == "post":
        told = operation["responses"]["409"]["content"]["application/json"]
        assert "IDEMPOTENCY_MISMATCH" in str(told)


@EACH
def test_the_bounds_of_parameters_are_told_in_the_words_of_json_schema(
    path: str, method: str, operation: dict[str, Any]
) -> None:
    for parameter in operation.get("parameters", []):
        assert not {"ge", "le"} & set(parameter["schema"])
        if parameter["name"] in ("limit", "days"):
            told = parameter["schema"]
            assert (told["type"], told["minimum"]) == ("integer", 1)
            assert told["maximum"] in (50, 90, 500)


def test_operation_ids_are_unique() -> None:
    ids = [operation["operationId"] for _, _, operation in operations()]
    assert len(ids) == len(set(ids))


def test_examples_of_bodies_are_valid() -> None:
    for _, _, operation in operations():
        for body in [operation.get("requestBody", {}), *operation["responses"].values()]:
            content = body.get("content", {}).get("application/json")
            if content is None:
                continue
            schema = {**content["schema"], "components": DOCUMENT["components"]}
            for example in examples_in(DOCUMENT, content):
                jsonschema.Draft202012Validator(schema).validate(example)


def test_the_page_shows_every_operation_and_loads_nothing() -> None:
    page = page_of(DOCUMENT)
    for path, _, operation in operations():
        assert f'id="{operation["operationId"]}"' in page
        assert path in page
    assert not re.search(r'(src|href)="(?!/openapi\.json")', page)
    assert "<script" not in page
