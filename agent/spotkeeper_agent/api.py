"""The control plane as an agent speaks with it: the calls it makes, and how they can fail."""

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import httpx

TIMEOUT_SECONDS = 15.0
"""Longer than the gateway itself waits for the owner of a request's matter."""

CONNECTIONS = 32
KEEP_ALIVE_SECONDS = 60.0
"""Shorter than the gateway keeps an idle connection, so that none is used as it closes."""

Json = Mapping[str, Any]


class Failure(Exception):
    """A call that brought no answer to use; it may be tried again."""

    def __init__(self, text: str, *, status: int = 0, retry_after_seconds: float = 0.0) -> None:
        super().__init__(text)
        self.status = status
        self.retry_after_seconds = retry_after_seconds


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control plane said, with what its headers tell of the agent."""

    body: Json
    outcome: str | None
    """The word of `X-Outcome`: why a 200 is a refusal, or nothing."""
    epoch: int
    config_version: int


def connect(gateway: str, token: str) -> httpx.AsyncClient:
    """A client for any number of agents, with one pool of connections."""
    return httpx.AsyncClient(
        base_url=gateway,
        headers={"Authorization": f"Bearer {token}"},
        timeout=TIMEOUT_SECONDS,
        limits=httpx.Limits(max_connections=CONNECTIONS, keepalive_expiry=KEEP_ALIVE_SECONDS),
    )


class Api:
    """The calls of an agent; each raises `Failure` alone."""

    def __init__(self, http: httpx.AsyncClient) -> None:
        self._http = http

    async def register(self, registration: Json) -> Answer:
        """Make an agent known; the body names its id and the config to run by."""
        return await self._call("POST", "/api/agents/register", registration)

    async def heartbeat(self, agent_id: str, beat: Json) -> Answer:
        """Tell that the agent lives."""
        return await self._call("POST", f"/api/agents/{agent_id}/heartbeat", beat)

    async def config(self, agent_id: str) -> Answer:
        """The agent's config as it is now."""
        return await self._call("GET", f"/api/agents/{agent_id}/config")

    async def _call(self, method: str, path: str, body: Json | None = None) -> Answer:
        try:
            response = await self._http.request(method, path, json=body)
        except httpx.HTTPError as error:
            raise Failure(f"{type(error).__name__} {error}".strip()) from error
        if not response.is_success:
            text = f"{response.status_code} {response.text[:200]}".strip()
            raise Failure(text, status=response.status_code, retry_after_seconds=_asked(response))
        try:
            return _answer(response)
        except (ValueError, KeyError) as error:
            raise Failure(f"not an answer of Spotkeeper: {response.text[:200]}") from error


def _answer(response: httpx.Response) -> Answer:
    return Answer(
        body=response.json(),
        outcome=response.headers.get("X-Outcome"),
        epoch=int(response.headers["X-Agent-Epoch"]),
        config_version=int(response.headers["X-Config-Version"]),
    )


def _asked(response: httpx.Response) -> float:
    """The pause that the server asks for, if it names seconds; no other form is honoured."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
