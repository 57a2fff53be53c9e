"""How long an agent waits: between two beats, and after failures. Pure but for the given chance.

A fleet that acts in step is a flood, so that every pause has chance in it.
"""

from random import Random

JITTER = 0.2
FIRST_PAUSE_SECONDS = 0.5
LONGEST_PAUSE_SECONDS = 30.0
LONGEST_RETRY_AFTER_SECONDS = 300.0
"""What a server may ask for; whatever asks for more is wrong, and an agent must not vanish."""


def until_next_beat(interval_seconds: float, chance: Random) -> float:
    """The interval, up to a fifth shorter or longer."""
    return interval_seconds * chance.uniform(1 - JITTER, 1 + JITTER)


def until_first_beat(interval_seconds: float, chance: Random) -> float:
    """Any part of the interval: those who registered together do not beat together."""
    return interval_seconds * chance.random()


def until_next_try(failures: int, retry_after_seconds: float, chance: Random) -> float:
    """Full jitter below a ceiling that doubles with each failure, on top of what was asked for.

    https://aws.amazon.com/blogs/architecture/exponential-backoff-and-jitter compares the kinds.
    """
    doublings = min(failures - 1, 10)  # Beyond these the ceiling is the longest pause anyway.
    ceiling = min(FIRST_PAUSE_SECONDS * 2**doublings, LONGEST_PAUSE_SECONDS)
    asked = min(retry_after_seconds, LONGEST_RETRY_AFTER_SECONDS)
    return asked + chance.uniform(0, ceiling)
