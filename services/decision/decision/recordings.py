"""Recorded markets, as files: prices, on-demand prices, the advisor's feed, availability traces.

Rows may come in any order and more than once; only two states of one pool at one moment are told
apart by their order. Times without a zone are UTC. What cannot be read
raises `RecordingError`, whose text is one sentence with the file in it.
"""

import csv
import gzip
import json
import zlib
from collections import defaultdict
from collections.abc import Callable, Container, Iterable, Iterator, Mapping
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np
import numpy.typing as npt

from decision.features import Floats, PoolRecord
from decision.prior import Advisor, advisor_of
from spotkeeper_contracts.values import pool_name

LINUX = "Linux/UNIX"
HOUR_SECONDS = 3600.0
FURTHEST_SECONDS = 1e11
"""Seconds since the epoch end here, in the year 5138: what lies beyond is no moment."""
REPORT = "report.json"
"""What a back-test writes, perhaps beside the prices that it read."""
ONDEMAND_COLUMNS = ("usd_per_hour", "usd_per_hour_estimate")


class RecordingError(Exception):
    """A file that cannot be used, and why, in one sentence."""


@dataclass(frozen=True)
class PriceSeries:
    """The prices of one spot pool: `prices[i]` began at `changed_at[i]`, hours since the epoch."""

    instance_type: str
    az: str
    changed_at: Floats
    prices: Floats

    @property
    def pool_id(self) -> str:
        """The pool's own name."""
        return pool_name(self.instance_type, self.az)


@dataclass(frozen=True)
class Trace:
    """Whether a pool gave instances: `up[i]` began at `changed_at[i]`, hours since the epoch.

    Neighbours differ. Before the first entry nothing is known, and after `told_until` no more.
    """

    pool_id: str
    changed_at: Floats
    up: npt.NDArray[np.bool_]
    told_until: float

    def is_up(self, at: float) -> bool:
        """Whether it gives instances at a moment."""
        last = int(np.searchsorted(self.changed_at, at, side="right"))
        return last > 0 and bool(self.up[last - 1])

    def record(self, since: float = 0.0) -> PoolRecord:
        """What a fleet that always had an instance here would have seen, in hours after `since`.

        The first entry tells of a state, and is no interruption.
        """
        moments = self.changed_at - since
        return PoolRecord(moments[1:][~self.up[1:]], moments[self.up], moments[1:][~self.up[1:]])


def hours_of(text: str, *, from_seconds: float = -FURTHEST_SECONDS) -> float:
    """ISO 8601, or seconds since the epoch, as hours since the epoch; raises `ValueError`.

    A number has to be larger than `from_seconds`.
    """
    text = _dashed(text.strip())
    try:
        seconds = float(text)
    except ValueError:
        moment = datetime.fromisoformat(text)
    else:
        if not from_seconds < seconds < FURTHEST_SECONDS:
            raise ValueError(f"{text:.40} is out of range for seconds since 1970")
        return seconds / HOUR_SECONDS
    moment = moment if moment.tzinfo else moment.replace(tzinfo=UTC)
    return moment.timestamp() / HOUR_SECONDS


def _dashed(text: str) -> str:
    """A date in ISO 8601's short form in its long one: as seconds it would lie in 1970."""
    is_short = len(text) == len("YYYYMMDD") and text.isdigit()
    return f"{text[:4]}-{text[4:6]}-{text[6:]}" if is_short else text


def read_prices(
    folder: Path,
    *,
    on_other: Callable[[Path], None],
    on_file: Callable[[int, int], None] = lambda done, of: None,
) -> list[PriceSeries]:
    """The Linux prices of every pool in a folder, by pool.

    The files are what `aws ec2 describe-spot-price-history` prints. Of two prices of a pool at one
    moment the higher one counts. A plain *.json that is something else is passed over: `on_other`
    hears of it, unless it is what a back-test left there. `on_file` hears of progress.
    """
    if not folder.is_dir():
        raise RecordingError(f"There is no folder {folder}.")
    changes: dict[tuple[str, str], dict[float, float]] = defaultdict(dict)
    paths, others = sorted([*folder.glob("*.json.gz"), *folder.glob("*.json")]), []
    for done, path in enumerate(paths, 1):
        rows = _history(path)
        if rows is None:
            others.append(path)
        for instance_type, az, at, price in _price_rows(rows or (), path):
            told = changes[instance_type, az]
            told[at] = max(price, told.get(at, price))
        on_file(done, len(paths))
    if len(others) == len(paths):
        raise RecordingError(f"{folder} holds no *.json.gz with spot prices.")
    if not changes:
        raise RecordingError(f"{folder} holds no spot prices of Linux/UNIX.")
    for path in others:
        if path.name != REPORT:
            on_other(path)
    return [_price_series(*pool, changes[pool]) for pool in sorted(changes)]


def _price_series(instance_type: str, az: str, changes: Mapping[float, float]) -> PriceSeries:
    moments = sorted(changes)
    prices = [changes[moment] for moment in moments]
    return PriceSeries(instance_type, az, np.array(moments), np.array(prices))


def _history(path: Path) -> list[Any] | None:
    """The rows of a price history; None if it is other JSON, not packed as histories are."""
    content = _json(path)
    rows = content.get("SpotPriceHistory") if isinstance(content, dict) else None
    if isinstance(rows, list):
        return rows
    if path.suffix == ".gz":
        raise RecordingError(f"{path} has no list SpotPriceHistory.")
    return None


