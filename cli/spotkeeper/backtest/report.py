"""What a back-test leaves: the report, every move, every predicted risk."""

import csv
import json
from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from pathlib import Path
from typing import Any, NamedTuple

import numpy as np

from decision.choices import Move
from decision.features import Floats
from decision.model import Model
from spotkeeper.backtest.agents import WEEK_HOURS, Agent
from spotkeeper.backtest.market import Market
from spotkeeper.backtest.simulation import Observers, Run

PREDICTED_EVERY_HOURS = 0.5


class Prediction(NamedTuple):
    """One row of predictions.csv."""

    at: float
    pool_id: str
    what: str
    horizon_h: int
    value: float


def report_of(market: Market, run: Run, baselines: dict[str, Floats]) -> dict[str, Any]:
    """The figures of report.json; costs are relative to on-demand, per agent."""
    agents, hours = len(run.agents), len(market.at) * market.tick_hours
    agent_hours = agents * hours
    cost = float(run.spent.sum()) / agent_hours
    planned = sum(agent.moves[Move.PLANNED] for agent in run.agents)
    forced = sum(agent.moves[Move.FORCED] for agent in run.agents)
    return {
        "cost_rel_ondemand": cost,
        "saving_percent": 100.0 * (1.0 - cost),
        "switches_per_agent_week": planned / agent_hours * WEEK_HOURS,
        "max_switches_per_week": max(agent.most_in_a_week for agent in run.agents),
        "interruptions_per_agent_day": forced / agent_hours * 24.0,
        "ondemand_hours_percent": 100.0 * run.hours_on_demand / agent_hours,
        "hours_price_above_80_percent": 100.0 * run.hours_above_80_percent / agent_hours,
        "agents": agents,
        "hours": hours,
        "data_until": iso(market.data_until),
        "left_out": market.left_out,
        "baselines": {name: float(spent.sum()) / agent_hours for name, spent in baselines.items()},
    }


def write_report(path: Path, report: dict[str, Any]) -> None:
    """report.json"""
    path.write_text(json.dumps(report, indent=2) + "\n", encoding="utf-8")


def write_moves(path: Path, run: Run) -> None:
    """moves.csv, in the order of time, then of agents."""
    moves = sorted(run.moves, key=lambda move: (move.at, move.agent))
    rows = ((m.agent, iso(m.at), m.origin, m.target, m.kind.value) for m in moves)
    _write(path, ("agent", "ts", "from", "to", "kind"), rows)


def write_predictions(path: Path, predictions: Iterable[Prediction]) -> None:
    """predictions.csv"""
    rows = ((iso(p.at), *p[1:4], f"{p.value:.9g}") for p in predictions)
    _write(path, ("ts", "pool_id", "what", "h", "value"), rows)


def predictions_of(
    market: Market, agents: Sequence[Agent], observers: Observers, model: Model
) -> Iterator[Prediction]:
    """Each pool's risk for a newcomer, every half hour that it is up, by what was known then.

    Where each agent sees only what it saw itself, the first agent of a type speaks.
    """
    if not market.traced:
        return
    first: dict[int, int] = {}
    for number, agent in enumerate(agents):
        first.setdefault(agent.type_number, observers.first[number])
    step = PREDICTED_EVERY_HOURS
    ends = market.at[-1] - market.at[0] + market.tick_hours
    moments = np.arange(0.0, ends - 1e-9, step)
    width = observers.width
    risks = model.risks(observers.rows(moments))
    for i, at in enumerate(moments.tolist()):
        moment = (round(float(market.at[0]) * 3600.0) + round(at * 3600.0)) / 3600.0
        for k, one in enumerate(market.types):
            for p, pool in enumerate(one.pools):
                if pool.trace and pool.trace.is_up(moment):
                    risk = risks[i * width + first[k] + p]
                    for horizon, value in ((1, risk.hour), (4, risk.four_hours), (24, risk.day)):
                        yield Prediction(moment, pool.pool_id, "risk", horizon, value)


def iso(hours: float) -> str:
    """A moment in hours since the epoch, for people."""
    return datetime.fromtimestamp(round(hours * 3600.0), UTC).isoformat()


def _write(path: Path, header: Sequence[str], rows: Iterable[Sequence[object]]) -> None:
    with path.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, lineterminator="\n")
        writer.writerow(header)
        writer.writerows(rows)
