"""The commands of `spotkeeper`."""

import asyncio
import json
import sys
from collections.abc import Callable, Coroutine, Sequence
from pathlib import Path
from typing import Annotated, Any, TypeVar

import httpx
import typer
from rich.console import Console
from rich.table import Table

from spotkeeper import client, models
from spotkeeper.deadletters import dead_letters
from spotkeeper.embedded.errors import StackError
from spotkeeper.folder import DataFolder
from spotkeeper.screen import Screen
from spotkeeper.up import Options
from spotkeeper.up import up as run_up
from spotkeeper_agent.control import Control, ControlError
from spotkeeper_contracts.models import ModelRole

T = TypeVar("T")
PIPE_COLUMNS = 250
"""Wide enough that nothing is cut off for a program that reads."""


app = typer.Typer(
    help="Spotkeeper: the control plane for fleets of agents on AWS spot instances.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)

fleet = typer.Typer(invoke_without_command=True)
app.add_typer(fleet, name="agents")
model = typer.Typer(help="Models of the decision engine: published, withdrawn, judged.")
app.add_typer(model, name="model")

if sys.argv[1:2] != ["up"]:  # It brings 72 MB that `up` would hold for as long as it runs.
    from spotkeeper.backtest.command import backtest

    app.command()(backtest)

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
DataDir = Annotated[
    Path, typer.Option(help="Where Kafka's and PostgreSQL's data, secrets and logs lie.")
]
Gateway = Annotated[str, typer.Option(envvar="SPOTKEEPER_GATEWAY", help="The gateway's address.")]
AdminToken = Annotated[
    str, typer.Option("--token", envvar="SPOTKEEPER_ADMIN_TOKEN", help="The admin token.")
]
Role = Annotated[ModelRole, typer.Option(help="It decides, or it is scored and never acts.")]
GATEWAY = "http://127.0.0.1:5000"
Name = Annotated[str, typer.Argument(help="An agent's logical id, such as agent-07.")]
DATA_DIR = Path(".spotkeeper")


@app.command()
def up(
    agents: Annotated[int, typer.Option(min=0, help="Agents of the simulated fleet.")] = 25,
    no_agents: Annotated[bool, typer.Option("--no-agents", help="No simulated fleet.")] = False,
    port: Annotated[int, typer.Option(min=1, max=65_535, help="The gateway's port.")] = 5000,
    data_dir: DataDir = DATA_DIR,
    fresh: Annotated[bool, typer.Option("--fresh", help="Remove all data first.")] = False,
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
    _run(run_up(options, Screen(result_on_stdout=as_json)))


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
        _print_rows(_run(_agents(gateway, token)), columns, as_json=as_json)


@fleet.command()
def stop(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Let an agent of the simulated fleet crash: it falls silent, without a goodbye."""
    _control(Control.stop, name, data_dir)


@fleet.command()
def start(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Bring a stopped agent of the simulated fleet back."""
    _control(Control.start, name, data_dir)


@fleet.command()
def interrupt(name: Name, data_dir: DataDir = DATA_DIR) -> None:
    """Let AWS take the spot instance of a simulated agent back: a recommendation, then a notice."""
    _control(Control.interrupt, name, data_dir)


@app.command()
def dlq(
    kafka: Annotated[
        str, typer.Option(envvar="KAFKA_BOOTSTRAP_SERVERS", help="Kafka's bootstrap addresses.")
    ] = "127.0.0.1:29092",
    as_json: AsJson = False,
) -> None:
    """List the dead letters: messages that no service could handle, and why."""
    columns = ("at", "service", "reason", "topic", "partition", "offset", "type", "error")
    _print_rows(_run(dead_letters(kafka)), columns, as_json=as_json)


@model.command("report")
def model_report(
    token: AdminToken,
    gateway: Gateway = GATEWAY,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days to look back.")] = 30,
    as_json: AsJson = False,
) -> None:
    """What each model promised, and what came of it: interruptions and savings by version."""
    rows = _run(models.report(gateway, token, days))
    _print_rows(rows, models.PROMISES, as_json=as_json)


@model.command("list")
def list_models(token: AdminToken, gateway: Gateway = GATEWAY, as_json: AsJson = False) -> None:
    """List the models that were published, and what each does now."""
    rows = _run(models.published(gateway, token))
    _print_rows(rows, models.PUBLISHED, as_json=as_json)


@model.command("publish")
def publish_model(
    file: Annotated[Path, typer.Argument(help="An ONNX file with its card beside it.")],
    token: AdminToken,
    role: Role = ModelRole.SHADOW,
    gateway: Gateway = GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Check a model and give it a role; every engine takes it up without a restart."""
    rows = _run(models.publish(gateway, token, file, role.value))
    _print_rows(rows, models.PUBLISHED, as_json=as_json)


@model.command("withdraw")
def withdraw_model(
    token: AdminToken,
    role: Role = ModelRole.SHADOW,
    gateway: Gateway = GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Take a published model back: the file of the settings decides again, or none watches."""
    rows = _run(models.withdraw(gateway, token, role.value))
    _print_rows(rows, models.PUBLISHED, as_json=as_json)


async def _agents(gateway: str, token: str) -> list[dict[str, Any]]:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=gateway, headers=headers) as http:
            return [agent async for agent in client.agents(http)]
    except httpx.HTTPStatusError as error:
        raise StackError(f"The gateway says {error.response.text}") from error
    except httpx.HTTPError as error:
        raise StackError(f"No answer from the gateway at {gateway}: {error}.") from error


def _run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an expected failure is one sentence and status 1."""
    try:
        return asyncio.run(work)
    except StackError as error:
        sys.exit(f"spotkeeper: {error}")


def _control(act: Callable[[Control, str], None], name: str, data_dir: Path) -> None:
    try:
        act(Control(DataFolder(data_dir).control), name)
    except ControlError as error:
        sys.exit(f"spotkeeper: {error}")


def _print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(str(row.get(column, "")) for column in columns))
    console = Console(width=None if sys.stdout.isatty() else PIPE_COLUMNS)
    console.print(table)
    console.print(f"{len(rows)} in all", style="dim")
