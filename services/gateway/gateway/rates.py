"""How many requests a client may make: a token bucket for each."""

import math

from chassis import clock
from gateway.errors import RateLimited


class Rates:
    """Buckets that fill steadily up to a burst; each request takes one from its client's.

    There is one bucket per client that has called, so their number is that of the clients.
    """

    def __init__(self, *, per_second: float, burst: int) -> None:
        self._per_second = per_second
        self._burst = burst
        self._buckets: dict[str, tuple[float, float]] = {}

    def take(self, client: str) -> None:
        """Count one request; raises `RateLimited` if the bucket is empty."""
        now = clock.monotonic()
        left, since = self._buckets.get(client, (float(self._burst), now))
        left = min(self._burst, left + (now - since) * self._per_second)
        if left < 1:
            self._buckets[client] = (left, now)
            raise RateLimited(math.ceil((1 - left) / self._per_second))
        self._buckets[client] = (left - 1, now)
