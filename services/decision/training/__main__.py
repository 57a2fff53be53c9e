"""`python -m training DATA --out FOLDER` writes `risk.onnx` and its card.

DATA is a folder with the public recordings that docs/decision-engine.md names; or give recordings
of your own: `--trace CSV` (ts,pool_id,available) and, if its pools are not named `type.az`,
`--prices FOLDER` with what `aws ec2 describe-spot-price-history` printed of them.
"""

import argparse
import hashlib
import sys
from collections.abc import Sequence
from pathlib import Path

from decision.features import NAMES
from decision.model import DataSource, ModelCard, Skill, card_path, checked
from decision.places import named_pool, region_of
from decision.prior import Advisor
from decision.recordings import RecordingError, hours_of, read_advisor, read_prices, read_trace
from training import sources
from training.fit import Fit, fitted
from training.graph import onnx_of
from training.samples import Place, Recording, Samples, before, joined, samples_of
from training.skill import skills

METHOD = (
    "Maximum likelihood of P(h) = 1 - (1 + L h / k)^(-k), ln L = x0 + b . x1..9, over 1, 4 and "
    "24 hours; L-BFGS, L2 1e-3, signs of b bounded; uptime known in every other sample. Risk does "
    "not depend on the price: no public data shows that it does."
)
NO_SKILL = [
    "Pools in which the fleet has no instances and had none: the risk is the prior, an ordering.",
    "Ordinary, calm instance types: no public trace of interruptions exists for them.",
    "Hours of the day, prices and their trends, zones as such, and an instance's own uptime alone.",
    "Traces are mostly launch probes: a drop is capacity that went, not a notice to an instance.",
]
TEST_SHARE = 0.3
LONGEST_HOURS = 20 * 365 * 24.0
"""Spot instances are hardly older: a longer trace has a moment that is wrong."""


def main(words: Sequence[str]) -> int:
    """Train, write, and say what was written; 2 and one sentence if the data cannot be used."""
    options = _options(words)
    try:
        advisor = read_advisor(options.advisor) if options.advisor else Advisor()
        if options.data:
            card, content = from_public(options.data, advisor, train_only=options.split == "train")
        else:
            card, content = from_own(options.trace, options.prices, advisor)
        prior = options.advisor.name if options.advisor else "classes of types, no advisor's feed"
        path = write(options.out, card.model_copy(update={"prior": prior}), content)
    except RecordingError as error:
        sys.stderr.write(f"training: {error}\n")
        return 2
    except OSError as error:
        sys.stderr.write(f"training: {options.out} cannot be written: {error.strerror}.\n")
        return 2
    _print(card, path)
    return 0


def from_public(data: Path, advisor: Advisor, *, train_only: bool) -> tuple[ModelCard, bytes]:
    """The model of the public recordings, tested on what its training split leaves out."""
    parts = [(r, samples_of(r, advisor)) for r in sources.recordings(data, train_only=train_only)]
    train = [samples_of(r, advisor) for r in sources.recordings(data, train_only=True)]
    tests = _unseen(data, advisor)
    lines = [line for name, test in tests for line in skills(name, fitted(joined(train)), test)]
    described = [_described(r, s, sources.ORIGIN, sources.LICENCE) for r, s in parts]
    return _model(fitted(joined([samples for _, samples in parts])), described, lines)


def from_own(trace: Path, prices: Path | None, advisor: Advisor) -> tuple[ModelCard, bytes]:
    """The model of a trace of one's own, tested on its last part by a fit to the part before."""
    series = read_prices(prices, on_other=_passed_over) if prices else []
    traces = read_trace(trace)
    places = []
    for one in traces:
        pool = named_pool(one.pool_id, [(s.instance_type, s.az) for s in series])
        if pool is None:
            raise RecordingError(
                f"{trace}: the pool {one.pool_id} names no instance type and zone."
            )
        places.append(Place(pool[0], region_of(pool[1])))
    ends = max(one.told_until for one in traces)
    if ends - min(float(one.changed_at[0]) for one in traces) > LONGEST_HOURS:
        raise RecordingError(f"{trace} spans more than 20 years: some moment in it is wrong.")
    recording = Recording(trace.name, traces, places, ends)
    if all(one.up[1:].all() for one in traces):
        raise RecordingError(f"{trace} shows no interruption that could be learned from.")
    samples = samples_of(recording, advisor)
    if not (samples.interrupted & samples.known).any():
        raise RecordingError(f"{trace} ends before anything could be learned from it.")
    split = float(samples.at.max()) * (1.0 - TEST_SHARE)
    seen, unseen = before(samples, split)
    lines = list(skills(f"{trace.name}, last part", fitted(seen), unseen)) if len(seen.at) else []
    described = [_described(recording, samples, trace.name, "your own")]
    return _model(fitted(samples), described, lines)


