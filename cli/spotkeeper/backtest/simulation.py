"""The back-test itself: at each tick the engine decides for every agent, as it would for a request.

Evidence becomes features, the model rates them, `decide` chooses; then the move and the tick are
paid. Risks are computed once per tick, for all pools and all agents together.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from enum import StrEnum

import numpy as np

from decision.choices import Move, Policy, Pool, Risk, Standing
from decision.features import Evidence, Floats, PoolRecord, Rows, candidate_rows
from decision.model import Model
from decision.questions import rated_pools
from decision.rules import decide
from spotkeeper.backtest.agents import ON_DEMAND, Agent, MoveMade
from spotkeeper.backtest.market import Market

TICKS_AT_ONCE = 50


class Fleet(StrEnum):
    """What the service sees: every pool that is up, or what each agent saw itself.

    Without traces nobody is interrupted, and both are the same.
    """

    ALL = "all"
    OWN = "own"


@dataclass(frozen=True)
class Run:
    """What came of it. `spent` is what all agents paid at each tick, in hours of on-demand."""

    agents: Sequence[Agent]
    moves: Sequence[MoveMade]
    spent: Floats
    hours_on_demand: float
    hours_above_80_percent: float


class Observers:
    """Who sees what: one for the whole fleet, or each agent its own type's pools.

    Observed pools are numbered through; `first[agent]` is the number of the first of its type.
    """

    def __init__(self, market: Market, agents: Sequence[Agent], fleet: Fleet) -> None:
        self._agents = agents
        self.each_its_own = fleet is Fleet.OWN and market.traced
        types = [a.type_number for a in agents]
        views = types if self.each_its_own else list(range(len(market.types)))
        sizes = [len(market.types[k].pools) for k in views]
        begins = np.concatenate([[0], np.cumsum(sizes)[:-1]]).astype(int)
        self.first = begins.tolist() if self.each_its_own else [int(begins[k]) for k in types]
        self._group = np.repeat(np.arange(len(views)), sizes)
        self._prior = np.repeat([market.types[k].prior_per_h for k in views], sizes)
        self._records: list[PoolRecord] = []
        if not self.each_its_own:
            self._records = [market.record(p) for one in market.types for p in one.pools]

    @property
    def width(self) -> int:
        """How many pools are observed, all observers together."""
        return len(self._group)

    def rows(self, at: Floats) -> Rows:
        """A candidate's features for each moment and observed pool, [t * p, 10]."""
        moments, pools = len(at), self.width
        counted = [record.counted(at) for record in self._records or self._seen()]
        notices, exposure, since = (np.stack(c, axis=1) for c in zip(*counted, strict=True))
        groups = np.arange(moments)[:, None] * (int(self._group[-1]) + 1) + self._group
        return candidate_rows(
            Evidence(
                notices.reshape(moments * pools, -1),
                exposure.reshape(moments * pools, -1),
                since.ravel(),
                np.tile(self._prior, moments),
                groups.ravel(),
            )
        )

    def note_interruptions(self, market: Market, tick: int) -> None:
        """Each agent whose pool was down since the tick before sees that."""
        for agent in self._agents:
            if agent.pool is not None and market.fell[tick, agent.type_number, agent.pool]:
                agent.note_interruption(float(market.at[tick] - market.at[0]))

    def _seen(self) -> list[PoolRecord]:
        return [seen.record() for agent in self._agents for seen in agent.seen]


def simulate(
    market: Market,
    agents: Sequence[Agent],
    observers: Observers,
    model: Model,
    policy: Policy,
    on_tick: Callable[[], None] = lambda: None,
) -> Run:
    """Let every agent live through the market."""
    moves: list[MoveMade] = []
    spent = np.zeros(len(market.at))
    on_demand = above = 0
    for tick, (at, rows, risks) in enumerate(_rated(market, observers, model)):
        candidates = _Candidates(market, tick)
        own = _own_risks(agents, observers.first, rows, at, model)
        for number, agent in enumerate(agents):
            price = market.types[agent.type_number].ondemand_price
            pools = candidates.of(agent.type_number, observers.first[number], risks)
            move, cost = _live(agent, pools, own[number], market, tick, policy)
            if move:
                moves.append(move)
            paid = price if agent.pool is None else candidates.price(agent)
            spent[tick] += cost / price + market.tick_hours * paid / price
            on_demand += agent.pool is None
            above += agent.pool is not None and paid > 0.8 * price
        on_tick()
    hours = market.tick_hours
    return Run(agents, moves, spent, on_demand * hours, above * hours)


