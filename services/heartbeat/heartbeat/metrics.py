"""Every metric of the heartbeat service, in one list."""

from prometheus_client import Counter, Gauge, Histogram

from chassis.metrics import LATENCY_SECONDS

BEATS = Counter("spotkeeper_heartbeat_beats_total", "Beats folded into presence.")
RECORDS = Counter(
    "spotkeeper_heartbeat_records_total",
    "Records of agent-heartbeats, by outcome (folded; skipped, as folded before; flawed, which is "
    "a dead letter, and folded as far as it is sound).",
    ["outcome"],
)
RECORDS_MISSED = Counter(
    "spotkeeper_heartbeat_records_missed_total",
    "Records that the log no longer held when their turn came.",
)
TRANSITIONS = Counter(
    "spotkeeper_heartbeat_transitions_total", "Published presence events, by type.", ["type"]
)
DEAF_SECONDS = Counter(
    "spotkeeper_heartbeat_deaf_seconds_total",
    "Time in which nobody could be heard, summed over partitions; it counts against no agent.",
)
LAG_SECONDS = Gauge(
    "spotkeeper_heartbeat_lag_seconds",
    "Age of the newest folded record, of the partition where it is oldest.",
)
FLUSH_SECONDS = Histogram(
    "spotkeeper_heartbeat_flush_seconds",
    "Time to publish transitions and to keep what was folded.",
    buckets=LATENCY_SECONDS,
)
ROWS_KEPT = Counter("spotkeeper_heartbeat_rows_total", "Rows of presence written.")
AGENTS_ONLINE = Gauge(
    "spotkeeper_heartbeat_agents_online", "Agents online in the partitions of this process."
)
PARTITIONS_OWNED = Gauge(
    "spotkeeper_heartbeat_partitions", "Partitions whose beats this process folds."
)
