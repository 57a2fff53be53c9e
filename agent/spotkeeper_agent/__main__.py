"""`python -m spotkeeper_agent`: run a simulated fleet; crash, revive, interrupt its agents."""

import asyncio
import logging
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated

import typer

from spotkeeper_agent.control import DEFAULT_FOLDER, Control, ControlError
from spotkeeper_agent.simulate import Options
from spotkeeper_agent.simulate import simulate as run_fleet

app = typer.Typer(
    help="Spotkeeper's agents, simulated.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
    rich_markup_mode=None,  # What is wrong is then one line, the last of a log.
)

ControlFolder = Annotated[
    Path, typer.Option("--control-dir", help="The folder of the fleet's stopped agents.")
]
Name = Annotated[str, typer.Argument(help="An agent's logical id, such as agent-07.")]


@app.command()
def simulate(
    gateway: Annotated[str, typer.Option(help="The gateway's address.")],
    token: Annotated[
        str, typer.Option(envvar="SPOTKEEPER_TOKEN", help="The token of the fleet's client.")
    ],
    agents: Annotated[int, typer.Option(min=0, help="How many agents there are.")] = 25,
    interval_seconds: Annotated[
        float,
        typer.Option(
            envvar="SPOTKEEPER_AGENT_INTERVAL_SECONDS",
            min=0.01,
            help="How often an agent beats, give or take a fifth.",
        ),
    ] = 30.0,
    seed: Annotated[int, typer.Option(help="Another seed makes another fleet.")] = 7,
    interruptions_per_day: Annotated[
        float,
        typer.Option(
            envvar="SPOTKEEPER_AGENT_INTERRUPTIONS_PER_DAY",
            min=0,
            help="How often AWS takes a spot instance back, on average.",
        ),
    ] = 2.0,
    control_dir: ControlFolder = DEFAULT_FOLDER,
) -> None:
    """Run a simulated fleet until SIGTERM or SIGINT, which end it without goodbyes."""
    logging.basicConfig(
        stream=sys.stdout, level=logging.INFO, format="%(asctime)s %(levelname)-7s %(message)s"
    )
    logging.getLogger("httpx").setLevel(logging.WARNING)  # It has a line for each request.
    options = Options(
        agents=agents,
        gateway=gateway,
        token=token,
        interval_seconds=interval_seconds,
        seed=seed,
        interruptions_per_day=interruptions_per_day,
        control_folder=control_dir,
    )
    asyncio.run(run_fleet(options))


@app.command()
def stop(name: Name, control_dir: ControlFolder = DEFAULT_FOLDER) -> None:
    """Let one agent of a running fleet crash: it falls silent, without a goodbye."""
    _control(Control.stop, name, control_dir)


@app.command()
def start(name: Name, control_dir: ControlFolder = DEFAULT_FOLDER) -> None:
    """Bring a stopped agent back."""
    _control(Control.start, name, control_dir)


@app.command()
def interrupt(name: Name, control_dir: ControlFolder = DEFAULT_FOLDER) -> None:
    """Let AWS take an agent's spot instance back: a recommendation to leave, then a notice."""
    _control(Control.interrupt, name, control_dir)


def _control(act: Callable[[Control, str], None], name: str, folder: Path) -> None:
    try:
        act(Control(folder), name)
    except (ControlError, OSError) as error:
        sys.exit(str(error))


if __name__ == "__main__":
    app()
