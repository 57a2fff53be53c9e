"""The gateway's own metrics, beside those of every service."""

from collections.abc import Callable
from functools import cache

from prometheus_client import Counter, Gauge, Histogram

from chassis.metrics import LATENCY_SECONDS

REQUEST_SECONDS = Histogram(
    "spotkeeper_http_request_seconds",
    "Time from a request's head to the end of its response, by route and status.",
    ["method", "route", "status"],
    buckets=LATENCY_SECONDS,
)
BEATS = Counter(
    "spotkeeper_beats_total", "Heartbeats by outcome (taken, not-primary).", ["outcome"]
)
BEATS_WAITING = Gauge("spotkeeper_beats_waiting", "Heartbeats that wait for the broker.")
BEATS_PER_RECORD = Histogram(
    "spotkeeper_beats_per_record",
    "Heartbeats in one record; 0 is a tick.",
    buckets=(0, 1, 2, 5, 10, 20, 50, 100, 200, 500),
)
POLLS_WAITING = Gauge("spotkeeper_polls_waiting", "Agents that wait for commands.")
STREAM_LISTENERS = Gauge("spotkeeper_stream_listeners", "Open event streams.")
STREAM_OVERFLOWS = Counter(
    "spotkeeper_stream_overflows_total", "Listeners let go because they read too slowly."
)


@cache
def seconds_of(method: str, route: str, status: int) -> Callable[[float], None]:
    """What takes the time of such a request; looking it up anew costs more than taking it."""
    return REQUEST_SECONDS.labels(method, route, status).observe
