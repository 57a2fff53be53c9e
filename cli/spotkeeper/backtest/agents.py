"""The agents of a back-test: where each stands, what it did, and what it alone has seen."""

from collections import Counter, deque
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import numpy as np

from decision.choices import Move
from decision.features import PoolRecord
from spotkeeper.backtest.market import Market

WEEK_HOURS = 168.0
DECIMALS = 6
"""Of hours, in comparisons with limits: a difference of two moments has a rounding error."""
ON_DEMAND = "ondemand"


class StartMode(StrEnum):
    """Whether each type has an agent in each pool at the start, or one on demand."""

    POOLS = "pools"
    ONDEMAND = "ondemand"


class MoveMade(NamedTuple):
    """One move, as moves.csv has it; the moment in hours since the epoch."""

    agent: str
    at: float
    origin: str
    target: str
    kind: Move


@dataclass
class Seen:
    """What an agent saw of one pool: hours since the start."""

    notices_at: list[float] = field(default_factory=list)
    started_at: list[float] = field(default_factory=list)
    ended_at: list[float] = field(default_factory=list)

    def record(self) -> PoolRecord:
        """All of it; whoever counts it says up to when."""
        return PoolRecord(*map(np.array, (self.notices_at, self.started_at, self.ended_at)))


@dataclass
class Agent:
    """One agent; `pool` is the number of its pool within its type, None on demand."""

    name: str
    type_number: int
    pool: int | None
    seen: list[Seen]
    entered_at: float = 0.0
    recovering: bool = False
    recent: deque[float] = field(default_factory=deque)
    """When it made planned moves, within the last week."""
    most_in_a_week: int = 0
    moves: dict[Move, int] = field(default_factory=lambda: dict.fromkeys(Move, 0))

    def __post_init__(self) -> None:
        if self.pool is not None:
            self.seen[self.pool].started_at.append(0.0)

    def hours_in_pool(self, at: float) -> float:
        """How long it has been where it is."""
        return round(at - self.entered_at, DECIMALS)

    def planned_moves(self, at: float) -> int:
        """Its planned moves within the last 168 hours, one just as long ago still among them."""
        while self.recent and round(at - self.recent[0], DECIMALS) > WEEK_HOURS:
            self.recent.popleft()
        return len(self.recent)

    def note_interruption(self, at: float) -> None:
        """Remember that its instance was taken back; the decision on it comes after that."""
        assert self.pool is not None
        self.seen[self.pool].notices_at.append(at)

    def go(self, pool: int | None, at: float, kind: Move) -> None:
        """Move, and remember why."""
        if self.pool is not None:
            self.seen[self.pool].ended_at.append(at)
        if pool is not None:
            self.seen[pool].started_at.append(at)
        if kind is Move.PLANNED:
            self.recent.append(at)
            self.most_in_a_week = max(self.most_in_a_week, self.planned_moves(at))
        self.recovering = kind is Move.FORCED and pool is None
        self.pool, self.entered_at = pool, at
        self.moves[kind] += 1


def agents_of(market: Market, mode: StartMode) -> Iterator[Agent]:
    """All agents at the start, in the order of types and pools.

    Each is named by its type and where it starts; on demand also by the region, if its type lies in
    several.
    """
    regions = Counter(one.instance_type for one in market.types)
    for k, one in enumerate(market.types):
        on_demand = ON_DEMAND if regions[one.instance_type] == 1 else f"{ON_DEMAND}.{one.region}"
        starts = [None] if mode is StartMode.ONDEMAND else list(range(len(one.pools)))
        for pool in starts:
            name = on_demand if pool is None else one.pools[pool].pool_id
            yield Agent(f"{one.instance_type}|{name}", k, pool, [Seen() for _ in one.pools])
