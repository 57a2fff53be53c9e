"""The little of the HTTP interface that the command line itself reads, and how it fails."""

import re
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from typing import Any

import httpx

from spotkeeper.embedded.errors import StackError

PAGE = 500
WITHIN_SECONDS = 15.0
"""Longer than a gateway waits for an owner, whose answer tells what became of a change."""

_TOKEN = re.compile(r"[\x21-\x7E]+")


def is_token(text: str) -> bool:
    """Whether a header can name it: visible ASCII characters, and no space."""
    return _TOKEN.fullmatch(text) is not None


@asynccontextmanager
async def connected(gateway: str, token: str) -> AsyncIterator[httpx.AsyncClient]:
    """HTTP in a token's name; whatever goes wrong with it is a `StackError`."""
    if not _is_address(gateway):
        raise StackError(f"'{gateway}' is no address of a gateway, such as http://127.0.0.1:5000.")
    if not is_token(token):
        raise StackError("A token consists of visible ASCII characters.")
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(
            base_url=gateway, headers=headers, timeout=WITHIN_SECONDS
        ) as http:
            yield http
    except httpx.HTTPStatusError as error:
        raise StackError(f"The gateway {_told(error.response)}.") from error
    except (httpx.HTTPError, UnicodeError) as error:  # A name may be none that IDNA knows.
        why = str(error).rstrip(".") or type(error).__name__
        raise StackError(f"No answer from the gateway at {gateway}: {why}.") from error
    except ValueError as error:
        text = f"No answer from the gateway at {gateway}: it does not speak JSON."
        raise StackError(text) from error


async def agents(http: httpx.AsyncClient) -> AsyncIterator[dict[str, Any]]:
    """All agents of the client, page by page; raises `httpx.HTTPError`."""
    parameters: dict[str, str | int] = {"limit": PAGE}
    while True:
        answer = await http.get("/api/agents", params=parameters)
        page = answer.raise_for_status().json()
        for agent in page["items"]:
            yield agent
        if page["next_cursor"] is None:
            return
        parameters["cursor"] = page["next_cursor"]


async def events(http: httpx.AsyncClient) -> AsyncIterator[tuple[str, str]]:
    """Type and JSON text of the client's events as they pass; raises `httpx.HTTPError`."""
    kind = ""
    async with http.stream("GET", "/api/events/stream", timeout=None) as answer:
        answer.raise_for_status()
        async for line in answer.aiter_lines():
            name, _, text = line.partition(": ")
            if name == "event":
                kind = text
            elif name == "data":
                yield kind, text


def _is_address(text: str) -> bool:
    try:
        url = httpx.URL(text)
    except httpx.InvalidURL:
        return False
    has_port = url.port is None or 0 < url.port < 65_536
    return url.scheme in ("http", "https") and bool(url.host) and has_port


def _told(answer: httpx.Response) -> str:
    """What a refusal says, field by field if it does; of what is no answer of ours, the status."""
    try:
        body = answer.json()
        fields = body.get("details", {}).items()
        details = "; ".join(f"{field}: {', '.join(texts)}" for field, texts in fields)
        return f"says: {body['error']}".rstrip(".") + (f" ({details})" if details else "")
    except (ValueError, AttributeError, LookupError, TypeError):
        return f"answers with status {answer.status_code}"
