"""The garbage collector, set for a process that loads much once and then serves.

It counts what is allocated and not yet freed, so each burst of requests makes it walk over all
that was ever imported: a third of a gateway's time under load. What is there when serving begins
is there to stay, and most of what comes later is freed by its count of references.
"""

import gc

ALLOCATIONS_PER_LOOK = 20_000
"""So many objects more than were freed make the collector look at the young ones (Python: 700)."""


def look_rarely() -> None:
    """Collect less often; before the imports, which make much and free little, it counts most."""
    gc.set_threshold(ALLOCATIONS_PER_LOOK, 10, 10)


def spare_what_is_loaded() -> None:
    """Leave what is loaded by now out of every later collection.

    It does not collect first: the little garbage of importing is not worth a tenth of a second.
    """
    gc.freeze()
