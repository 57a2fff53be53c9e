"""The plan of a simulated fleet: which agents there are, and on what instance each lives."""

from random import Random

from spotkeeper_agent.cloud import ONDEMAND_PRICES, ZONES, Instance, Mode, SimulatedCloud

SPOT_SHARE = 0.85


def fleet(cloud: SimulatedCloud, agents: int, *, seed: int) -> dict[str, Instance]:
    """The instances of so many agents by logical id; a larger fleet begins with the smaller one."""
    return {name: _home(cloud, name, seed) for name in map(_name, range(1, agents + 1))}


def _name(number: int) -> str:
    return f"agent-{number:02}"


def _home(cloud: SimulatedCloud, name: str, seed: int) -> Instance:
    chance = Random(f"{seed}/home/{name}")
    region = chance.choice(list(ONDEMAND_PRICES))
    mode: Mode = "spot" if chance.random() < SPOT_SHARE else "ondemand"
    return cloud.launch(
        chance.choice(list(ONDEMAND_PRICES[region])),
        region=region,
        az=region + chance.choice(ZONES),
        mode=mode,
        client_token=name,
    )
