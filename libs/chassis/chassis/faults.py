"""Fail points: the places between two steps where a test lets the process die, as by kill -9.

`SPOTKEEPER_DIE_AFTER=committed:3` ends the process the third time that it gets past that step.
Unset, as in production, a fail point costs one comparison.
"""

import os

STEPS = ("claimed", "handled", "committed", "published", "deleted", "offsets")
"""The steps of a message that is done."""
GIVEN_UP = "refused"
"""The step at which a message that is given up counts as handled."""

_step, _, _times = os.environ.get("SPOTKEEPER_DIE_AFTER", "").partition(":")
_left = int(_times or 1)
assert _step in ("", *STEPS, GIVEN_UP), f"no such step: {_step}"


def after(step: str) -> None:
    """The process has just done this step."""
    global _left
    if step == _step:
        _left -= 1
        if _left == 0:
            os._exit(137)
