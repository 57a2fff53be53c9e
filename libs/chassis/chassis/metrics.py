"""Every metric that all services share, in one list; a service keeps its own beside it."""

from prometheus_client import Counter, Gauge, Histogram, disable_created_metrics

# The client would tell as a gauge, of each series, when it began; it leaves the function untyped.
disable_created_metrics()  # type: ignore[no-untyped-call]

LATENCY_SECONDS = (0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 0.5, 1, 2.5, 5, 10)

MESSAGES_HANDLED = Counter(
    "spotkeeper_messages_handled_total",
    "Messages from the bus, by type and outcome (done, refused, repeat, late, skipped, dead).",
    ["type", "outcome"],
)
BATCH_SECONDS = Histogram(
    "spotkeeper_batch_seconds",
    "Time from the start of a transaction until all it published was acknowledged.",
    buckets=LATENCY_SECONDS,
)
BATCH_MESSAGES = Histogram(
    "spotkeeper_batch_messages",
    "Messages handled in one transaction.",
    buckets=(1, 2, 5, 10, 20, 50),
)
MESSAGE_AGE_SECONDS = Histogram(
    "spotkeeper_message_age_seconds",
    "Age of a message when its handler starts.",
    buckets=(*LATENCY_SECONDS, 30, 60, 300),
)
BATCHES_SPLIT = Counter(
    "spotkeeper_batches_split_total",
    "Transactions that failed as a whole and were run again one message at a time.",
)
SWEEPS_FAILED = Counter(
    "spotkeeper_sweeps_failed_total",
    "Times that the work due by the clock raised and was put off.",
)
LANES_WAITING = Gauge(
    "spotkeeper_lanes_waiting",
    "Lanes that wait because the database or the broker is away.",
)
DEAD_LETTERS = Counter("spotkeeper_dead_letters_total", "Messages given up, by reason.", ["reason"])
CONSUMER_LAG = Gauge(
    "spotkeeper_consumer_lag_records",
    "Records of a partition that are not handled yet.",
    ["topic", "partition"],
)
REBALANCES = Counter("spotkeeper_rebalances_total", "Times the group shared out its partitions.")
LEFTOVERS_PUBLISHED = Counter(
    "spotkeeper_outbox_leftovers_total",
    "Messages that an earlier owner committed and this one published.",
)
RECORDS_SENT = Counter("spotkeeper_records_sent_total", "Records acknowledged.", ["topic"])
SEND_FAILURES = Counter(
    "spotkeeper_send_failures_total", "Records that the broker did not acknowledge.", ["topic"]
)
ASK_SECONDS = Histogram(
    "spotkeeper_ask_seconds",
    "Time from a request's sending to its answer.",
    ["type"],
    buckets=LATENCY_SECONDS,
)
REPLIES_UNCLAIMED = Counter(
    "spotkeeper_replies_unclaimed_total", "Answers that came when nobody waited any more."
)
VIEW_ENTRIES = Gauge("spotkeeper_view_entries", "Entries of a view.", ["topic"])
READY = Gauge("spotkeeper_ready", "1 if the part of the service is ready.", ["part"])
