"""Structured logs: one JSON line an event on standard output, without secrets."""

import logging
import sys
from typing import Any

import structlog
from structlog.typing import EventDict


def set_up_logging(service: str, level: str) -> None:
    """Send everything, the libraries' records included, through one JSON formatter."""

    def name_service(_: Any, __: str, event: EventDict) -> EventDict:
        event["service"] = service  # Another thread would not see what is bound to this context.
        return event

    shared: list[Any] = [
        name_service,
        structlog.contextvars.merge_contextvars,
        structlog.processors.add_log_level,
        structlog.processors.TimeStamper(fmt="iso", utc=True),
        structlog.processors.format_exc_info,
    ]
    structlog.configure(
        processors=[*shared, structlog.stdlib.ProcessorFormatter.wrap_for_formatter],
        logger_factory=structlog.stdlib.LoggerFactory(),
        wrapper_class=structlog.make_filtering_bound_logger(
            logging.getLevelNamesMapping()[level.upper()]
        ),
        cache_logger_on_first_use=True,
    )
    handler = logging.StreamHandler(sys.stdout)
    handler.setFormatter(
        structlog.stdlib.ProcessorFormatter(
            foreign_pre_chain=[*shared, structlog.stdlib.ExtraAdder()],
            processors=[
                structlog.stdlib.ProcessorFormatter.remove_processors_meta,
                structlog.processors.JSONRenderer(),
            ],
        )
    )
    root = logging.getLogger()
    root.handlers[:] = [handler]
    root.setLevel(level.upper())
    logging.getLogger("aiokafka").setLevel(logging.WARNING)


def keep_quiet() -> None:
    """Print no logs at all: for a program whose output is its own words."""
    structlog.configure(wrapper_class=structlog.make_filtering_bound_logger(logging.CRITICAL))
    logging.getLogger("aiokafka").setLevel(logging.CRITICAL)


def get_logger() -> Any:
    """A logger; call it as `log.info("what happened", key=value)`."""
    return structlog.get_logger()
