"""Every "no" of the HTTP contract: its status, its code, its text, and the response it becomes.

Refused (spotkeeper_contracts)    a rule's or an owner's no, with its own status
RequestValidationError (FastAPI)  400 with the fields and what is wrong with them
HTTPException (Starlette)         404 for unknown paths, 405 for unknown methods
BusUnavailable (chassis)          503, with Retry-After
NoAnswer (chassis)                504, with Retry-After
anything else                     500 with a generic text
"""

import json
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from fastapi.exceptions import RequestValidationError
from pydantic_core import ErrorDetails
from starlette.exceptions import HTTPException
from starlette.responses import Response

from chassis.asking import NoAnswer
from chassis.log import get_logger
from chassis.producer import BusUnavailable
from spotkeeper_contracts import Refusal, Refused

log = get_logger()

RETRY_SECONDS = 1
"""What 503 and 504 advise: the broker or the owner is usually back within seconds."""


@dataclass(frozen=True)
class Problem:
    """A documented error: what the gateway itself answers, or passes on from an owner."""

    status: int
    code: str
    text: str

    def refused(self, *, details: dict[str, list[str]] | None = None) -> Refused:
        """The problem as an exception to raise."""
        return Refused(self.code, self.text, self.status, details)


class RateLimited(Refused):
    """The client has spent its requests; it may come back after some seconds."""

    def __init__(self, retry_after_seconds: int) -> None:
        super().__init__(TOO_MANY_REQUESTS.code, TOO_MANY_REQUESTS.text, 429)
        self.retry_after_seconds = retry_after_seconds


VALIDATION_FAILED = Problem(400, "VALIDATION_FAILED", "Validation failed")
INVALID_CONFIGURATION = Problem(
    400,
    "INVALID_CONFIGURATION",
    "auto_switch_enabled and manual_replica_enabled exclude each other",
)
INVALID_TOKEN = Problem(401, "INVALID_TOKEN", "Invalid client token")
INVALID_ADMIN_TOKEN = Problem(401, "INVALID_TOKEN", "Invalid admin token")
TOKEN_EXPIRED = Problem(401, "TOKEN_EXPIRED", "The token has expired")
TOKEN_REVOKED = Problem(401, "TOKEN_REVOKED", "The token was revoked")
FORBIDDEN = Problem(403, "FORBIDDEN", "The token's role does not allow this")
AUTO_SWITCH_DISABLED = Problem(
    403, "AUTO_SWITCH_DISABLED", "Auto-switching is disabled for this agent"
)
AGENT_DISABLED = Problem(403, "AGENT_DISABLED", "The agent is disabled")
NOT_FOUND = Problem(404, "NOT_FOUND", "Not found")
AGENT_NOT_FOUND = Problem(404, "AGENT_NOT_FOUND", "Agent not found")
COMMAND_NOT_FOUND = Problem(404, "COMMAND_NOT_FOUND", "Command not found")
INSTANCE_NOT_FOUND = Problem(404, "INSTANCE_NOT_FOUND", "Instance not found")
REPLICA_NOT_FOUND = Problem(404, "REPLICA_NOT_FOUND", "Replica not found")
DECISION_NOT_FOUND = Problem(404, "DECISION_NOT_FOUND", "No decision was made yet")
MODEL_NOT_FOUND = Problem(404, "MODEL_NOT_FOUND", "No model is published for this role")
METHOD_NOT_ALLOWED = Problem(405, "METHOD_NOT_ALLOWED", "Method not allowed")
BODY_TIMEOUT = Problem(408, "BODY_TIMEOUT", "The request's body did not arrive in time")
NOT_PRIMARY = Problem(409, "NOT_PRIMARY", "The instance is not the agent's primary")
IDEMPOTENCY_MISMATCH = Problem(
    409, "IDEMPOTENCY_MISMATCH", "The Idempotency-Key was used with another body"
)
ALREADY_ON_TARGET = Problem(409, "ALREADY_ON_TARGET", "The agent runs there already")
SWITCH_IN_PROGRESS = Problem(409, "SWITCH_IN_PROGRESS", "Another switch is in progress")
ALREADY_FINISHED = Problem(409, "ALREADY_FINISHED", "The command has ended already")
TOO_MANY_TOKENS = Problem(409, "TOO_MANY_TOKENS", "The client has 200 usable tokens already")
STALE_REPORT = Problem(409, "STALE_REPORT", "The old instance is not the agent's primary")
STALE_EPOCH = Problem(409, "STALE_EPOCH", "The agent is in epoch 4")
NOT_LAUNCHED = Problem(409, "NOT_LAUNCHED", "The replica has no instance yet")
NOT_SYNCED = Problem(409, "NOT_SYNCED", "The replica is not ready yet")
REPLICA_ENDED = Problem(409, "REPLICA_ENDED", "The replica is terminated already")
INSTANCE_IN_USE = Problem(409, "INSTANCE_IN_USE", "The instance has a part in this agent already")
INVALID_TRANSITION = Problem(
    409, "INVALID_TRANSITION", "A replica that is ready does not become launching by a report"
)
AGENT_DELETED = Problem(410, "AGENT_DELETED", "The agent was deleted")
VERSION_MISMATCH = Problem(412, "VERSION_MISMATCH", "The config is at another version")
BODY_TOO_LARGE = Problem(413, "BODY_TOO_LARGE", "The request's body is too large")
NOT_JSON = Problem(415, "UNSUPPORTED_MEDIA_TYPE", "The request's body must be application/json")
TOO_MANY_REQUESTS = Problem(429, "TOO_MANY_REQUESTS", "Too many requests")
HEADERS_TOO_LARGE = Problem(431, "HEADERS_TOO_LARGE", "The request's headers are too large")
INTERNAL = Problem(500, "INTERNAL", "Internal server error")
UNAVAILABLE = Problem(503, "UNAVAILABLE", "The service is unavailable for the moment")
NO_ANSWER = Problem(504, "NO_ANSWER", "No answer came in time; the request may still take effect")


