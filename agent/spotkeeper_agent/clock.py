"""The only place here that reads a clock and makes ids; an agent stands without the chassis."""

from datetime import UTC, datetime
from uuid import uuid4


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC)


def new_key() -> str:
    """A key for one act, under which its repeats are known as such."""
    return str(uuid4())
