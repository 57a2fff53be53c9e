"""What the commands have in common: their options, their failures, their tables."""

import asyncio
import json
import sys
from collections.abc import Coroutine, Sequence
from typing import Annotated, Any, TypeVar

import typer
from rich.console import Console
from rich.table import Table
from rich.text import Text

from spotkeeper.embedded.errors import StackError, sentence

T = TypeVar("T")
ANY_COLUMNS = 1_000_000
"""A row is one line, which a narrow terminal wraps: an id stays whole for whoever copies it."""

AsJson = Annotated[bool, typer.Option("--json", help="Print JSON, one object a line.")]
Gateway = Annotated[str, typer.Option(envvar="SPOTKEEPER_GATEWAY", help="The gateway's address.")]
GATEWAY = "http://127.0.0.1:5000"


def run(work: Coroutine[Any, Any, T]) -> T:
    """Run to the end; an expected failure is one sentence and status 1."""
    try:
        return asyncio.run(work)
    except StackError as error:
        sys.exit(f"spotkeeper: {error}")
    except OSError as error:
        sys.exit(f"spotkeeper: {sentence(error)}")


def print_rows(rows: Sequence[dict[str, Any]], columns: Sequence[str], *, as_json: bool) -> None:
    """Print a table of these columns, or each whole row as a line of JSON."""
    if as_json:
        for row in rows:
            print(json.dumps(row))
        return
    table = Table(*columns, box=None)
    for row in rows:
        table.add_row(*(_cell(row.get(column, "")) for column in columns))
    console = Console(width=ANY_COLUMNS)
    console.print(table)
    console.print(f"{len(rows)} in all", style="dim")


def _cell(value: Any) -> Text:
    """A value letter by letter: it is no markup, and what would move the cursor is escaped."""
    return Text("".join(c if c.isprintable() else repr(c)[1:-1] for c in str(value)))
