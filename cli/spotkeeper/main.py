"""The commands of `spotkeeper`."""

import sys
from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any

import typer

from spotkeeper import client
from spotkeeper.embedded.errors import sentence
from spotkeeper.folder import DataFolder
from spotkeeper.screen import Screen
from spotkeeper.services import SIMULATOR
from spotkeeper.terminal import GATEWAY, AsJson, Gateway, print_rows, run
from spotkeeper.up import Options
from spotkeeper.up import up as run_up
from spotkeeper_agent.control import Control, ControlError

app = typer.Typer(
    help="Spotkeeper: the control plane for fleets of agents on AWS spot instances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

fleet = typer.Typer(invoke_without_command=True)
app.add_typer(fleet, name="agents")

if sys.argv[1:2] != ["up"]:  # They bring memory that `up` would hold for as long as it runs.
    from spotkeeper.backtest.command import backtest
    from spotkeeper.deadletters import dlq
    from spotkeeper.models import model

    app.command()(backtest)
    app.command()(dlq)
    app.add_typer(model, name="model")


def _directory(name: str) -> Path:
    """The directory of that name; an empty name, as of an unset variable, would be where we are."""
    if not name:
        raise typer.BadParameter("it should name a directory")
    return Path(name)


DataDir = Annotated[
    Path,
    typer.Option(
        parser=_directory,
        metavar="DIRECTORY",
        help="Where Kafka's and PostgreSQL's data, secrets and logs lie: a directory of their own.",
    ),
]
Name = Annotated[str, typer.Argument(help="An agent's logical id, such as agent-07.")]
DATA_DIR = Path(".spotkeeper")


@app.command()
def up(
    agents: Annotated[int, typer.Option(min=0, help="Agents of the simulated fleet.")] = 25,
    no_agents: Annotated[bool, typer.Option("--no-agents", help="No simulated fleet.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The gateway's port.")] = 5000,
    data_dir: DataDir = DATA_DIR,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove the data in it first.")] = False,
    as_json: Annotated[
        bool, typer.Option("--json", help="Print one line of JSON when ready, and no more.")
    ] = False,
) -> None:
    """Start Kafka, PostgreSQL, the services and a simulated fleet on this machine.

    All of it listens on 127.0.0.1 only and stops with Ctrl-C. A second start over the same data
    directory keeps everything.

    To use servers of your own, set KAFKA_BOOTSTRAP_SERVERS, and SPOTKEEPER_POSTGRES_DSN (a
    superuser's) or one DSN per service (SPOTKEEPER_REGISTRY_DSN and its like).
    SPOTKEEPER_ADMIN_TOKEN sets the admin token.
    """
    options = Options(
        agents=0 if no_agents else agents,
        port=port,
        data_dir=data_dir,
        fresh=fresh,
        json=as_json,
    )
    run(run_up(options, Screen(result_on_stdout=as_json)))


@fleet.callback()
def agents(
    context: typer.Context,
    gateway: Gateway = GATEWAY,
    token: Annotated[
        str, typer.Option(envvar="SPOTKEEPER_TOKEN", help="A client's token.")
    ] = "client-token",
    as_json: AsJson = False,
) -> None:
    """List a client's agents; stop, start or interrupt one of the simulated fleet."""
    if context.invoked_subcommand is None:
        columns = ("agent_id", "logical_agent_id", "status", "current_mode", "current_pool_id")
        print_rows(run(_agents(gateway, token)), columns, as_json=as_json)
        return
    for option in ("gateway", "token", "as_json"):
        source = context.get_parameter_source(option)
        if source is not None and source.name == "COMMANDLINE":
            raise typer.BadParameter("--gateway, --token and --json are for the list of agents.")


@fleet.command()
def stop(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Let an agent of the simulated fleet crash: it falls silent, without a goodbye."""
    _control(Control.stop, name, data_dir)
    print(f"{name} falls silent.")


@fleet.command()
def start(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Bring a stopped agent of the simulated fleet back."""
    _control(Control.start, name, data_dir)
    print(f"{name} comes back.")


@fleet.command()
def interrupt(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Let AWS take the spot instance of a simulated agent back: a recommendation, then a notice."""
    _control(Control.interrupt, name, data_dir)
    log = DataFolder(data_dir).log(SIMULATOR)
    print(f"AWS is to take the spot instance of {name} back; what comes of it is told in {log}.")


async def _agents(gateway: str, token: str) -> list[dict[str, Any]]:
    async with client.connected(gateway, token) as http:
        return [agent async for agent in client.agents(http)]


def _control(act: Callable[[Control, str], None], name: str, data_dir: Path) -> None:
    try:
        act(Control(DataFolder(data_dir).control), name)
    except ControlError as error:
        sys.exit(f"spotkeeper: {error}")
    except OSError as error:
        sys.exit(f"spotkeeper: {sentence(error)}")
