"""Where a pool lies, by its name and by who tells of it.

A pool's own name is `type.zone`; others have the two in either order, with any sign between them
and other words around them.
"""

import re
from collections.abc import Iterable
from typing import NamedTuple

from spotkeeper_contracts.values import pool_name

_WORD_BEGINS, _WORD_ENDS = r"(?<![a-z0-9])", r"(?![a-z0-9])"
_COMPASS = r"(?:north|south)?(?:east|west)|north|south|central"
_REGION = re.compile(rf"(?:[a-z]{{2}}(?:-gov|-iso[a-z]?)?|eusc-[a-z]{{2}})-(?:{_COMPASS})-\d+")
"""As AWS names regions: us-east-1, us-gov-west-1, us-isob-east-1, eusc-de-east-1."""
_REGION_OF_ZONE = re.compile(rf"{_REGION.pattern}|[a-z]+(?:-[a-z]+)+-\d+")
"""What is told to be a zone may lie in a region that is named as none was until now."""
_AZ = re.compile(rf"{_WORD_BEGINS}{_REGION.pattern}(?:-[a-z]{{3}}-\d+)?[a-z]{_WORD_ENDS}")
"""us-east-1a; us-west-2-lax-1b is a local zone."""
_FAMILY = (
    r"(?:u-\d+tb\d+|u\d+[a-z]*-\d+tb|mac\d*-m\d+[a-z]*|p\d+[a-z]*-g?b\d+"
    r"|[a-z]+\d+[a-z]*(?:-flex)?)"
)
"""Those with a hyphen are told one by one: any word may stand before a type, `spot-m5.large`."""
_SIZE = r"(?:\d*xlarge|metal(?:-\d+xl)?|nano|micro|small|medium|large)"
_TYPE = re.compile(rf"{_WORD_BEGINS}{_FAMILY}\.{_SIZE}{_WORD_ENDS}")


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


def named_pool(pool_id: str, known: Iterable[tuple[str, str]] = ()) -> tuple[str, str] | None:
    """The instance type and zone that a pool's name tells of, as `type.az` and the like do.

    A name with a zone alone is the one known pool there. None if the name says too little.
    """
    by_name = {pool_name(instance_type, az): (instance_type, az) for instance_type, az in known}
    if pool_id in by_name:
        return by_name[pool_id]
    az = zone_in(pool_id)
    if az is None:
        return None
    if found := _TYPE.search(pool_id.replace(az, " ")):
        return found.group(), az
    there = [pool for pool in by_name.values() if pool[1] == az]
    return there[0] if len(there) == 1 else None


def zone_in(pool_id: str) -> str | None:
    """The zone that a pool's name tells of."""
    found = _AZ.search(pool_id)
    return found.group() if found else None


def region_of(az: str) -> str:
    """The region that a zone lies in: us-east-1 for us-east-1a and us-east-1-bos-1a."""
    found = _REGION_OF_ZONE.match(az)
    return found.group() if found else az
