"""The world that a simulated agent lives in: an EC2 with instances, pools and moving prices.

Everything follows from the seed (and prices from the time as well), so that the same fleet comes
back on the same instances after every restart, and nothing has to be kept.
"""

from dataclasses import dataclass
from datetime import datetime
from random import Random
from typing import Literal

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
DISCOUNTED = (0.25, 0.45)
"""Between these shares of the on-demand price a pool's spot price usually lies."""

SWING = 0.05
"""How far, as a share of the on-demand price, a spot price strays from its pool's usual one."""

SWING_SECONDS = 600
"""How often a spot price takes another direction."""

Mode = Literal["spot", "ondemand"]


@dataclass(frozen=True, slots=True)
class Instance:
    """A virtual machine."""

    instance_id: str
    instance_type: str
    region: str
    az: str
    mode: Mode
    ami_id: str
    private_ip: str
    public_ip: str

    @property
    def hostname(self) -> str:
        """The name that EC2 gives it."""
        return f"ip-{self.private_ip.replace('.', '-')}"

    @property
    def pool_id(self) -> str | None:
        """The spot pool that it runs from, if it does."""
        return f"{self.instance_type}.{self.az}" if self.mode == "spot" else None


class SimulatedCloud:
    """EC2 as far as agents see it."""

    def __init__(self, seed: int) -> None:
        self._seed = seed

    def launch(
        self, instance_type: str, *, region: str, az: str, mode: Mode, client_token: str
    ) -> Instance:
        """An instance; as with EC2, a client token used again gives the same one."""
        chance = self._chance("instance", client_token)
        return Instance(
            instance_id=f"i-{chance.getrandbits(68):017x}",
            instance_type=instance_type,
            region=region,
            az=az,
            mode=mode,
            ami_id=f"ami-{self._chance('image', region).getrandbits(68):017x}",
            private_ip=_address(10, chance),
            public_ip=_address(54, chance),
        )

    def ondemand_price(self, instance: Instance) -> float:
        """US dollars per hour for such an instance on demand."""
        return ONDEMAND_PRICES[instance.region][instance.instance_type]

    def spot_price(self, instance: Instance, at: datetime) -> float:
        """US dollars per hour for such an instance in the spot pool of its zone."""
        pool = f"{instance.instance_type}.{instance.az}"
        usual = self._chance("usual", pool).uniform(*DISCOUNTED)
        turn, since = divmod(at.timestamp(), SWING_SECONDS)
        before, after = (
            self._chance("swing", pool, int(turn) + n).uniform(-SWING, SWING) for n in (0, 1)
        )
        share = usual + before + (after - before) * since / SWING_SECONDS
        return round(self.ondemand_price(instance) * share, 4)

    def _chance(self, *words: object) -> Random:
        """A chance that falls the same way for the same words."""
        return Random("/".join(map(str, (self._seed, *words))))


def _address(first: int, chance: Random) -> str:
    return ".".join(str(part) for part in (first, *(chance.randrange(1, 255) for _ in range(3))))
