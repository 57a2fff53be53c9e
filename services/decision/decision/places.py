"""Where a pool lies, by its name and by who tells of it."""

from typing import NamedTuple

from decision.recordings import named_pool, region_of, zone_in


class Place(NamedTuple):
    """An instance type in a region, and the zone if it is known."""

    instance_type: str
    region: str
    az: str | None = None

    @property
    def group(self) -> str:
        """The name of all pools of the type in the region: they are siblings."""
        return f"{self.instance_type}.{self.region}"


def place_of(pool_id: str, *, instance_type: str, region: str) -> Place:
    """What the pool's name tells; what it leaves open is as with the agent that names it."""
    named = named_pool(pool_id)
    if named is not None:
        return Place(named[0], region_of(named[1]), named[1])
    az = zone_in(pool_id)
    return Place(instance_type, region_of(az) if az else region, az)
