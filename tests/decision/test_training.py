"""Training: the same data give the same bytes, and the graph answers what was fitted."""

import hashlib
import json
from datetime import UTC, datetime, timedelta
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import approx_fprime

from decision.choices import HORIZON_HOURS
from decision.features import NAMES, PoolRecord
from decision.model import ModelCard, checked, load
from decision.prior import Advisor
from decision.recordings import trace_of
from training.__main__ import main
from training.fit import L2, Fit, _loss, fitted, predicted
from training.graph import onnx_of
from training.samples import Place, Recording, Samples, samples_of
from training.skill import brier_skill_percent, calibration_error

BEGIN = datetime(2024, 3, 1, tzinfo=UTC)
ZONES = ("us-east-1a", "us-east-1b", "us-east-1c")
WEIGHTS = np.array([0.2, -0.15, -0.13, -0.02, 0.45, 0.2, 0.44, 0.18, 0.11])


def states(seed: int, days: int = 12) -> dict[float, bool]:
    """Half-hours up and down, that cluster as real ones do."""
    random = np.random.default_rng(seed)
    up, found = True, {}
    for half_hour in range(days * 48):
        bad_day = (half_hour // 48 + seed) % 3 == 0
        up = bool(random.random() > (0.25 if bad_day else 0.02)) if up else random.random() < 0.4
        found[half_hour / 2] = up
    return found


def recording() -> Recording:
    traces = [trace_of(f"m5.large.{zone}", states(i)) for i, zone in enumerate(ZONES)]
    return Recording("made up", traces, [Place("m5.large", "us-east-1")] * 3, 12 * 24.0)


def samples() -> Samples:
    return samples_of(recording(), Advisor())


def write_trace(path: Path, name: str = "m5.large.{zone}") -> Path:
    lines = ["ts,pool_id,available"]
    for i, zone in enumerate(ZONES):
        for hour, up in states(i).items():
            moment = BEGIN + timedelta(hours=hour)
            lines.append(f"{moment.isoformat()},{name.format(zone=zone)},{int(up)}")
    path.write_text("\n".join(lines) + "\n")
    return path


def write_prices(folder: Path) -> Path:
    folder.mkdir()
    rows = [
        {
            "AvailabilityZone": zone,
            "InstanceType": "m5.large",
            "ProductDescription": "Linux/UNIX",
            "SpotPrice": "0.035100",
            "Timestamp": "2024-02-29T00:00:00+00:00",
        }
        for zone in ZONES
    ]
    (folder / "prices.json").write_text(json.dumps({"SpotPriceHistory": rows}))
    return folder


def test_the_graph_answers_what_the_training_code_computes() -> None:
    fit = Fit(1.8, WEIGHTS)
    rows = np.random.default_rng(3).normal(scale=3.0, size=(2_000, len(NAMES))).astype(np.float32)
    model_file = onnx_of(fit)
    digest = hashlib.sha256(model_file).hexdigest()
    card = load().card.model_copy(update={"sha256": digest})
    answers = np.array(checked(model_file, card).risks(rows))
    assert answers == pytest.approx(predicted(fit, rows), rel=1e-6)


def test_the_shipped_graph_is_the_one_its_card_has_the_numbers_of() -> None:
    model = load()
    k, *weights = model.card.fitted.values()
    rows = np.random.default_rng(4).normal(size=(200, len(NAMES))).astype(np.float32)
    expected = predicted(Fit(k, np.array(weights)), rows)
    assert np.array(model.risks(rows)) == pytest.approx(expected, rel=1e-6)


def test_the_expected_hours_are_the_survival_summed_up() -> None:
    rows = np.zeros((1, len(NAMES)), np.float32)
    rows[0, 0] = np.log(0.05)
    fit = Fit(1.8, WEIGHTS)
    moments = np.linspace(0.0, HORIZON_HOURS, 200_001)
    survival = (1.0 + 0.05 * moments / fit.k) ** -fit.k
    assert predicted(fit, rows)[0, 4] == pytest.approx(np.trapezoid(survival, moments), rel=1e-6)


def test_the_same_samples_give_the_same_bytes() -> None:
    assert onnx_of(fitted(samples())) == onnx_of(fitted(samples()))


def test_a_fit_keeps_its_signs_and_is_better_than_none() -> None:
    fit = fitted(samples())
    named = fit.named()
    assert all(named[name] <= 0 for name in ("u", "since"))
    assert all(named[name] >= 0 for name in ("r1", "r6", "r24", "sib6", "sib24"))
    known = samples().known[:, 0]
    hit = samples().interrupted[known, 0]
    none = predicted(Fit(2.0, np.zeros(9)), samples().rows[known])[:, 1]
    assert brier_skill_percent(predicted(fit, samples().rows[known])[:, 1], hit) > (
        brier_skill_percent(none, hit)
    )


def test_the_gradient_of_the_fit_is_that_of_its_loss() -> None:
    data = samples()
    rows = data.rows.astype(np.float64)
    numbers = np.concatenate([[0.6], WEIGHTS])
    numeric = approx_fprime(numbers, lambda at: _loss(at, rows, data)[0], 1e-7)
    assert _loss(numbers, rows, data)[1] == pytest.approx(numeric, abs=1e-5)
    assert L2 > 0


def test_a_sample_knows_nothing_of_what_comes_after_it() -> None:
    whole = recording()
    cut_at = 100.0
    traces = []
    for trace in whole.traces:
        kept = trace.changed_at <= cut_at
        traces.append(type(trace)(trace.pool_id, trace.changed_at[kept], trace.up[kept], cut_at))
    cut = samples_of(Recording("cut", traces, whole.places, cut_at + 0.1), Advisor())
    full = samples()
    early = full.at <= cut_at
    assert full.rows[early].shape == cut.rows.shape
    order, other = (np.lexsort((s[:, 5], s[:, 0])) for s in (full.rows[early], cut.rows))
    assert full.rows[early][order] == pytest.approx(cut.rows[other], rel=1e-6)


def test_an_outcome_is_known_only_as_long_as_the_recording_goes_on() -> None:
    trace = trace_of("m5.large.us-east-1a", {0.0: True, 30.0: False})
    one = samples_of(Recording("one", [trace], [Place("m5.large", "us-east-1")], 31.0), Advisor())
    assert one.at.max() == 29.5
    last, first = one.at.tolist().index(29.5), one.at.tolist().index(0.0)
    assert one.known[last].tolist() == [True, False, False]
    assert one.interrupted[last].tolist() == [True, True, True]
    assert one.interrupted[first].tolist() == [False, False, False]
    assert one.known[first].tolist() == [True, True, True]


def test_skill_is_100_if_perfect_and_0_if_no_better_than_the_base_rate() -> None:
    hit = np.array([True, False, False, False])
    assert brier_skill_percent(hit.astype(float), hit) == 100.0
    assert brier_skill_percent(np.full(4, 0.25), hit) == 0.0
    assert brier_skill_percent(np.full(4, 0.9), hit) < 0.0


def test_a_calibration_error_is_what_was_said_less_what_happened() -> None:
    hit = np.array([True, False, False, False])
    assert calibration_error(np.full(4, 0.25), hit) == 0.0
    assert calibration_error(np.full(4, 0.75), hit) == 0.5


def test_a_trace_of_ones_own_makes_a_model_and_twice_the_same(tmp_path: Path) -> None:
    trace = write_trace(tmp_path / "trace.csv")
    for name in ("one", "two"):
        assert main(["--trace", str(trace), "--out", str(tmp_path / name)]) == 0
    first, second = tmp_path / "one", tmp_path / "two"
    for name in ("risk.onnx", "risk.card.json"):
        assert (first / name).read_bytes() == (second / name).read_bytes()
    card = load(first / "risk.onnx").card
    assert [(d.name, d.begins, d.ends, d.pools) for d in card.data] == [
        ("trace.csv", "2024-03-01", "2024-03-12", 3)
    ]
    assert card.skill


def test_a_row_that_repeats_the_last_state_tells_how_long_the_recording_went_on(
    tmp_path: Path,
) -> None:
    pool, told = f"m5.large.{ZONES[0]}", []
    changes = [f"2024-03-01T{hour:02}:00,{pool},{1 - hour % 2}" for hour in range(11)]
    for name, closing in (("open", []), ("closed", [f"2024-03-31,{pool},1"])):
        trace = tmp_path / f"{name}.csv"
        trace.write_text("\n".join(["ts,pool_id,available", *changes, *closing]))
        assert main(["--trace", str(trace), "--out", str(tmp_path / name)]) == 0
        (data,) = load(tmp_path / name / "risk.onnx").card.data
        told.append((data.ends, data.samples))
    assert told == [("2024-03-01", 10), ("2024-03-31", 10 + (30 * 24 - 10) * 2)]


def test_prices_of_ones_own_name_the_pools_of_a_trace_that_tells_of_zones_alone(
    tmp_path: Path,
) -> None:
    trace = write_trace(tmp_path / "trace.csv", name="{zone}")
    prices = write_prices(tmp_path / "prices")
    options = ["--trace", str(trace), "--out", str(tmp_path)]
    assert main(options) == 2
    assert main([*options, "--prices", str(prices)]) == 0
    named = write_trace(tmp_path / "named.csv")
    assert main(["--trace", str(named), "--out", str(tmp_path / "named")]) == 0
    model = (tmp_path / "risk.onnx").read_bytes()
    assert model == (tmp_path / "named" / "risk.onnx").read_bytes()


def test_json_beside_the_prices_that_is_no_price_is_passed_over(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = write_trace(tmp_path / "trace.csv", name="{zone}")
    prices = write_prices(tmp_path / "prices")
    (prices / "notes.json").write_text("{}")
    assert main(["--trace", str(trace), "--prices", str(prices), "--out", str(tmp_path)]) == 0
    assert "notes.json has no list SpotPriceHistory and is passed over" in capsys.readouterr().err


@pytest.mark.parametrize(
    ("text", "complaint"),
    [
        (None, "cannot be read"),
        ("", "has no column ts"),
        ("ts,pool_id,available\n", "has no events"),
        ("ts,pool_id,available\nsoon,m5.large.us-east-1a,1\n", "Line 2"),
        ("ts,pool_id,available\n2024-03-01,somewhere,1\n", "names no instance type and zone"),
        ("ts,pool_id,available\n2024-03-01,m5.large.us-east-1a,1\n", "shows no interruption"),
        (
            "ts,pool_id,available\n-90000000000,m5.large.us-east-1a,1\n"
            "2024-03-01,m5.large.us-east-1a,0\n99000000000,m5.large.us-east-1a,1\n",
            "spans more than 20 years",
        ),
    ],
)
def test_data_that_cannot_be_used_are_told_in_one_sentence(
    tmp_path: Path, text: str | None, complaint: str, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = tmp_path / "trace.csv"
    if text is not None:
        trace.write_text(text)
    assert main(["--trace", str(trace), "--out", str(tmp_path / "out")]) == 2
    told = capsys.readouterr().err
    assert complaint in told
    assert told.count("\n") == 1
    assert not (tmp_path / "out").exists()


def test_a_folder_without_the_public_recordings_is_told(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    assert main([str(tmp_path), "--out", str(tmp_path / "out")]) == 2
    assert "holds no availability-skypilot" in capsys.readouterr().err


def test_the_card_is_written_beside_the_model(tmp_path: Path) -> None:
    assert main(["--trace", str(write_trace(tmp_path / "t.csv")), "--out", str(tmp_path)]) == 0
    card = ModelCard.model_validate_json((tmp_path / "risk.card.json").read_bytes())
    assert card.sha256 == hashlib.sha256((tmp_path / "risk.onnx").read_bytes()).hexdigest()


def test_a_pool_that_the_fleet_left_is_no_sample() -> None:
    never = PoolRecord(np.zeros(0), np.zeros(0), np.zeros(0))
    assert never.counted(np.array([5.0]))[1].tolist() == [[0, 0, 0, 0]]


def test_a_split_of_a_trace_of_ones_own_is_refused(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    trace = write_trace(tmp_path / "trace.csv")
    with pytest.raises(SystemExit):
        main(["--trace", str(trace), "--split", "train", "--out", str(tmp_path / "out")])
    assert "--split is for the public recordings" in capsys.readouterr().err