def _passed_over(path: Path) -> None:
    sys.stderr.write(f"training: {path} has no list SpotPriceHistory and is passed over.\n")


def write(folder: Path, card: ModelCard, content: bytes) -> Path:
    """Put the model and its card into a folder."""
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / "risk.onnx"
    path.write_bytes(content)
    text = card.model_dump_json(indent=2) + "\n"
    card_path(path).write_text(text, encoding="utf-8")
    return path


def _unseen(data: Path, advisor: Advisor) -> list[tuple[str, Samples]]:
    tests = []
    for source in sources.SOURCES:
        if source.train_ticks is None:
            continue
        samples = samples_of(sources.read(data, source), advisor)
        if source.train_ticks:
            split = sources.read(data, source, ticks=source.train_ticks).ends_at
            _, samples = before(samples, split - hours_of(source.begins))
        tests.append((source.name, samples))
    return tests


def _model(fit: Fit, data: list[DataSource], skill: list[Skill]) -> tuple[ModelCard, bytes]:
    content = onnx_of(fit)
    digest = hashlib.sha256(content).hexdigest()
    card = ModelCard(
        name="risk",
        version=f"risk-{digest[:12]}",
        sha256=digest,
        size_bytes=len(content),
        features=NAMES,
        fitted=fit.named(),
        method=METHOD,
        data=data,
        skill=skill,
        no_skill=[*NO_SKILL, *(_without_skill(one) for one in skill if not _is_skilful(one))],
    )
    checked(content, card)
    return card, content


def _is_skilful(skill: Skill) -> bool:
    return skill.brier_skill_percent > 0.0


def _without_skill(skill: Skill) -> str:
    return (
        f"{skill.test}, within {skill.horizon_h} h: worse than the base rate by "
        f"{-skill.brier_skill_percent:.1f} %."
    )


def _described(recording: Recording, samples: Samples, origin: str, licence: str) -> DataSource:
    begins = min(float(trace.changed_at[0]) for trace in recording.traces)
    return DataSource(
        name=recording.name,
        origin=origin,
        licence=licence,
        begins=sources.day_of(begins),
        ends=sources.day_of(recording.ends_at),
        pools=len(recording.traces),
        samples=len(samples.at),
    )


def _print(card: ModelCard, path: Path) -> None:
    write = sys.stdout.write
    write(f"{path}: {card.version}, {card.size_bytes} bytes\n")
    write(
        f"{sum(source.samples for source in card.data)} samples; Brier skill on what is unseen:\n"
    )
    for one in card.skill:
        write(
            f"  {one.test}, within {one.horizon_h} h: {one.brier_skill_percent:+.1f} %, "
            f"trailing rate {one.trailing_rate_skill_percent:+.1f} %\n"
        )
    if not card.skill:
        write("  too few interruptions to say\n")


def _options(words: Sequence[str]) -> argparse.Namespace:
    parser = argparse.ArgumentParser(prog="python -m training", description=__doc__)
    parser.add_argument("data", nargs="?", type=Path, help="the public recordings")
    parser.add_argument("--trace", type=Path, help="a trace of your own")
    parser.add_argument("--prices", type=Path, help="a folder with prices of your own")
    parser.add_argument("--advisor", type=Path, help="the spot advisor's feed, for the prior")
    parser.add_argument("--split", choices=("all", "train"), default="all")
    parser.add_argument("--out", type=Path, required=True)
    options = parser.parse_args(words)
    if (options.data is None) == (options.trace is None):
        parser.error("give a folder of public recordings, or --trace")
    if options.trace and options.split != "all":
        parser.error("--split is for the public recordings")
    return options


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