def _rated(
    market: Market, observers: Observers, model: Model
) -> Iterator[tuple[float, Rows, Sequence[Risk]]]:
    """Each tick with the features and risks of all observed pools, by what was known then.

    What agents see themselves depends on their decisions; all else can be rated ahead, many ticks
    at a time. An interruption is seen before the decision on it, as a notice is.
    """
    elapsed, width = market.at - market.at[0], observers.width
    step = 1 if observers.each_its_own else TICKS_AT_ONCE
    for begin in range(0, len(elapsed), step):
        if observers.each_its_own:
            observers.note_interruptions(market, begin)
        moments = elapsed[begin : begin + step]
        rows = observers.rows(moments)
        risks = model.risks(rows)
        for i, at in enumerate(moments.tolist()):
            pools = slice(i * width, (i + 1) * width)
            yield at, rows[pools], risks[pools]


class _Candidates:
    """The pools that are up at a tick, as the rules want them."""

    def __init__(self, market: Market, tick: int) -> None:
        self._types = market.types
        self._prices = market.price[tick].tolist()
        self._up = market.up[tick].tolist()
        self._built: dict[tuple[int, int], list[Pool]] = {}

    def price(self, agent: Agent) -> float:
        """The price where an agent on spot stands."""
        assert agent.pool is not None
        return float(self._prices[agent.type_number][agent.pool])

    def of(self, k: int, first: int, risks: Sequence[Risk]) -> list[Pool]:
        """All pools of a type as its observer sees them; those that are down have no price."""
        built = self._built.get((k, first))
        if built is None:
            prices, up = self._prices[k], self._up[k]
            built = self._built[k, first] = [
                Pool(pool.pool_id, prices[p] if up[p] else None, risks[first + p])
                for p, pool in enumerate(self._types[k].pools)
            ]
        return built


def _own_risks(
    agents: Sequence[Agent], first: Sequence[int], rows: Rows, at: float, model: Model
) -> list[Risk | None]:
    """The risk of each agent's own pool, as `answer` rates it; None on demand."""
    on_spot = [n for n, agent in enumerate(agents) if agent.pool is not None]
    numbers = [first[n] + (agents[n].pool or 0) for n in on_spot]
    uptime = np.array([at - agents[n].entered_at for n in on_spot])
    _, risks = rated_pools(rows[numbers], np.arange(len(numbers)), uptime, model)
    found: list[Risk | None] = [None] * len(agents)
    for n, risk in zip(on_spot, risks, strict=True):
        found[n] = risk
    return found


def _live(
    agent: Agent,
    pools: Sequence[Pool],
    own_risk: Risk | None,
    market: Market,
    tick: int,
    policy: Policy,
) -> tuple[MoveMade | None, float]:
    """Decide and move; the move, if there was one, and what it and an interruption cost in USD."""
    at = float(market.at[tick] - market.at[0])
    kind = market.types[agent.type_number]
    ondemand, here, interrupted = kind.ondemand_price, None, False
    if agent.pool is not None and own_risk is not None:
        price = float(market.price[tick, agent.type_number, agent.pool])
        here = Pool(kind.pools[agent.pool].pool_id, price, own_risk)
        interrupted = bool(market.fell[tick, agent.type_number, agent.pool])
    decision = decide(
        Standing(
            here, agent.hours_in_pool(at), agent.planned_moves(at), agent.recovering, interrupted
        ),
        pools,
        ondemand,
        policy,
    )
    move = decision.move
    if move is None:
        return None, 0.0
    target = decision.target_pool
    origin = here.pool_id if here else ON_DEMAND
    made = MoveMade(agent.name, float(market.at[tick]), origin, target or ON_DEMAND, move)
    number = next((p for p, pool in enumerate(kind.pools) if pool.pool_id == target), None)
    agent.go(number, at, move)
    if move is Move.FORCED:
        return made, policy.interruption_cost_hours * ondemand
    price = decision.chosen.price
    return made, policy.switch_cost_hours * ondemand + policy.overlap_hours * price
