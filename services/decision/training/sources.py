"""The public recordings that the shipped model was fitted to, as their authors lay them out.

No row of them is part of this project: none of the repositories states a licence.
"""

import json
import re
from collections.abc import Iterator
from dataclasses import dataclass
from datetime import UTC, datetime
from pathlib import Path

from decision.places import region_of
from decision.recordings import RecordingError, hours_of, trace_of
from training.samples import Place, Recording

INSTANCE_TYPES = {
    "v100_1": "p3.2xlarge",
    "v100_8": "p3.16xlarge",
    "k80_1": "p2.xlarge",
    "k80_8": "p2.8xlarge",
    "intel_64": "r5.16xlarge",
}
ORIGIN = "github.com/skypilot-org/spot-traces, commit 221da1ab9bdfe7966da296265d7694d52dc0c5a6"
LICENCE = "none stated; cite Wu et al., Can't Be Late, NSDI 2024; no row of it is redistributed"
_FILE = re.compile(r"(?P<az>.+)_(?P<kind>\w+_\d+)")


@dataclass(frozen=True)
class Source:
    """One folder of traces; the hour of the first tick is not recorded, so it counts as 00:00."""

    name: str
    folder: str
    begins: str
    train_ticks: int | None
    """How many ticks belong to the training split: None is all of them."""


SOURCES = (
    Source("V100, 7 zones, 2023-02", "availability/1-node/aws-02-15-2023", "2023-02-15", 6720),
    Source("V100 and K80, 2022-10", "availability/1-node/aws-10-26-2022", "2022-10-26", None),
    Source("V100, 16 nodes, 2023-08", "availability/16-node/aws-08-27-2023", "2023-08-27", 0),
    Source("r5.16xlarge, 2023-04", "preemption/1-node/aws-04-19-2023", "2023-04-19", 0),
)


def recordings(data: Path, *, train_only: bool) -> Iterator[Recording]:
    """Every source's recording; of the training split only those ticks that belong to it."""
    for source in SOURCES:
        ticks = source.train_ticks if train_only else None
        if ticks != 0:
            yield read(data, source, ticks=ticks)


def read(data: Path, source: Source, *, ticks: int | None = None) -> Recording:
    """One source, up to so many ticks; raises `RecordingError`."""
    paths = sorted((data / "availability-skypilot" / source.folder).glob("*.json"))
    if not paths:
        raise RecordingError(f"{data} holds no availability-skypilot/{source.folder}.")
    traces, places, ends = [], [], 0.0
    begins = hours_of(source.begins)
    for path in paths:
        name = _FILE.fullmatch(path.stem)
        if name is None or name["kind"] not in INSTANCE_TYPES:
            raise RecordingError(f"{path} names no pool that is known.")
        instance_type = INSTANCE_TYPES[name["kind"]]
        content = json.loads(path.read_text(encoding="utf-8"))
        step = content["metadata"]["gap_seconds"] / 3600
        states = [count > 0 for count in content["data"][:ticks]]
        by_hour = {begins + i * step: up for i, up in enumerate(states)}
        traces.append(trace_of(f"{instance_type}.{name['az']}", by_hour))
        places.append(Place(instance_type, region_of(name["az"])))
        ends = max(ends, begins + len(states) * step)
    return Recording(source.name, traces, places, ends)


def day_of(hours: float) -> str:
    """The day of a moment, for people."""
    return datetime.fromtimestamp(hours * 3600, UTC).date().isoformat()
