"""`spotkeeper backtest`: reads the files, runs the market, writes what came of it."""

import json
import math
import sys
from pathlib import Path
from typing import Annotated, Any

import numpy as np
import typer
from rich.console import Console
from rich.progress import Progress
from rich.table import Table

from decision.choices import Policy
from decision.features import Floats
from decision.model import SHIPPED, Model, ModelError, load
from decision.places import named_pool
from decision.recordings import (
    REPORT,
    RecordingError,
    hours_of,
    read_advisor,
    read_ondemand,
    read_prices,
    read_trace,
)
from spotkeeper.backtest import hindsight
from spotkeeper.backtest.agents import StartMode, agents_of
from spotkeeper.backtest.market import Market, in_short, market_of, types_asked_for
from spotkeeper.backtest.plot import svg_of
from spotkeeper.backtest.report import (
    iso,
    predictions_of,
    report_of,
    write_moves,
    write_predictions,
    write_report,
)
from spotkeeper.backtest.simulation import Fleet, Observers, simulate

MOST_TICKS = 1_000_000
MOST_HOURS = 1_000_000
MOST_MINUTES = 100_000
LEAST_SECONDS = 1e8
"""A bare number has to be larger as a moment: 2023 would be a second of 1970."""
DEFAULTS = Policy()


def backtest(
    prices: Annotated[Path, typer.Option(help="A folder with *.json.gz or *.json of spot prices.")],
    ondemand: Annotated[Path, typer.Option(help="A CSV: instance_type,usd_per_hour.")],
    advisor: Annotated[Path, typer.Option(help="The spot advisor's feed, JSON or JSON.gz.")],
    start: Annotated[str, typer.Option(help="ISO 8601; UTC without a zone.")],
    end: Annotated[str, typer.Option(help="ISO 8601; UTC without a zone.")],
    out: Annotated[Path, typer.Option(help="A folder for the results.")],
    trace: Annotated[Path | None, typer.Option(help="A CSV: ts,pool_id,available.")] = None,
    tick_minutes: Annotated[
        int, typer.Option(min=1, max=MOST_MINUTES, help="Between decisions.")
    ] = 60,
    start_mode: Annotated[
        StartMode, typer.Option(help="An agent in each pool, or one per type on demand.")
    ] = StartMode.POOLS,
    fleet: Annotated[
        Fleet, typer.Option(help="Whose interruptions are known: everyone's, or one's own.")
    ] = Fleet.ALL,
    model: Annotated[Path, typer.Option(help="An ONNX file with its card beside it.")] = SHIPPED,
    min_savings: Annotated[
        float, typer.Option(min=0, max=100, help="Percent under on-demand.")
    ] = DEFAULTS.min_savings_percent,
    risk_threshold: Annotated[
        float, typer.Option(min=0, max=1, help="The highest risk within an hour.")
    ] = DEFAULTS.risk_threshold,
    max_switches_per_week: Annotated[int, typer.Option(min=0)] = DEFAULTS.max_switches_per_week,
    min_pool_duration_hours: Annotated[
        float, typer.Option(min=0, max=MOST_HOURS)
    ] = DEFAULTS.min_pool_duration_hours,
    interruption_cost_hours: Annotated[
        float, typer.Option(min=0, max=MOST_HOURS, help="At the on-demand price.")
    ] = DEFAULTS.interruption_cost_hours,
    as_json: Annotated[bool, typer.Option("--json", help="Print the report as JSON.")] = False,
) -> None:
    """Replay recorded prices and interruptions, and let the decision engine decide.

    Writes report.json, moves.csv, predictions.csv and cost.svg. Needs no network and no database;
    the same files give the same result.

    In moves.csv an agent is named by its type and where it starts: `m5.large|m5.large.us-east-1a`,
    `m5.large|ondemand` or, if its type lies in several regions, `m5.large|ondemand.us-east-1`.
    """
    policy = Policy(
        min_savings_percent=min_savings,
        risk_threshold=risk_threshold,
        max_switches_per_week=max_switches_per_week,
        min_pool_duration_hours=min_pool_duration_hours,
        interruption_cost_hours=interruption_cost_hours,
    )
    try:
        loaded = load(model)
        screen = Console(stderr=True)
        with Progress(console=screen, transient=True, disable=not screen.is_terminal) as progress:
            window = _window(start, end)
            market = _market(prices, ondemand, advisor, trace, window, tick_minutes, progress)
            report = _run(market, start_mode, fleet, loaded, policy, out, progress)
    except (ModelError, RecordingError) as error:
        sys.stderr.write(f"spotkeeper: {error}\n")
        raise typer.Exit(2) from error
    except OSError as error:
        sys.stderr.write(f"spotkeeper: {out} cannot be written: {error.strerror}.\n")
        raise typer.Exit(2) from error
    if as_json:
        print(json.dumps(report))
    else:
        _print(report, out)