def _price_rows(rows: Iterable[Any], path: Path) -> Iterator[tuple[str, str, float, float]]:
    for number, row in enumerate(rows, 1):
        if not isinstance(row, dict):
            raise RecordingError(f"Row {number} of {path} is no spot price.")
        if row.get("ProductDescription", LINUX) != LINUX:
            continue
        if not row.get("AvailabilityZone"):
            continue  # It names no pool.
        try:
            price, at = _positive(str(row["SpotPrice"])), hours_of(str(row["Timestamp"]))
            pool = _text(row["InstanceType"]), _text(row["AvailabilityZone"])
        except KeyError as error:
            raise RecordingError(f"Row {number} of {path} has no {error.args[0]}.") from error
        except ValueError as error:
            raise RecordingError(f"Row {number} of {path} is no spot price: {error}.") from error
        yield *pool, at, price


def read_ondemand(path: Path, region: str, types: Container[str]) -> dict[str, float]:
    """USD per hour of these instance types, for a region if the file tells of several."""
    found, lines = {}, 0
    for number, row in _csv_rows(path, ["instance_type"]):
        lines += 1
        instance_type = row["instance_type"].strip()
        if instance_type not in types or (row.get("region") or "").strip() not in ("", region):
            continue
        column = next((name for name in ONDEMAND_COLUMNS if row.get(name)), None)
        if column is None:
            raise RecordingError(f"Line {number} of {path} has no {ONDEMAND_COLUMNS[0]}.")
        found[instance_type] = _number(row[column], path, number)
    if not lines:
        raise RecordingError(f"{path} has no on-demand price.")
    return found


def read_advisor(path: Path, types: Container[str] | None = None) -> Advisor:
    """The spot advisor's feed as AWS publishes it; of these instance types, if they are given."""
    try:
        return advisor_of(_json(path), types=types)
    except ValueError as error:
        raise RecordingError(f"{path} is no feed of the spot advisor: {error}.") from error


def read_trace(
    path: Path, is_asked_for: Callable[[str], bool] = lambda pool_id: True
) -> list[Trace]:
    """Every pool's availability, from a CSV of changes: ts, pool_id, available (0 or 1).

    Of two states of a pool at one moment the later row's counts: only their order tells them apart.
    Only of a pool that is asked for a row must be usable.
    """
    changes: dict[str, dict[float, bool]] = defaultdict(dict)
    for number, row in _csv_rows(path, ["ts", "pool_id", "available"]):
        pool_id = row["pool_id"].strip()
        try:
            at, available = hours_of(row["ts"]), _STATES[row["available"].strip().lower()]
        except (KeyError, ValueError) as error:
            if is_asked_for(pool_id):
                raise RecordingError(f"Line {number} of {path}: {_complaint(error)}.") from error
        else:
            changes[pool_id][at] = available
    if not changes:
        raise RecordingError(f"{path} has no events.")
    return [trace_of(pool_id, changes[pool_id]) for pool_id in sorted(changes)]


def _complaint(error: KeyError | ValueError) -> str:
    is_state = isinstance(error, KeyError)
    return f"available is {error}, neither 0 nor 1" if is_state else str(error)


_STATES = {"1": True, "0": False, "1.0": True, "0.0": False, "true": True, "false": False}


def trace_of(pool_id: str, states: Mapping[float, bool]) -> Trace:
    """A trace from states by hour, of which some may repeat the one before."""
    moments = np.array(sorted(states))
    up = np.array([states[moment] for moment in moments.tolist()], bool)
    changed = np.concatenate([[True], up[1:] != up[:-1]])
    return Trace(pool_id, moments[changed], up[changed], float(moments[-1]))


def _csv_rows(path: Path, columns: Iterable[str]) -> Iterator[tuple[int, dict[str, str]]]:
    try:
        text = _content(path).decode("utf-8-sig")
    except UnicodeDecodeError as error:
        raise RecordingError(f"{path} is no text.") from error
    reader = csv.DictReader(text.splitlines())
    try:
        reader.fieldnames = [name.strip().lower() for name in reader.fieldnames or ()]
        for column in columns:
            if column not in reader.fieldnames:
                raise RecordingError(f"{path} has no column {column}.")
        for row in reader:
            if any(row.get(column) is None for column in columns):
                raise RecordingError(f"Line {reader.line_num} of {path} is cut short.")
            yield reader.line_num, row
    except csv.Error as error:
        raise RecordingError(f"{path} is no CSV: {error}.") from error


def _json(path: Path) -> Any:
    try:
        return json.loads(_content(path))
    except (ValueError, RecursionError) as error:  # The latter where it is nested too deeply.
        raise RecordingError(f"{path} is no JSON.") from error


def _content(path: Path) -> bytes:
    """A file's bytes, unpacked if they are packed."""
    try:
        content = path.read_bytes()
        return gzip.decompress(content) if content[:2] == b"\x1f\x8b" else content
    except (OSError, EOFError, zlib.error) as error:
        raise RecordingError(f"{path} cannot be read: {error}.") from error


def _number(text: str, path: Path, line: int) -> float:
    try:
        return _positive(text)
    except ValueError as error:
        raise RecordingError(f"Line {line} of {path}: {error}.") from error


def _text(value: object) -> str:
    if not isinstance(value, str):
        raise ValueError(f"{value} is no text")
    return value


def _positive(text: str) -> float:
    try:
        number = float(text)
    except ValueError:
        number = 0.0
    if not 0.0 < number < float("inf"):
        raise ValueError(f"{text:.40} is no price")
    return number
