"""The control plane as an agent speaks with it: how it calls, and how a call can fail."""

import asyncio
from collections.abc import AsyncIterator, Iterable, Mapping
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass
from enum import Enum, auto
from typing import Any

import httpx

TIMEOUT_SECONDS = 15.0
"""Longer than the gateway itself waits for the owner of a request's matter."""

CONNECTIONS = 16
"""For each line. A pool's work grows with its connections, and more with those who wait for one."""

KEEP_ALIVE_SECONDS = 60.0
"""Shorter than the gateway keeps an idle connection, so that none is used as it closes."""

PASSING = frozenset({408, 425, 429})
"""Statuses below 500 that are no refusal: the same call may go well later."""

NOT_PRIMARY = "NOT_PRIMARY"

Json = Mapping[str, Any]


class Failure(Exception):
    """A call that brought no answer to use; unless it is a refusal, it may be tried again."""

    def __init__(
        self, text: str, *, status: int = 0, code: str = "", retry_after_seconds: float = 0.0
    ) -> None:
        super().__init__(text)
        self.status = status
        self.code = code
        self.retry_after_seconds = retry_after_seconds

    @property
    def is_refusal(self) -> bool:
        """Whether the same call would fail again."""
        return 400 <= self.status < 500 and self.status not in PASSING


@dataclass(frozen=True, slots=True)
class Answer:
    """What the control plane said, with what its headers tell of the agent."""

    body: Any
    outcome: str | None
    """The word of `X-Outcome`: why a 200 is a refusal, or nothing."""
    epoch: int
    config_version: int

    def told(self, *path: str) -> Any:
        """What the body has under these names, each in the one before; raises `Failure`."""
        return _found(self.body, path)

    def listed(self, *names: str) -> list[Json]:
        """The entries of a body that is a list, each with all of these names; raises `Failure`."""
        if not isinstance(self.body, list):
            raise Failure("not an answer of Spotkeeper: it is no list")
        for entry in self.body:
            for name in names:
                _found(entry, [name])
        return self.body


class Line(Enum):
    """What a call is for. Each has connections of its own, so that no other keeps it waiting."""

    LIVING = auto()
    ACTING = auto()
    WAITING = auto()


class Api:
    """Calls of the control plane; each raises `Failure` alone."""

    def __init__(self, pools: Mapping[Line, tuple[httpx.AsyncClient, asyncio.Semaphore]]) -> None:
        self._pools = pools

    async def register(self, registration: Json) -> Answer:
        """Make an agent known; the body names its id and the config to run by."""
        return await self.call(Line.LIVING, "POST", "/api/agents/register", registration)

    async def call(
        self,
        line: Line,
        method: str,
        path: str,
        body: Json | None = None,
        *,
        headers: Mapping[str, str] | None = None,
        wait_seconds: float = 0.0,
    ) -> Answer:
        """Any call; its answer may be `wait_seconds` later than usual."""
        http, free = self._pools[line]
        timeout = httpx.Timeout(TIMEOUT_SECONDS + wait_seconds)
        try:
            async with free:
                response = await http.request(
                    method, path, json=body, headers=headers, timeout=timeout
                )
        except httpx.HTTPError as error:
            raise Failure(f"{type(error).__name__} {error}".strip()) from error
        if not response.is_success:
            raise _failure(response)
        try:
            return _answer(response)
        except ValueError as error:
            raise Failure(f"not an answer of Spotkeeper: {response.text[:200]}") from error


@asynccontextmanager
async def connect(gateway: str, token: str, *, waiting: int = 1) -> AsyncIterator[Api]:
    """The calls of any number of agents, of whom so many wait for commands at a time."""
    connections = {Line.LIVING: CONNECTIONS, Line.ACTING: CONNECTIONS, Line.WAITING: waiting}
    async with AsyncExitStack() as exits:
        pools = {}
        for line, most in connections.items():
            http = httpx.AsyncClient(
                base_url=gateway,
                headers={"Authorization": f"Bearer {token}"},
                timeout=TIMEOUT_SECONDS,
                limits=httpx.Limits(max_connections=most, keepalive_expiry=KEEP_ALIVE_SECONDS),
            )
            pools[line] = await exits.enter_async_context(http), asyncio.Semaphore(most)
        yield Api(pools)


def _found(body: Any, path: Iterable[str]) -> Any:
    for name in path:
        if not isinstance(body, Mapping) or name not in body:
            raise Failure(f"not an answer of Spotkeeper: it has no {name}")
        body = body[name]
    return body


def _answer(response: httpx.Response) -> Answer:
    return Answer(
        body=response.json(),
        outcome=response.headers.get("X-Outcome"),
        epoch=int(response.headers.get("X-Agent-Epoch", 0)),
        config_version=int(response.headers.get("X-Config-Version", 0)),
    )


def _failure(response: httpx.Response) -> Failure:
    try:
        body = response.json()
    except ValueError:
        body = None
    return Failure(
        f"{response.status_code} {response.text[:200]}".strip(),
        status=response.status_code,
        code=str(body.get("code", "")) if isinstance(body, dict) else "",
        retry_after_seconds=_asked(response),
    )


def _asked(response: httpx.Response) -> float:
    """The pause that the server asks for, if it names seconds; no other form is honoured."""
    text = response.headers.get("Retry-After", "")
    return float(text) if text.isascii() and text.isdigit() else 0.0
