"""What a transaction leaves to be done once it is committed: records to publish, and to count."""

from collections.abc import Callable
from dataclasses import dataclass, field

from chassis import metrics
from chassis.envelope import Record

Measure = Callable[[float], object]
"""What takes a figure: the `inc` of a counter, the `observe` of a histogram."""


@dataclass(slots=True)
class Outcome:
    """What a transaction leaves to be published, and to be counted.

    An asker gets the states that its request changed before the answer, so that it reads its own
    writes without waiting for the topics of those states.
    """

    answers: list[Record] = field(default_factory=list)
    emitted: list[Record] = field(default_factory=list)
    seqs: list[int] = field(default_factory=list)
    has_repeats: bool = False
    """Whether a message was handled before, and perhaps not published."""
    counted: list[tuple[Measure, float]] = field(default_factory=list)

    def ended(self, kind: str, end: str) -> None:
        """Count a message of this type as ended so."""
        self.counted.append((metrics.MESSAGES_HANDLED.labels(kind, end).inc, 1.0))

    def count(self) -> None:
        """Count what was done, now that it is committed."""
        for measure, figure in self.counted:
            measure(figure)
