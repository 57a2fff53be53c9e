"""The OpenAPI document: what FastAPI cannot know of errors, roles and headers is added here."""

from collections.abc import Iterable
from http import HTTPStatus
from typing import Any

from fastapi import FastAPI
from fastapi.openapi.utils import get_openapi
from fastapi.routing import APIRoute

from gateway import errors
from gateway.auth import ADMINISTRATORS, Audience
from gateway.errors import Problem
from gateway.values import with_nulls

TITLE, VERSION = "Spotkeeper", "1.0.0"
DESCRIPTION = """The control plane for fleets of agents on AWS spot instances.

Every call under `/api` bears a token. Errors have one shape: `error`, with `code` or `details`.
Each response carries `X-Request-ID`; `429`, `503` and `504` carry `Retry-After`.
A POST that changes something may carry an `Idempotency-Key`: for 24 hours at
least, a repeat at the same path gets the stored answer, and another body there a 409. A call may
name the instance it comes from in `X-Instance-Id`: if that is not the agent's primary, a read
answers with `X-Outcome: not-primary` and a change is refused.
"""
TAGS = [
    {"name": "agents", "description": "Registration, list, detail, farewell and history."},
    {"name": "heartbeats", "description": "How agents show that they live."},
    {"name": "config", "description": "An agent's settings and their versions."},
    {"name": "commands", "description": "What agents are told to do, from the queue to its end."},
    {"name": "switches", "description": "From one pool to another, and what that saved."},
    {"name": "instances", "description": "What was left behind, and how it ends."},
    {"name": "replicas", "description": "Standby instances."},
    {"name": "emergencies", "description": "What AWS announces, and the answer to it."},
    {"name": "decisions", "description": "What the engine recommends, why, and what came of it."},
    {"name": "events", "description": "What happens, as it happens."},
    {"name": "admin", "description": "Clients and their tokens."},
    {"name": "models", "description": "The models that the engine decides by."},
    {"name": "operations", "description": "Whether the gateway lives and is ready."},
]
_SCHEMES = {
    "clientToken": {"type": "http", "scheme": "bearer", "description": "A client's token."},
    "adminToken": {"type": "http", "scheme": "bearer", "description": "The admin token."},
}
_ERROR = {"$ref": "#/components/schemas/Error"}
_ERROR_SCHEMA = {
    "title": "Error",
    "description": "Why a request was not carried out.",
    "type": "object",
    "required": ["error"],
    "properties": {
        "error": {"type": "string", "description": "For people."},
        "code": {"type": "string", "description": "For programs."},
        "details": {
            "type": "object",
            "description": "What is wrong, by field.",
            "additionalProperties": {"type": "array", "items": {"type": "string"}},
        },
    },
}
_EXAMPLE_OF_INVALID = {"instance_id": ["Missing required field"]}
_RETRIABLE = (429, 503, 504)
_EPOCH = "Which epoch the agent is in; a change of its primary begins a new one."

ALWAYS = (
    errors.METHOD_NOT_ALLOWED,
    errors.BODY_TIMEOUT,
    errors.BODY_TOO_LARGE,
    errors.HEADERS_TOO_LARGE,
    errors.INTERNAL,
)
ADMITTED = (
    errors.FORBIDDEN,
    errors.TOO_MANY_REQUESTS,
    errors.UNAVAILABLE,
    errors.NO_ANSWER,
)
TOKEN = (errors.INVALID_TOKEN, errors.TOKEN_EXPIRED, errors.TOKEN_REVOKED)


def problems_of(route: APIRoute, audience: Audience, *, fenced: bool) -> list[Problem]:
    """The problems that follow from a route's callers, path, method and body."""
    problems, methods = [*ALWAYS, *ADMITTED], route.methods or set()
    problems += [errors.INVALID_ADMIN_TOKEN] if audience is ADMINISTRATORS else TOKEN
    if "{agent_id}" in route.path:
        problems += [errors.AGENT_NOT_FOUND, errors.AGENT_DELETED, errors.VALIDATION_FAILED]
        if fenced and "GET" not in methods:
            problems.append(errors.NOT_PRIMARY)
    if "POST" in methods:
        problems.append(errors.IDEMPOTENCY_MISMATCH)
    if route.body_field is not None:
        problems += [errors.VALIDATION_FAILED, errors.NOT_JSON]
    elif "POST" in methods or route.dependant.query_params or route.dependant.header_params:
        problems.append(errors.VALIDATION_FAILED)
    return problems


