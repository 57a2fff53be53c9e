"""How far a process is behind, on the partitions that it has and on no other.

Whoever gives a partition away stops telling of it, so that a sum over processes counts it once.
"""

from collections.abc import Mapping

from chassis.metrics import CONSUMER_LAG

MEASURE_SECONDS = 5.0


class Lag:
    """The gauges of one consumer."""

    def __init__(self) -> None:
        self._shown: set[tuple[str, int]] = set()

    def show(self, lag: Mapping[tuple[str, int], int]) -> None:
        """Show how many records wait by topic and partition, and nothing of other partitions."""
        for gone in self._shown - lag.keys():
            CONSUMER_LAG.remove(*gone)
        for place, records in lag.items():
            CONSUMER_LAG.labels(*place).set(records)
        self._shown = set(lag)
