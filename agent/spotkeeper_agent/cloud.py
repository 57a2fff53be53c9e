"""The world that a simulated agent lives in: an EC2 with instances that come and go.

What cannot be told from the seed is kept in a journal: which instances were launched, and which
have ended. So a fleet that is started again finds its instances as it left them, as agents on a
real EC2 would.
"""

import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass, field, replace
from datetime import datetime, timedelta
from pathlib import Path
from random import Random
from typing import Any, Literal

from spotkeeper_agent.market import Fate, Market, pool_id, region_of

Mode = Literal["spot", "ondemand"]


class CloudError(Exception):
    """What EC2 does not do; the text says why."""


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
        return pool_id(self.instance_type, self.az) if self.mode == "spot" else None


@dataclass(frozen=True, slots=True)
class UserData:
    """What an instance is told at its launch: whose it is, and what for."""

    name: str
    replica_id: str | None = None
    switch: Mapping[str, Any] | None = None
    """The report of the switch that it was launched for, as far as it is known at the launch."""
    give_up_at: str | None = None
    """When it ends itself if nobody has made it the primary."""


@dataclass(frozen=True, slots=True)
class Launch:
    """An instance with what it was told, and since when it runs."""

    instance: Instance
    user_data: UserData
    launched_at: datetime
    fate: Fate = field(default=Fate())


