"""The plan of a simulated fleet: which agents there are, and on what instance each begins."""

from datetime import timedelta
from random import Random

from spotkeeper_agent.cloud import Instance, Mode, make_instance
from spotkeeper_agent.market import ONDEMAND_PRICES, zones_of

SPOT_SHARE = 0.85
AGE_HOURS = (3.0, 240.0)
"""So long a home has stood when the fleet is first started."""


def fleet(agents: int, *, seed: int) -> dict[str, Instance]:
    """The homes of so many agents by logical id; a larger fleet begins with the smaller one."""
    return {name: _home(name, seed) for name in map(_name, range(1, agents + 1))}


def age_of(name: str, *, seed: int) -> timedelta:
    """For how long an agent's home has stood when the fleet is first started."""
    return timedelta(hours=Random(f"{seed}/age/{name}").uniform(*AGE_HOURS))


def _name(number: int) -> str:
    return f"agent-{number:02}"


def _home(name: str, seed: int) -> Instance:
    chance = Random(f"{seed}/home/{name}")
    region = chance.choice(list(ONDEMAND_PRICES))
    mode: Mode = "spot" if chance.random() < SPOT_SHARE else "ondemand"
    return make_instance(
        seed,
        chance.choice(list(ONDEMAND_PRICES[region])),
        region=region,
        az=chance.choice(zones_of(region)),
        mode=mode,
        client_token=name,
    )
