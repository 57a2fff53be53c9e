"""Request bodies: read within a limit and a time, then parsed as the contract's strict JSON."""

import asyncio
import json
from typing import Any

from starlette.requests import ClientDisconnect
from starlette.types import Receive

from gateway.errors import BODY_TIMEOUT, BODY_TOO_LARGE, invalid
from gateway.heads import Head

MAX_DEPTH = 16


async def read_body(
    receive: Receive,
    head: Head,
    *,
    limit_bytes: int,
    timeout_seconds: float,
) -> bytes:
    """The whole body, also a chunked one; raises `Refused` with 413 or 408."""
    if head.announced_bytes > limit_bytes:
        raise BODY_TOO_LARGE.refused()
    body, more = b"", head.has_body
    try:
        async with asyncio.timeout(timeout_seconds):
            while more:
                message = await receive()
                if message["type"] == "http.disconnect":
                    raise ClientDisconnect
                body += message.get("body", b"")
                more = message.get("more_body", False)
                if len(body) > limit_bytes:
                    raise BODY_TOO_LARGE.refused()
    except TimeoutError as error:
        raise BODY_TIMEOUT.refused() from error
    return body


def parse_json(body: bytes) -> Any:
    """The JSON value in UTF-8, at most 16 deep, without NaN; raises `Refused` with 400.

    Of a repeated key the last one counts, as in every other parser here.
    """
    try:
        value = json.loads(body.decode(), parse_constant=_no_number)
    except (ValueError, RecursionError) as error:
        raise invalid("body", "Invalid JSON") from error
    if _is_deeper(value, MAX_DEPTH):
        raise invalid("body", f"JSON may be at most {MAX_DEPTH} levels deep")
    return value


def _no_number(constant: str) -> None:
    raise ValueError(f"{constant} is no JSON number")


def _is_deeper(value: Any, levels: int) -> bool:
    layer = [value]
    for _ in range(levels):
        containers = [entry for entry in layer if isinstance(entry, dict | list)]
        if not containers:
            return False
        layer = [
            child
            for container in containers
            for child in (container.values() if isinstance(container, dict) else container)
        ]
    return any(isinstance(entry, dict | list) for entry in layer)
