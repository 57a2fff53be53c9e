"""Long polls: who waits here is woken as soon as the agent's queue has something to fetch.

A wait ends early when the caller goes away or the gateway stops, and it holds nothing meanwhile.
"""

import asyncio
from collections.abc import Callable, Coroutine
from typing import Any

from chassis import clock
from chassis.view import View
from gateway import metrics
from spotkeeper_contracts.commands import CommandQueue


class Polls:
    """Everyone who waits for commands, by the view of the agents' queues."""

    def __init__(self, queues: View[CommandQueue], *, limit: int) -> None:
        self._queues = queues
        self._limit = limit
        self._waiting = 0
        self._closing = asyncio.Event()

    def close(self) -> None:
        """End all waits, so that the process can stop."""
        self._closing.set()

    def revision(self, agent_id: str) -> int:
        """What the view has seen of an agent's queue; to be asked before the queue's owner is."""
        queue = self._queues.get(agent_id)
        return 0 if queue is None else queue.revision

    async def has_news(
        self,
        agent_id: str,
        *,
        after: int,
        until: float,
        gone: Callable[[], Coroutine[Any, Any, None]],
    ) -> bool:
        """Whether before `until` a revision after the given one tells of a deliverable command.

        It is False as soon as `gone` returns, and at once if too many wait already.
        """
        if self._closing.is_set() or self._waiting >= self._limit:
            return False
        news = asyncio.create_task(self._deliverable(agent_id, after, until))
        ends = [asyncio.create_task(self._closing.wait()), asyncio.create_task(gone())]
        self._count(1)
        try:
            await asyncio.wait([news, *ends], return_when=asyncio.FIRST_COMPLETED)
            return not any(end.done() for end in ends) and news.result()
        finally:
            self._count(-1)
            for task in (news, *ends):
                task.cancel()

    def _count(self, change: int) -> None:
        self._waiting += change
        metrics.POLLS_WAITING.set(self._waiting)

    async def _deliverable(self, agent_id: str, after: int, until: float) -> bool:
        while await self._queues.reached(
            agent_id, after + 1, timeout_seconds=until - clock.monotonic()
        ):
            queue = self._queues.get(agent_id)
            if queue is not None and queue.deliverable:
                return True
            after = self.revision(agent_id)
        return False
