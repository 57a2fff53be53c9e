"""Made-up recordings as files, and a back-test of them by the command line."""

import csv
import gzip
import json
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import numpy as np
from typer.testing import CliRunner, Result

from spotkeeper.main import app

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
"""Prices and traces begin here; back-tests start two days later."""
START = BEGIN + timedelta(days=2)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
ONDEMAND = {"m5.large": 0.096, "p3.2xlarge": 3.06}
ADVISOR = {
    "spot_advisor": {
        "us-east-1": {"Linux": {"m5.large": {"r": 1, "s": 60}, "p3.2xlarge": {"r": 4, "s": 70}}}
    }
}
Row = dict[str, str]


def price_row(instance_type: str, zone: str, price: float, at: datetime, **other: str) -> Row:
    """One row of what `aws ec2 describe-spot-price-history` prints."""
    row = {
        "AvailabilityZone": zone,
        "InstanceType": instance_type,
        "ProductDescription": "Linux/UNIX",
        "SpotPrice": f"{price:.6f}",
        "Timestamp": at.isoformat(),
    }
    return row | other


def wandering_prices(
    instance_type: str, zones: tuple[str, ...] = ZONES, days: int = 8
) -> list[Row]:
    """Prices that wander far enough for moves to pay."""
    rows = []
    for number, zone in enumerate(zones):
        random = np.random.default_rng([number, len(instance_type)])
        share, at = 0.35, BEGIN
        while at < BEGIN + timedelta(days=days):
            rows.append(price_row(instance_type, zone, share * ONDEMAND[instance_type], at))
            share = float(np.clip(share + random.normal(scale=0.03), 0.15, 0.9))
            at += timedelta(minutes=int(random.integers(100, 400)))
    return rows


def trace_rows(instance_type: str, zones: tuple[str, ...] = ZONES, days: int = 8) -> list[Row]:
    """Pools that come and go, some days more than others; changes lie on and off the ticks."""
    rows = []
    for number, zone in enumerate(zones):
        random = np.random.default_rng([number, 7])
        up, at = number != 2, BEGIN
        while at < BEGIN + timedelta(days=days):
            pool_id = f"{instance_type}.{zone}"
            rows.append({"ts": at.isoformat(), "pool_id": pool_id, "available": str(int(up))})
            hours = random.exponential((14.0, 5.0, 2.0)[number]) if up else random.exponential(1.0)
            at += timedelta(minutes=5 * max(1, round(hours * 12)))
            up = not up
    return rows


@dataclass
class Market:
    """A folder of recordings, to be changed before they are written."""

    folder: Path
    prices: list[Row] = field(default_factory=lambda: wandering_prices("m5.large"))
    trace: list[Row] | None = None
    ondemand: dict[str, float] = field(default_factory=lambda: dict(ONDEMAND))
    advisor: Any = field(default_factory=lambda: ADVISOR)
    start: str = START.isoformat()
    end: str = (START + timedelta(days=5)).isoformat()
    options: dict[str, str] = field(default_factory=dict)
    flags: list[str] = field(default_factory=list)

    def write(self) -> None:
        """All files, anew."""
        prices = self.folder / "prices"
        prices.mkdir(exist_ok=True)
        for instance_type in sorted({row["InstanceType"] for row in self.prices}):
            rows = [row for row in self.prices if row["InstanceType"] == instance_type]
            content = json.dumps({"SpotPriceHistory": rows}).encode()
            (prices / f"{instance_type}.json.gz").write_bytes(gzip.compress(content))
        lines = [f"{name},{price}" for name, price in self.ondemand.items()]
        text = "\n".join(["instance_type,usd_per_hour", *lines, ""])
        (self.folder / "ondemand.csv").write_text(text)
        content = json.dumps(self.advisor).encode()
        (self.folder / "advisor.json.gz").write_bytes(gzip.compress(content))
        if self.trace is not None:
            with (self.folder / "trace.csv").open("w", newline="") as file:
                writer = csv.DictWriter(file, ["ts", "pool_id", "available"])
                writer.writeheader()
                writer.writerows(self.trace)

    def run(self, out: str = "out", **options: str) -> "Outcome":
        """Write the files and run the back-test."""
        self.write()
        return self.run_as_is(out, **options)

    def run_as_is(self, out: str = "out", **options: str) -> "Outcome":
        """Run the back-test on the files as they lie there."""
        given = {
            "prices": self.folder / "prices",
            "ondemand": self.folder / "ondemand.csv",
            "advisor": self.folder / "advisor.json.gz",
            "start": self.start,
            "end": self.end,
            "out": self.folder / out,
        }
        if self.trace is not None:
            given |= {"trace": self.folder / "trace.csv", "tick-minutes": "10"}
            given["start-mode"] = "ondemand"
        given |= self.options | {name.replace("_", "-"): value for name, value in options.items()}
        words = [word for name, value in given.items() for word in (f"--{name}", str(value))]
        return Outcome(
            self, CliRunner().invoke(app, ["backtest", *words, *self.flags]), self.folder / out
        )


@dataclass
class Outcome:
    """What a back-test printed and wrote."""

    market: Market
    result: Result
    folder: Path

    @property
    def report(self) -> dict[str, Any]:
        assert self.result.exit_code == 0, self.result.output
        found: dict[str, Any] = json.loads((self.folder / "report.json").read_text())
        return found

    @property
    def moves(self) -> list[Row]:
        return self._rows("moves.csv")

    @property
    def predictions(self) -> list[Row]:
        return self._rows("predictions.csv")

    @property
    def files(self) -> dict[str, bytes]:
        """Everything that was written, to the byte."""
        assert self.result.exit_code == 0, self.result.output
        return {path.name: path.read_bytes() for path in sorted(self.folder.iterdir())}

    def _rows(self, name: str) -> list[Row]:
        assert self.result.exit_code == 0, self.result.output
        with (self.folder / name).open(newline="") as file:
            return list(csv.DictReader(file))
