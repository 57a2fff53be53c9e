"""The only place that reads a clock or makes a random id; tests move the clock here."""

import secrets
import time
from datetime import UTC, datetime, timedelta
from uuid import UUID

_offset = timedelta()


def now() -> datetime:
    """The present moment in UTC."""
    return datetime.now(UTC) + _offset


def monotonic() -> float:
    """Seconds of a clock that never goes back, for measuring durations."""
    return time.monotonic()


def move(by: timedelta) -> None:
    """Let `now` run ahead of the true time by this much in all (behind it, if negative)."""
    global _offset
    _offset = by


def new_id() -> UUID:
    """A fresh UUIDv7 (RFC 9562): 48 bits of milliseconds, then 74 random bits."""
    milliseconds = int(now().timestamp() * 1000)
    random = secrets.randbits(74)
    high = (milliseconds & 0xFFFF_FFFF_FFFF) << 16 | 0x7000 | random >> 62
    low = 0b10 << 62 | random & (1 << 62) - 1
    return UUID(int=high << 64 | low)
