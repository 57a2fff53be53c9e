"""Keeps parts running: whatever ends is started again, after a pause that grows.

But one that ends at once with 2 was started wrongly, and always would be.
"""

import asyncio
from collections.abc import Callable
from typing import Protocol

from chassis import clock
from spotkeeper.embedded.errors import StackError

FIRST_PAUSE_SECONDS = 0.2
LONGEST_PAUSE_SECONDS = 5.0
STARTED_WRONGLY = 2
STEADY_SECONDS = 10.0
"""After a run of this length, an end counts as the first one."""


class Part(Protocol):
    """Something that runs as a process of its own."""

    @property
    def name(self) -> str:
        """What people call it."""

    @property
    def pid(self) -> int:
        """Its process id."""

    async def start(self) -> None:
        """Start it; raises `StackError`."""

    async def ended(self) -> int:
        """Wait for its end and return its exit status."""

    def last_words(self) -> str:
        """The last error in its log, or its last line."""

    async def stop(self) -> None:
        """End it in an orderly way."""


async def keep_running(part: Part, tell: Callable[[str], None]) -> None:
    """Start a running part again whenever it ends, until cancelled.

    Raises `StackError` if it was started wrongly. A later start may end with 2 because of a port
    that is not free yet, which passes.
    """
    pause, is_first = FIRST_PAUSE_SECONDS, True
    while True:
        since = clock.monotonic()
        status = await part.ended()
        if clock.monotonic() - since >= STEADY_SECONDS:
            pause = FIRST_PAUSE_SECONDS
        elif is_first and status == STARTED_WRONGLY:
            raise StackError(f"{part.name} was started wrongly: {part.last_words()}")
        is_first = False
        tell(f"{part.name} ended with status {status}; starting it again in {pause:.1f} s")
        await asyncio.sleep(pause)
        pause = min(pause * 2, LONGEST_PAUSE_SECONDS)
        try:
            await part.start()
        except (StackError, OSError) as error:
            tell(str(error))