class SimulatedCloud:
    """EC2 as far as agents see it."""

    def __init__(self, market: Market, *, seed: int, began_at: datetime) -> None:
        self.market = market
        self.began_at = began_at
        self._seed = seed
        self._running: dict[str, Launch] = {}
        self._by_token: dict[str, str] = {}
        self._ended: dict[str, str] = {}
        self._foretold: dict[str, Fate] = {}
        self._interruptions: dict[str, int] = {}
        self._journal: Path | None = None

    def keep(self, journal: Path) -> None:
        """Take up what the journal tells, and write down there what happens from now on."""
        lines = journal.read_text(encoding="utf-8").split("\n") if journal.exists() else [""]
        for line in filter(None, lines[:-1]):
            self._replay(json.loads(line))
        whole = "".join(f"{line}\n" for line in lines[:-1])
        journal.write_text(whole, encoding="utf-8")  # Nobody has acted on a line cut off.
        self._journal = journal
        if not whole:
            self._write({"began": self.began_at.isoformat()})

    def settle(self, name: str, instance: Instance, age: timedelta) -> None:
        """Let an agent have a home that has stood for some time before the world began."""
        if instance.instance_id not in self._ended:
            launch = self._launch(instance, UserData(name), self.began_at - age)
            self._running.setdefault(instance.instance_id, launch)

    def launch(
        self,
        instance_type: str,
        *,
        region: str,
        az: str,
        mode: Mode,
        client_token: str,
        user_data: UserData,
        now: datetime,
    ) -> Launch:
        """An instance; as with EC2, a client token used again gives the same one, told the same.

        Raises `CloudError` if there is no such pool, or if the token's instance has ended.
        """
        if (before := self._by_token.get(client_token)) is not None:
            if before in self._ended:
                raise CloudError(f"{before} has ended since")
            return self._running[before]
        instance = make_instance(
            self._seed, instance_type, region=region, az=az, mode=mode, client_token=client_token
        )
        self.price(instance, now)
        told = {"instance": asdict(instance), "user_data": asdict(user_data)}
        entry = {"launched": told, "token": client_token, "at": now.isoformat()}
        self._write(entry)
        self._replay(entry)
        return self._running[instance.instance_id]

    def terminate(self, instance_id: str, *, by: str = "agent") -> None:
        """End an instance; one that has ended stays so."""
        if (launch := self._running.get(instance_id)) is not None:
            entry = {"terminated": instance_id, "by": by, "name": launch.user_data.name}
            self._write(entry)
            self._replay(entry)

    def interrupt(self, instance_id: str, fate: Fate) -> None:
        """Let AWS have this in mind for an instance, whatever it had in mind before."""
        moments = {name: moment and moment.isoformat() for name, moment in asdict(fate).items()}
        entry = {"interrupted": instance_id, "fate": moments}
        self._write(entry)
        self._replay(entry)

    def end_what_is_over(self, now: datetime) -> None:
        """End whatever AWS has given notice to, once the notice is over."""
        for instance_id, launch in list(self._running.items()):
            ends_at = launch.fate.ends_at
            if ends_at is not None and ends_at <= now:
                self.terminate(instance_id, by="aws")

    def running(self) -> list[Launch]:
        """All instances that have not ended."""
        return list(self._running.values())

    def is_running(self, instance_id: str) -> bool:
        """Whether an instance has not ended."""
        return instance_id in self._running

    def was_interrupted(self, instance_id: str) -> bool:
        """Whether an instance was ended by AWS."""
        return self._ended.get(instance_id) == "aws"

    def interruptions(self, name: str) -> int:
        """How often AWS has ended an instance of this agent."""
        return self._interruptions.get(name, 0)

    def announced(self, instance_id: str, now: datetime) -> Fate:
        """What an instance's metadata tell by now of what AWS has in mind for it."""
        launch = self._running.get(instance_id)
        if launch is None:
            return Fate()
        fate = launch.fate
        return Fate(_if_past(fate.rebalance_at, now), _if_past(fate.notice_at, now))

    def price(self, instance: Instance, now: datetime) -> float:
        """US dollars per hour that such an instance costs; raises `CloudError` if none can be."""
        try:
            if instance.mode == "ondemand":
                return self.market.ondemand_price(instance.instance_type, instance.region)
            return self.market.spot_price(instance.instance_type, instance.az, now)
        except KeyError:
            text = f"{instance.region} has no {instance.instance_type} in {instance.az}"
            raise CloudError(text) from None

    def _launch(self, instance: Instance, user_data: UserData, at: datetime) -> Launch:
        fate = self._foretold.get(instance.instance_id)
        if fate is None:
            exposed_since = max(at, self.began_at)
            fate = self.market.fate(instance.instance_id, instance.pool_id, exposed_since)
        return Launch(instance, user_data, at, fate)

    def _replay(self, entry: Mapping[str, Any]) -> None:
        match entry:
            case {"began": began}:
                self.began_at = datetime.fromisoformat(began)
            case {"launched": told, "token": token, "at": at}:
                instance, user_data = Instance(**told["instance"]), UserData(**told["user_data"])
                launch = self._launch(instance, user_data, datetime.fromisoformat(at))
                self._running[instance.instance_id] = launch
                self._by_token[token] = instance.instance_id
            case {"terminated": instance_id, "by": by, "name": name}:
                self._running.pop(instance_id, None)
                self._ended[instance_id] = by
                self._interruptions[name] = self._interruptions.get(name, 0) + (by == "aws")
            case {"interrupted": instance_id, "fate": moments}:
                named = {k: v and datetime.fromisoformat(v) for k, v in moments.items()}
                fate = self._foretold[instance_id] = Fate(**named)
                if (running := self._running.get(instance_id)) is not None:
                    self._running[instance_id] = replace(running, fate=fate)

    def _write(self, entry: Mapping[str, Any]) -> None:
        if self._journal is not None:
            with self._journal.open("a", encoding="utf-8") as lines:
                lines.write(json.dumps(entry) + "\n")


def make_instance(
    seed: int, instance_type: str, *, region: str, az: str, mode: Mode, client_token: str
) -> Instance:
    """The instance that a client token stands for."""
    chance = Random(f"{seed}/instance/{client_token}")
    return Instance(
        instance_id=f"i-{chance.getrandbits(68):017x}",
        instance_type=instance_type,
        region=region,
        az=az,
        mode=mode,
        ami_id=f"ami-{Random(f'{seed}/image/{region}').getrandbits(68):017x}",
        private_ip=_address(10, chance),
        public_ip=_address(54, chance),
    )


def place_of(pool: str) -> tuple[str, str, str]:
    """Instance type, zone and region of a pool by its canonical name; raises `CloudError`."""
    instance_type, _, az = pool.rpartition(".")
    if not instance_type or len(az) < 2:
        raise CloudError(f"{pool} names no pool of EC2")
    return instance_type, az, region_of(az)


def _address(first: int, chance: Random) -> str:
    return ".".join(str(part) for part in (first, *(chance.randrange(1, 255) for _ in range(3))))


def _if_past(moment: datetime | None, now: datetime) -> datetime | None:
    return moment if moment is not None and moment <= now else None
