"""The prior: how often a pool's instances are interrupted, by what AWS publishes, before evidence.

The spot advisor's bands order instance types; they are no probabilities. The rates per hour are
configuration, judged and not learned: measured rates of the highest band lie far above its literal
reading of 4.9e-4 per hour.
"""

import re
from collections.abc import Container, Iterable, Mapping
from dataclasses import dataclass, field
from statistics import median_low

BURST = re.compile(r"t\d")
ACCELERATED = re.compile(r"(p|g|inf|trn|dl|vt|f)\d")
SMALL = ("nano", "micro", "small", "medium", "large")
MIDDLE = ("xlarge", "2xlarge", "3xlarge", "4xlarge", "6xlarge")


@dataclass(frozen=True)
class PriorRates:
    """Interruptions per instance-hour: by advisor band, and by class where no band is known."""

    bands: tuple[float, ...] = (3.5e-5, 1.1e-4, 1.8e-4, 2.6e-4, 1e-2)
    burst: float = 9e-5
    small: float = 1.3e-4
    middle: float = 1.7e-4
    large: float = 1.9e-4
    accelerated: float = 1e-2

    def of_class(self, instance_type: str) -> float:
        """The rate of a type of which the advisor knows nothing."""
        family, _, size = instance_type.partition(".")
        if BURST.match(family):
            return self.burst
        if ACCELERATED.match(family):
            return self.accelerated
        if size in SMALL:
            return self.small
        return self.middle if size in MIDDLE else self.large


@dataclass(frozen=True)
class Advisor:
    """The spot advisor's interruption bands for Linux, by region and instance type."""

    bands: Mapping[tuple[str, str], int] = field(default_factory=dict)
    rates: PriorRates = field(default_factory=PriorRates)

    def prior_per_h(self, instance_type: str, region: str) -> float:
        """Interruptions per instance-hour, before any evidence.

        A type that the advisor knows in other regions only has its median band there.
        """
        band = self.bands.get((region, instance_type))
        if band is None:
            elsewhere = [b for (_, other), b in self.bands.items() if other == instance_type]
            band = median_low(elsewhere) if elsewhere else None
        if band is None:
            return self.rates.of_class(instance_type)
        return self.rates.bands[band]


def advisor_of(
    feed: object,
    rates: PriorRates | None = None,
    *,
    types: Container[str] | None = None,
) -> Advisor:
    """What AWS's spot-advisor-data.json says of Linux; raises `ValueError` if it is another file.

    If instance types are given, it is read and judged of these alone.

    https://spot-bid-advisor.s3.amazonaws.com/spot-advisor-data.json
    """
    regions = feed.get("spot_advisor") if isinstance(feed, Mapping) else None
    if not isinstance(regions, Mapping):
        raise ValueError("it has no spot_advisor")
    rates = rates or PriorRates()
    return Advisor(dict(_bands(regions, len(rates.bands), types)), rates)


def _bands(
    regions: Mapping[str, object], number_of_bands: int, wanted: Container[str] | None
) -> Iterable[tuple[tuple[str, str], int]]:
    for region, systems in regions.items():
        types = systems.get("Linux", {}) if isinstance(systems, Mapping) else {}
        if not isinstance(types, Mapping):
            raise ValueError(f"its Linux in {region} has no instance types")
        for instance_type, entry in types.items():
            if wanted is not None and instance_type not in wanted:
                continue
            band = entry.get("r") if isinstance(entry, Mapping) else None
            if not isinstance(band, int) or not 0 <= band < number_of_bands:
                raise ValueError(f"the band of {instance_type} in {region} is {band!r}")
            yield (region, instance_type), band
