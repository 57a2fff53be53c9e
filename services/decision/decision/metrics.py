"""Every metric of the decision service, in one list."""

from prometheus_client import Counter, Gauge, Histogram

DECISIONS = Counter(
    "spotkeeper_decisions_total",
    "Decisions made, by what is recommended and whether the engine was degraded.",
    ["recommendation", "degraded"],
)
ENGINE_SECONDS = Histogram(
    "spotkeeper_engine_seconds",
    "Time that the engine takes for one decision: features, model and rules.",
    buckets=(0.0001, 0.0002, 0.0003, 0.0005, 0.001, 0.0025, 0.005, 0.01, 0.05, 0.1, 0.25, 0.5),
)
ENGINE_FAILURES = Counter(
    "spotkeeper_engine_failures_total",
    "Decisions that the engine could not make, by reason (no-model, timeout, model).",
    ["reason"],
)
ENGINE_HEALTHY = Gauge(
    "spotkeeper_engine_healthy", "1 if a model is loaded, its file is sound and it answers in time."
)
MODEL_REFUSED = Counter(
    "spotkeeper_model_refused_total",
    "Models that did not pass their checks, by where they came from (file, published).",
    ["origin"],
)
MODELS_SWAPPED = Counter(
    "spotkeeper_models_swapped_total", "Models taken up, by role (active, shadow).", ["role"]
)
SWITCHES_ISSUED = Counter(
    "spotkeeper_switches_issued_total",
    "Switches that the automatic loop asked for, by whether they flee risk (true, false).",
    ["urgent"],
)
SWITCHES_HELD_BACK = Counter(
    "spotkeeper_switches_held_back_total",
    "Switches that had to wait because enough of a client's agents are switching.",
)
PRICES_RECORDED = Counter(
    "spotkeeper_prices_recorded_total",
    "Prices kept, by who told them (decide, report, heartbeat, switch).",
    ["origin"],
)