def invalid(field: str, text: str) -> Refused:
    """A 400 that names one field."""
    return VALIDATION_FAILED.refused(details={field: [text]})


def response_to(error: Exception, request_id: bytes) -> Response:
    """The response that an exception becomes; a bug is logged and told of in general words."""
    match error:
        case Refused():
            return _response_to_refused(error)
        case RequestValidationError():
            found = error.errors()
            if any(one["loc"][0] == "path" for one in found):
                return _response_to_refused(NOT_FOUND.refused())
            return _response_to_refused(VALIDATION_FAILED.refused(details=details_of(found)))
        case HTTPException():
            problem = {404: NOT_FOUND, 405: METHOD_NOT_ALLOWED}.get(error.status_code, INTERNAL)
            return _response_to_refused(problem.refused(), error.headers)
        case BusUnavailable():
            return _response_to_refused(UNAVAILABLE.refused())
        case NoAnswer():
            return _response_to_refused(NO_ANSWER.refused())
    log.error("request failed", request_id=request_id.decode(), exc_info=error)
    return _response_to_refused(INTERNAL.refused())


def body_of(refusal: Refusal) -> dict[str, Any]:
    """The documented body: with details, or with a code, or (404 and 500) the error alone."""
    if refusal.details is not None:
        return {"error": refusal.error, "details": refusal.details}
    if refusal.status == INTERNAL.status:
        return {"error": INTERNAL.text}
    if refusal.status == NOT_FOUND.status:
        return {"error": refusal.error}
    return {"error": refusal.error, "code": refusal.code}


def details_of(errors: Sequence[ErrorDetails | dict[str, Any]]) -> dict[str, list[str]]:
    """What is wrong, by field; the input itself is not repeated."""
    details: dict[str, list[str]] = {}
    for error in errors:
        field = ".".join(map(str, error["loc"][1:])) or str(error["loc"][0])
        text = "Missing required field" if error["type"] == "missing" else error["msg"]
        details.setdefault(field, []).append(text)
    return details


def _response_to_refused(refused: Refused, headers: Mapping[str, str] | None = None) -> Response:
    refusal = refused.refusal
    headers = dict(headers or {})
    if isinstance(refused, RateLimited):
        headers["Retry-After"] = str(refused.retry_after_seconds)
    elif refusal.status in (UNAVAILABLE.status, NO_ANSWER.status):
        headers["Retry-After"] = str(RETRY_SECONDS)
    elif refusal.status == INVALID_TOKEN.status:
        headers["WWW-Authenticate"] = "Bearer"
    return Response(
        json.dumps(body_of(refusal)), refusal.status, headers, media_type="application/json"
    )