def _window(start: str, end: str) -> tuple[float, float]:
    """When the back-test begins and ends, in hours since the epoch."""
    try:
        begins, ends = (hours_of(text, from_seconds=LEAST_SECONDS) for text in (start, end))
    except ValueError as error:
        raise RecordingError(f"Start or end is no moment in ISO 8601: {error}.") from error
    if not begins < ends:
        raise RecordingError(f"The start {start} does not lie before the end {end}.")
    return begins, ends


def _ticks(begins: float, ends: float, tick_minutes: int) -> Floats:
    """All moments of decision, in hours since the epoch."""
    ticks = max(1, math.ceil(round((ends - begins) * 60 / tick_minutes, 6)))
    if ticks > MOST_TICKS:
        raise RecordingError(f"From start to end there are more than {MOST_TICKS} ticks.")
    return np.asarray((round(begins * 3600) + np.arange(ticks) * tick_minutes * 60) / 3600)


def _market(
    prices: Path,
    ondemand: Path,
    advisor: Path,
    trace: Path | None,
    window: tuple[float, float],
    tick_minutes: int,
    progress: Progress,
) -> Market:
    at = _ticks(*window, tick_minutes)
    reading = progress.add_task("reading", total=None)
    series = read_prices(
        prices,
        on_other=_passed_over,
        on_file=lambda done, of: progress.update(reading, completed=done, total=of),
    )
    known = {(one.instance_type, one.az) for one in series}
    traces = read_trace(trace, lambda name: named_pool(name, known) in known) if trace else None
    types = types_asked_for(series, traces)
    market = market_of(
        series,
        {region: read_ondemand(ondemand, region, types[region]) for region in types},
        read_advisor(advisor, set().union(*types.values())),
        traces,
        at,
        ends=window[1],
        tick_hours=tick_minutes / 60,
    )
    _tell(market, window[1])
    return market


def _tell(market: Market, ends: float) -> None:
    """What of the recordings takes no part, and whether they end too early."""
    for clause in in_short(market.left_out):
        sys.stderr.write(f"spotkeeper: Left out are {clause}.\n")
    if ends > market.data_until:
        until = iso(market.data_until)
        sys.stderr.write(
            f"spotkeeper: The recordings end at {until}: nothing changes after that.\n"
        )


def _passed_over(path: Path) -> None:
    sys.stderr.write(f"spotkeeper: {path} has no list SpotPriceHistory and is passed over.\n")


def _run(
    market: Market,
    mode: StartMode,
    fleet: Fleet,
    model: Model,
    policy: Policy,
    out: Path,
    progress: Progress,
) -> dict[str, Any]:
    out.mkdir(parents=True, exist_ok=True)  # Before the work that would be in vain.
    agents = list(agents_of(market, mode))
    types, starts = [a.type_number for a in agents], [a.pool for a in agents]
    deciding = progress.add_task("deciding", total=len(market.at))
    observers = Observers(market, agents, fleet)
    run = simulate(
        market, agents, observers, model, policy, lambda: progress.update(deciding, advance=1)
    )
    baselines = {
        "always spot": hindsight.always_spot(market, types, starts, policy),
        "always on-demand": hindsight.always_on_demand(market, types, starts, policy),
        "hindsight": hindsight.with_foresight(market, types, starts, policy),
    }
    report = report_of(market, run, baselines) | {"model": model.version}
    write_report(out / REPORT, report)
    write_moves(out / "moves.csv", run)
    write_predictions(out / "predictions.csv", predictions_of(market, agents, observers, model))
    spent = {"policy": run.spent, **baselines}
    per_agent = {name: values / len(agents) / 24.0 for name, values in spent.items()}
    days = (market.at - market.at[0]) / 24.0
    title = "Cost per agent, in days of on-demand"
    (out / "cost.svg").write_text(svg_of(title, days, per_agent), encoding="utf-8")
    return report


def _print(report: dict[str, Any], out: Path) -> None:
    table = Table("rule", "cost, on-demand = 1", box=None)
    table.add_row("policy", f"{report['cost_rel_ondemand']:.4f}", style="bold")
    for name, cost in report["baselines"].items():
        table.add_row(name, f"{cost:.4f}")
    console = Console(markup=False, emoji=False)  # A folder's name is no markup.
    console.print(table)
    console.print(
        f"{report['agents']} agents, {report['hours']:.0f} hours · "
        f"{report['switches_per_agent_week']:.2f} switches a week · "
        f"{report['interruptions_per_agent_day']:.2f} interruptions a day · "
        f"{report['ondemand_hours_percent']:.1f} % on demand"
    )
    console.print(f"report, moves, predictions and plot in {out}", style="dim")
