"""`make bench`: prints what each process spends on a heartbeat, a registration and an answer.

Trust the ratios and the CPU per call; rates depend on what else the machine does.
"""

import argparse
import asyncio
import json
from dataclasses import asdict
from pathlib import Path

from rich.console import Console

from benchmarks import heartbeats, requests
from benchmarks.processes import system
from benchmarks.report import Line, print_lines


async def measure(seconds: float, console: Console) -> list[Line]:
    """Run all benchmarks on one Spotkeeper."""
    lines: list[Line] = []
    async with system() as running:
        console.log("Spotkeeper runs; measuring request and reply")
        lines += await requests.latency(running, seconds=seconds)
        console.log("measuring registrations")
        lines += await requests.registrations(running)
        console.log("measuring heartbeats against the baselines")
        lines += await heartbeats.compare(running, seconds=seconds)
    return lines


def main() -> None:
    """Measure and print a table, or JSON with --json."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks", description=__doc__)
    parser.add_argument("--seconds", type=float, default=8.0, help="length of each measurement")
    parser.add_argument("--json", type=Path, help="also write the figures to this file")
    chosen = parser.parse_args()
    console = Console(stderr=True)
    lines = asyncio.run(measure(chosen.seconds, console))
    print_lines(lines)
    if chosen.json:
        chosen.json.write_text(json.dumps([asdict(line) for line in lines], indent=2) + "\n")


if __name__ == "__main__":
    main()
