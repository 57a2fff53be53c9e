"""`make bench`: what heartbeats, registrations, switches, commands and decisions cost.

Trust the ratios and the CPU per call; rates depend on what else the machine does.
"""

import argparse
import asyncio
import json
from collections.abc import Awaitable, Callable, Sequence
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import commands, decides, engine, heartbeats, requests
from benchmarks.processes import System, system
from benchmarks.report import Line, print_lines

PARTS: dict[str, Callable[[System, float], Awaitable[list[Line]]]] = {
    "latency": requests.latency,
    "switches": commands.switches,
    "engine": engine.answers,
    "decisions": decides.decisions,
    "registrations": requests.registrations,
    "leases": commands.leases,
    "heartbeats": heartbeats.compare,
}


async def measure(parts: Sequence[str], seconds: float, console: Console) -> list[Line]:
    """Run the benchmarks one after the other, each on a Spotkeeper of its own.

    On a common one, agents of an earlier part that have fallen silent would go offline in a later.
    """
    lines: list[Line] = []
    for part in parts:
        console.log(f"starting Spotkeeper to measure {part}")
        async with system() as running:
            lines += await PARTS[part](running, seconds)
    return lines


def main() -> None:
    """Measure and print a table, or JSON with --json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    parser.add_argument("--only", choices=PARTS, action="append", help="measure this part alone")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    lines = asyncio.run(measure(chosen.only or list(PARTS), chosen.seconds, console))
    print_lines(lines)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


if __name__ == "__main__":
    main()