def responses_of(problems: Iterable[Problem]) -> dict[int | str, dict[str, Any]]:
    """The error responses of a route, an example for each problem."""
    by_status: dict[int, list[Problem]] = {}
    for problem in problems:
        if problem not in by_status.setdefault(problem.status, []):
            by_status[problem.status].append(problem)
    return {status: _response(status, by_status[status]) for status in sorted(by_status)}


def headers_of_success(route: APIRoute, tells: Iterable[str], *, fenced: bool) -> dict[str, Any]:
    """The headers of a route's success: those that it tells, and those that all reads may tell."""
    told = {name: _TOLD[name] for name in tells}
    if fenced and "{agent_id}" in route.path and "GET" in (route.methods or set()):
        told.setdefault("X-Outcome", _TOLD["X-Outcome"])
    return told


def security_of(audience: Audience) -> list[dict[str, list[str]]]:
    """The token that a route asks for, and the roles that may call it."""
    scheme = "adminToken" if audience is ADMINISTRATORS else "clientToken"
    return [{scheme: sorted(audience)}]


def document_of(app: FastAPI) -> dict[str, Any]:
    """The whole document; it never speaks of 422."""
    document: dict[str, Any] = with_nulls(
        get_openapi(
            title=TITLE, version=VERSION, description=DESCRIPTION, tags=TAGS, routes=app.routes
        )
    )
    for path, operations in document["paths"].items():
        for operation in operations.values():
            operation["responses"].pop("422", None)
            for response in operation["responses"].values():
                response.setdefault("headers", {}).update(_headers_of(path))
    schemas = document["components"]["schemas"]
    for name in ("HTTPValidationError", "ValidationError"):
        schemas.pop(name, None)
    schemas["Error"] = _ERROR_SCHEMA
    document["components"]["securitySchemes"] = _SCHEMES
    return document


def _response(status: int, problems: list[Problem]) -> dict[str, Any]:
    examples = {problem.code: {"value": _example(problem)} for problem in problems}
    response: dict[str, Any] = {
        "description": HTTPStatus(status).phrase,
        "content": {"application/json": {"schema": _ERROR, "examples": examples}},
    }
    if status in _RETRIABLE:
        response["headers"] = {"Retry-After": _header("Seconds to wait before a repeat.", "1")}
    if status == 401:
        response["headers"] = {"WWW-Authenticate": _header("How to name a token.", "Bearer")}
    return response


def _example(problem: Problem) -> dict[str, Any]:
    details = _EXAMPLE_OF_INVALID if problem is errors.VALIDATION_FAILED else None
    return errors.body_of(problem.refused(details=details).refusal)


def _headers_of(path: str) -> dict[str, Any]:
    """The headers of every response of a path."""
    headers = {"X-Request-ID": _header("The request's id: the caller's own, or a new one.", "r-1")}
    if "{agent_id}" in path:
        headers["X-Agent-Epoch"] = _TOLD["X-Agent-Epoch"]
    return headers


def _header(description: str, example: str) -> dict[str, Any]:
    return {"description": description, "schema": {"type": "string"}, "example": example}


_TOLD = {
    "ETag": _header("The config's version, for `If-Match` and `If-None-Match`.", '"5"'),
    "X-Config-Version": _header("The version of the agent's config.", "5"),
    "X-Agent-Epoch": _header(_EPOCH, "1"),
    "X-Next-Cursor": _header("In CSV, the cursor of the next page, if there is one.", "WyJ…"),
    "X-As-Of": _header("When what is told was so.", "2024-11-26T10:00:00Z"),
    "X-Outcome": _header("A word for a 200 that is no plain yes; absent otherwise.", "not-primary"),
}
