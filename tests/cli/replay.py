"""A second opinion on a back-test: replays moves.csv on the recordings, without the engine.

It reads the recordings for itself, holds every move to the rules, and pays for every tick.
"""

from bisect import bisect_right
from collections import Counter, defaultdict
from collections.abc import Sequence
from datetime import datetime, timedelta
from typing import TypeVar

from tests.cli.recordings import Outcome, Row

INTERRUPTION_HOURS, SWITCH_HOURS, OVERLAP_HOURS = 1.0, 0.2, 10 / 60
T = TypeVar("T")
LEAST_STAY, WEEK = timedelta(hours=2), timedelta(days=7)


class Replay:
    """All agents of a back-test, relived; `broken` lists every rule that was not kept."""

    def __init__(self, outcome: Outcome, agents: Sequence[str], tick: timedelta) -> None:
        market = outcome.market
        start, end = datetime.fromisoformat(market.start), datetime.fromisoformat(market.end)
        self.tick = tick
        self.ticks = [start + i * tick for i in range(-(-(end - start) // tick))]
        self.prices: dict[str, dict[datetime, float]] = defaultdict(dict)
        for row in market.prices:
            pool_id = f"{row['InstanceType']}.{row['AvailabilityZone']}"
            at, price = datetime.fromisoformat(row["Timestamp"]), float(row["SpotPrice"])
            self.prices[pool_id][at] = price / market.ondemand[row["InstanceType"]]
        self.states: dict[str, dict[datetime, bool]] = defaultdict(dict)
        for row in market.trace or []:
            at = datetime.fromisoformat(row["ts"])
            self.states[row["pool_id"]][at] = row["available"] == "1"
        self.broken: list[str] = []
        self.counted: Counter[str] = Counter()
        by_agent: dict[str, dict[datetime, Row]] = defaultdict(dict)
        for row in outcome.moves:
            at = datetime.fromisoformat(row["ts"])
            self._hold(at not in by_agent[row["agent"]], row, "a second move at one tick")
            by_agent[row["agent"]][at] = row
        assert by_agent.keys() <= set(agents)
        hours = len(self.ticks) * tick / timedelta(hours=1)
        self.cost = sum(self._live(name, by_agent[name]) for name in agents)
        self.cost /= len(agents) * hours

    def price(self, pool_id: str, at: datetime) -> float:
        """In parts of the on-demand price."""
        return 1.0 if pool_id == "ondemand" else _last(self.prices[pool_id], at)

    def is_up(self, pool_id: str, at: datetime) -> bool:
        return pool_id == "ondemand" or not self.states or _last(self.states[pool_id], at)

    def fell(self, pool_id: str, at: datetime) -> bool:
        """Down at any time since the tick before."""
        if pool_id == "ondemand" or not self.states:
            return False
        changes = self.states[pool_id]
        between = any(not up for when, up in changes.items() if at - self.tick < when <= at)
        return between or not _last(changes, at - self.tick)

    def _live(self, name: str, moves: dict[datetime, Row]) -> float:
        state, since, recovering = name.partition("|")[2], self.ticks[0], False
        planned: list[datetime] = []
        cost = 0.0
        for at in self.ticks:
            move, fell = moves.pop(at, None), self.fell(state, at)
            if fell and (move is None or move["kind"] != "forced"):
                self.broken.append(f"{name} {at}: an interruption without a forced move")
            if move:
                kind, target = move["kind"], move["to"]
                self.counted[kind] += 1
                self._hold(move["from"] == state != target, move, "from")
                self._hold(self.is_up(target, at), move, "to a pool that is down")
                self._hold((kind == "forced") == fell, move, "forced")
                first_return = recovering and target != "ondemand" and state == "ondemand"
                self._hold(kind != "recovery" or first_return, move, "recovery")
                if kind == "planned":
                    rested = state == "ondemand" or at - since >= LEAST_STAY
                    self._hold(rested, move, "too early")
                    planned.append(at)
                if kind != "forced":
                    cost += SWITCH_HOURS + OVERLAP_HOURS * self.price(target, at)
                    saves = target == "ondemand" or self.price(target, at) <= 0.85 + 1e-9
                    self._hold(saves, move, "saves too little")
                else:
                    cost += INTERRUPTION_HOURS
                recovering = kind == "forced" and target == "ondemand"
                state, since = target, at
            cost += self.price(state, at) * (self.tick / timedelta(hours=1))
        tenth_after = zip(planned, planned[10:], strict=False)
        if any(later - earlier < WEEK for earlier, later in tenth_after) or moves:
            self.broken.append(f"{name}: more than ten moves a week, or moves off the ticks")
        return cost

    def _hold(self, kept: bool, move: Row, rule: str) -> None:
        if not kept:
            self.broken.append(f"{rule}: {move}")


def _last(changes: dict[datetime, T], at: datetime) -> T:
    """The last entry, or before all of them the first."""
    moments = sorted(changes)
    return changes[moments[max(0, bisect_right(moments, at) - 1)]]
