"""The only place here that reads a clock; an agent stands without the services' chassis."""

from datetime import UTC, datetime


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)
