"""The little of the HTTP interface that the command line itself reads."""

from collections.abc import AsyncIterator
from typing import Any

import httpx

PAGE = 500


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
