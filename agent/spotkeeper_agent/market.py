"""The simulated market: what an hour costs in each pool, and what AWS does to whom, and when.

All of it follows from the seed and the time, so that the same fleet lives in the same market after
every restart, and nothing has to be kept.
"""

from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import lru_cache
from random import Random

ONDEMAND_PRICES = {
    "us-east-1": {
        "t3.medium": 0.0416,
        "m5.large": 0.096,
        "m5.xlarge": 0.192,
        "c5.large": 0.085,
        "c5.xlarge": 0.17,
        "r5.large": 0.126,
    },
    "eu-west-1": {
        "t3.medium": 0.0456,
        "m5.large": 0.107,
        "m5.xlarge": 0.214,
        "c5.large": 0.096,
        "c5.xlarge": 0.192,
        "r5.large": 0.141,
    },
}
"""US dollars per hour for Linux, as AWS lists them at https://aws.amazon.com/ec2/pricing."""

ZONES = "abc"
USUAL = (0.30, 0.42)
"""Between these shares of the on-demand price a pool's spot price usually lies."""

TURN_SECONDS = 600
"""How often a spot price takes another direction; in between it moves evenly."""

DECAY = 0.9
"""What a turn leaves of a price's distance from the usual one: half of it is gone in an hour."""

STRAY = 0.18
"""How far, as a share of the on-demand price, a spot price can stray from the usual one."""

SHOCKS = 44
"""So many turns are remembered; of an older one less than a hundredth would be left."""

NOTICE = timedelta(minutes=2)
"""Before it ends a spot instance, EC2 gives so much notice."""

REBALANCE_LEAD_SECONDS = (120.0, 360.0)
PATHS = ("rebalance and notice", "rebalance and notice", "rebalance", "notice")
POOL_DANGER = (0.25, 1.75)
"""How much safer or more dangerous a pool is than the average one."""


@dataclass(frozen=True, slots=True)
class Fate:
    """What AWS has in mind for an instance; what it leaves alone has no moments."""

    rebalance_at: datetime | None = None
    notice_at: datetime | None = None

    @property
    def ends_at(self) -> datetime | None:
        """When the instance is ended."""
        return None if self.notice_at is None else self.notice_at + NOTICE


class Market:
    """Prices that revert to each pool's own mean, and interruptions at each pool's own rate."""

    def __init__(self, seed: int, *, interruptions_per_day: float = 0.0) -> None:
        self._seed = seed
        self._interruptions_per_day = interruptions_per_day
        self._shock = lru_cache(maxsize=16_384)(self._drawn_shock)

    def ondemand_price(self, instance_type: str, region: str) -> float:
        """US dollars per hour for such an instance on demand; `KeyError` if there is none."""
        return ONDEMAND_PRICES[region][instance_type]

    def spot_price(self, instance_type: str, az: str, at: datetime) -> float:
        """US dollars per hour in a spot pool; `KeyError` if there is none."""
        region = region_of(az)
        if az not in zones_of(region):
            raise KeyError(az)
        ondemand = self.ondemand_price(instance_type, region)
        pool = pool_id(instance_type, az)
        turn, since = divmod(at.timestamp(), TURN_SECONDS)
        before, after = (self._strayed(pool, int(turn) + n) for n in (0, 1))
        usual = self._chance("usual", pool).uniform(*USUAL)
        share = usual + before + (after - before) * since / TURN_SECONDS
        return round(ondemand * share, 4)

    def fate(self, instance_id: str, pool: str | None, since: datetime) -> Fate:
        """What awaits an instance that is exposed since then; on demand nothing does."""
        if pool is None or not self._interruptions_per_day:
            return Fate()
        danger = self._chance("danger", pool).uniform(*POOL_DANGER)
        chance = self._chance("fate", instance_id)
        days = chance.expovariate(self._interruptions_per_day * danger)
        first = since + timedelta(days=min(days, 3_650))
        path = chance.choice(PATHS)
        lead = timedelta(seconds=chance.uniform(*REBALANCE_LEAD_SECONDS))
        if path == "notice":
            return Fate(notice_at=first)
        return Fate(first, None if path == "rebalance" else first + lead)

    def _strayed(self, pool: str, turn: int) -> float:
        """How far a pool's share is from its usual one at the beginning of a turn."""
        strayed = 0.0
        for past in range(turn - SHOCKS + 1, turn + 1):
            strayed = strayed * DECAY + self._shock(pool, past)
        return strayed

    def _drawn_shock(self, pool: str, turn: int) -> float:
        most = STRAY * (1 - DECAY)
        return self._chance("shock", pool, turn).uniform(-most, most)

    def _chance(self, *words: object) -> Random:
        """A chance that falls the same way for the same words."""
        return Random("/".join(map(str, (self._seed, *words))))


def pool_id(instance_type: str, az: str) -> str:
    """The canonical name of a spot pool."""
    return f"{instance_type}.{az}"


def region_of(az: str) -> str:
    """The region that a zone lies in."""
    return az[:-1]


def zones_of(region: str) -> list[str]:
    """The zones of a region."""
    return [f"{region}{zone}" for zone in ZONES]
