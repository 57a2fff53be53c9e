"""Every metric of the commands service, in one list."""

from prometheus_client import Counter, Histogram

COMMANDS_FINISHED = Counter(
    "spotkeeper_commands_finished_total",
    "Commands that came to their end, by type and by what the end was.",
    ["type", "status"],
)
DELIVERY_SECONDS = Histogram(
    "spotkeeper_commands_delivery_seconds",
    "Time from the queuing of a command until its agent fetched it for the first time.",
    buckets=(0.1, 0.25, 0.5, 1, 2.5, 5, 10, 30, 60, 300, 900, 3600),
)
EMERGENCIES = Counter(
    "spotkeeper_commands_emergencies_total",
    "Rebalance recommendations and termination notices, by what was done about them.",
    ["kind", "action"],
)
