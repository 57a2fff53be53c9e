"""`spotkeeper backtest` on made-up recordings: what it writes, and that it is true."""

import json
import random
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest

from tests.cli.recordings import (
    BEGIN,
    START,
    ZONES,
    Market,
    price_row,
    trace_rows,
    wandering_prices,
)
from tests.cli.replay import Replay

DAY, HOUR, TEN_MINUTES = timedelta(days=1), timedelta(hours=1), timedelta(minutes=10)
IN_POOLS = [f"m5.large|m5.large.{zone}" for zone in ZONES]


def test_a_back_test_of_prices_keeps_every_rule_and_reports_what_it_cost(calm: Market) -> None:
    outcome = calm.run()
    replay = Replay(outcome, IN_POOLS, HOUR)
    report = outcome.report
    assert replay.broken == []
    assert set(replay.counted) == {"planned"}
    assert report["cost_rel_ondemand"] == pytest.approx(replay.cost)
    assert report["saving_percent"] == pytest.approx(100 * (1 - replay.cost))
    assert (report["agents"], report["hours"]) == (3, 120)
    assert report["switches_per_agent_week"] == pytest.approx(
        replay.counted["planned"] / 3 * 168 / 120
    )
    assert 1 <= report["max_switches_per_week"] <= 10
    assert report["interruptions_per_agent_day"] == report["ondemand_hours_percent"] == 0
    assert report["hours_price_above_80_percent"] == 0


@pytest.mark.parametrize("fleet", ["all", "own"])
def test_a_back_test_of_interruptions_tells_of_every_one(torn: Market, fleet: str) -> None:
    outcome = torn.run(fleet=fleet)
    replay = Replay(outcome, ["p3.2xlarge|ondemand"], TEN_MINUTES)
    report = outcome.report
    assert replay.broken == []
    assert replay.counted["forced"] > 0
    assert report["cost_rel_ondemand"] == pytest.approx(replay.cost)
    assert report["interruptions_per_agent_day"] == pytest.approx(replay.counted["forced"] / 3)
    assert 0 < report["ondemand_hours_percent"] < 100


def test_agents_in_pools_are_interrupted_as_well(torn: Market) -> None:
    outcome = torn.run(start_mode="pools")
    replay = Replay(outcome, [f"p3.2xlarge|p3.2xlarge.{z}" for z in ZONES], TEN_MINUTES)
    assert replay.broken == []
    assert outcome.report["cost_rel_ondemand"] == pytest.approx(replay.cost)


def test_no_policy_pays_less_than_foresight(calm: Market, torn: Market) -> None:
    for market in (calm, torn):
        report = market.run().report
        assert report["baselines"]["hindsight"] <= report["cost_rel_ondemand"]
        assert report["baselines"]["always on-demand"] >= 1.0


@pytest.mark.parametrize("fleet", ["all", "own"])
def test_the_same_files_give_the_same_bytes(torn: Market, fleet: str) -> None:
    assert torn.run("one", fleet=fleet).files == torn.run("two", fleet=fleet).files


def test_the_order_of_rows_and_their_repetition_mean_nothing(torn: Market) -> None:
    expected = torn.run("one").files
    assert torn.trace is not None
    for rows in (torn.prices, torn.trace):
        rows += rows[::3]
        random.Random(5).shuffle(rows)
    assert torn.run("two").files == expected


@pytest.mark.parametrize("fleet", ["all", "own"])
def test_a_decision_does_not_change_when_later_rows_are_cut(torn: Market, fleet: str) -> None:
    whole = torn.run("whole", fleet=fleet)
    cut_at = START + timedelta(days=1, hours=7, minutes=10)
    known = replace(
        torn,
        prices=[r for r in torn.prices if datetime.fromisoformat(r["Timestamp"]) <= cut_at],
        trace=[r for r in torn.trace or [] if datetime.fromisoformat(r["ts"]) <= cut_at],
    )
    cut = known.run("cut", fleet=fleet)

    def until(rows: list[dict[str, str]]) -> list[dict[str, str]]:
        return [row for row in rows if datetime.fromisoformat(row["ts"]) <= cut_at]

    assert until(cut.moves) == until(whole.moves)
    assert until(cut.predictions) == until(whole.predictions)
    assert len(until(whole.moves)) > 3


def test_risks_are_told_every_half_hour_for_each_pool_that_is_up(torn: Market) -> None:
    outcome = torn.run()
    replay = Replay(outcome, ["p3.2xlarge|ondemand"], TEN_MINUTES)
    told = {(row["ts"], row["pool_id"], row["h"]) for row in outcome.predictions}
    moments = [START + i * timedelta(minutes=30) for i in range(144)]
    assert told == {
        (at.isoformat(), pool_id, hours)
        for at in moments
        for pool_id in replay.states
        if replay.is_up(pool_id, at)
        for hours in ("1", "4", "24")
    }
    assert len(told) == len(outcome.predictions)
    assert {row["what"] for row in outcome.predictions} == {"risk"}
    assert all(0 < float(row["value"]) < 1 for row in outcome.predictions)
    assert max(len(row["value"].lstrip("0.")) for row in outcome.predictions) >= 6


def test_without_a_trace_nothing_is_predicted(calm: Market) -> None:
    assert calm.run().predictions == []


def test_who_sees_little_predicts_otherwise_than_who_sees_all(torn: Market) -> None:
    assert torn.run("all").predictions != torn.run("own", fleet="own").predictions


def test_moves_are_told_in_the_order_of_time(calm: Market) -> None:
    moves = calm.run().moves
    assert list(moves[0]) == ["agent", "ts", "from", "to", "kind"]
    assert [row["ts"] for row in moves] == sorted(row["ts"] for row in moves)


def test_a_start_without_a_zone_is_utc(calm: Market) -> None:
    expected = calm.run("one").files
    assert calm.run("two", start="2024-03-03", end="2024-03-08T00:00:00Z").files == expected
    shifted = calm.run("three", start="2024-03-03T01:00:00+01:00", end="2024-03-08 00:00")
    assert shifted.files == expected


def test_other_products_and_rows_without_a_zone_are_passed_over(calm: Market) -> None:
    expected = calm.run("one").files
    for product in ("Windows", "SUSE Linux", "Red Hat Enterprise Linux"):
        at = START + HOUR
        calm.prices.append(price_row("m5.large", ZONES[0], 9.0, at, ProductDescription=product))
    calm.prices.append(price_row("m5.large", "", 9.0, START))
    assert calm.run("two").files == expected


def test_a_pool_that_appears_after_the_start_takes_no_part(calm: Market) -> None:
    expected = calm.run("one").files
    calm.prices.append(price_row("m5.large", "us-east-1d", 0.01, START + timedelta(minutes=1)))
    assert calm.run("two").files == expected
    calm.prices.append(price_row("m5.large", "us-east-1d", 0.01, START))
    assert calm.run("three").report["agents"] == 4


def test_pools_of_a_trace_without_prices_take_no_part(torn: Market) -> None:
    expected = torn.run("one").files
    assert torn.trace is not None
    torn.trace += trace_rows("g5.xlarge")
    assert torn.run("two").files == expected


def test_pools_that_the_trace_leaves_out_take_no_part(torn: Market) -> None:
    assert torn.trace is not None
    torn.prices += wandering_prices("m5.large")
    torn.trace[:] = [row for row in torn.trace if not row["pool_id"].endswith("1c")]
    moves = torn.run().moves
    assert {row["agent"] for row in moves} == {"p3.2xlarge|ondemand"}
    assert not any(row["to"].endswith("us-east-1c") for row in moves)


def test_the_first_entry_of_a_pool_is_its_state_and_no_interruption(torn: Market) -> None:
    torn.trace = [
        {"ts": START.isoformat(), "pool_id": f"p3.2xlarge.{ZONES[0]}", "available": "1"},
        {"ts": BEGIN.isoformat(), "pool_id": f"p3.2xlarge.{ZONES[1]}", "available": "0"},
    ]
    outcome = torn.run(start_mode="pools")
    forced = [row for row in outcome.moves if row["kind"] == "forced"]
    assert [row["from"] for row in forced] == [f"p3.2xlarge.{ZONES[1]}"]


def test_an_outage_elsewhere_drives_nobody_to_and_fro_between_equal_pools(torn: Market) -> None:
    torn.prices = [price_row("p3.2xlarge", zone, 0.918, BEGIN) for zone in ZONES]
    changes = [(BEGIN, zone, "1") for zone in ZONES]
    changes += [(START - HOUR, ZONES[2], "0"), (START, ZONES[2], "1")]
    torn.trace = [
        {"ts": at.isoformat(), "pool_id": f"p3.2xlarge.{zone}", "available": up}
        for at, zone, up in changes
    ]
    for moves in (torn.run().moves, torn.run(start_mode="pools").moves):
        assert {row["to"] for row in moves} == {f"p3.2xlarge.{ZONES[0]}"}
        assert len(moves) == 1


def test_the_limits_of_an_agent_can_be_set(calm: Market) -> None:
    assert calm.run("one", max_switches_per_week="0").moves == []
    free = calm.run("two", min_pool_duration_hours="0").report
    assert free["agents"] == 3


def test_a_report_is_printed_as_a_table_or_as_json(calm: Market) -> None:
    outcome = calm.run()
    assert outcome.result.stderr == ""
    assert "hindsight" in outcome.result.stdout
    calm.flags = ["--json"]
    assert json.loads(calm.run().result.stdout) == outcome.report


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ({"prices": []}, "holds no *.json.gz"),
        ({"ondemand": {"m5.large": 0.001}}, "m5.large.us-east-1: a spot price above on-demand."),
        ({"ondemand": {}}, "has no on-demand price"),
        ({"ondemand": {"x1.large": 1.0}}, "takes part: m5.large.us-east-1: no on-demand price."),
        ({"advisor": {"other": 1}}, "no feed of the spot advisor"),
        ({"trace": []}, "has no events"),
        ({"trace": trace_rows("g5.xlarge")}, "No pool of the trace has spot prices"),
        ({"start": "yesterday"}, "no moment in ISO 8601"),
        ({"start": "2023"}, "2023 is out of range for seconds since 1970"),
        ({"start": "20240301", "end": "20240229"}, "not lie before"),
        ({"start": "2024-03-09", "end": "2024-03-08"}, "does not lie before the end"),
        ({"start": "2024-02-01"}, "takes part: m5.large.us-east-1: fewer than two zones"),
        ({"start": "1024-02-01", "options": {"tick-minutes": "1"}}, "more than 1000000 ticks"),
        ({"options": {"model": "nowhere.onnx"}}, "nowhere.onnx cannot be read"),
        ({"options": {"prices": "nowhere"}}, "There is no folder nowhere"),
        ({"options": {"advisor": "nowhere.json"}}, "nowhere.json cannot be read"),
        ({"options": {"trace": "nowhere.csv"}}, "nowhere.csv cannot be read"),
    ],
)
def test_what_cannot_be_used_is_told_in_one_sentence(
    calm: Market, change: dict[str, Any], complaint: str
) -> None:
    result = replace(calm, **change).run().result
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.startswith("spotkeeper: ")
    assert result.stderr.count("\n") == 1
    assert not (calm.folder / "out").exists()


@pytest.mark.parametrize(
    ("name", "content", "complaint"),
    [
        ("prices/m5.large.json.gz", b"\x1f\x8bno gzip", "cannot be read"),
        ("prices/m5.large.json.gz", b"{", "is no JSON"),
        ("prices/m5.large.json.gz", b"[]", "has no list SpotPriceHistory"),
        ("prices/m5.large.json.gz", b'{"SpotPriceHistory": [7]}', "Row 1"),
        ("ondemand.csv", b"instance_type\np3.2xlarge\n", "has no usd_per_hour"),
        ("ondemand.csv", b"instance_type,usd_per_hour\np3.2xlarge,nan\n", "Line 2"),
        ("ondemand.csv", b"instance_type,usd_per_hour\np3.2xlarge,$3\n", "Line 2"),
        ("ondemand.csv", b"instance_type\n" + b"p" * 140_000, "is no CSV: field larger"),
        ("ondemand.csv", b"type,price\nm5.large,1\n", "no column instance_type"),
        ("advisor.json.gz", b"\xff\xfe", "is no JSON"),
        ("advisor.json.gz", b"[]", "it has no spot_advisor."),
        (
            "advisor.json.gz",
            b'{"spot_advisor": {"x": {"Linux": []}}}',
            "in x has no instance types.",
        ),
        ("trace.csv", b"\xff\xfe", "is no text"),
        ("trace.csv", b"ts,pool_id,available\n2024-03-01,p3.2xlarge.us-east-1a\n", "cut short"),
        ("trace.csv", b"ts,pool_id,available\n2024-03-01,p3.2xlarge.us-east-1a,-1\n", "Line 2"),
        ("trace.csv", b"ts,pool_id,available\nnan,p3.2xlarge.us-east-1a,1\n", "Line 2"),
    ],
)
def test_a_broken_file_is_told_in_one_sentence(
    torn: Market, name: str, content: bytes, complaint: str
) -> None:
    torn.write()
    (torn.folder / name).write_bytes(content)
    result = torn.run_as_is().result
    assert result.exit_code == 2
    assert complaint in result.stderr
    assert result.stderr.count("\n") == 1


def test_prices_that_are_no_prices_are_told_by_their_row(calm: Market) -> None:
    row, huge = calm.prices[4], int("1" * 400)
    wrongs = {"SpotPrice": ("0", "NaN", "0,03", None, huge), "AvailabilityZone": (5,)}
    for name, wrong in ((name, wrong) for name, some in wrongs.items() for wrong in some):
        calm.prices[4] = {**row, name: wrong}  # type: ignore[dict-item]  # it is no such row
        result = calm.run().result
        assert result.exit_code == 2
        assert "Row 5 of" in result.stderr


def test_the_advisor_may_know_nothing_of_a_type(calm: Market) -> None:
    calm.advisor = {"spot_advisor": {}}
    assert calm.run().report["agents"] == 3


def test_the_plot_shows_the_policy_and_what_it_is_held_against(calm: Market) -> None:
    plot = calm.run().files["cost.svg"].decode()
    for name in ("policy", "always spot", "always on-demand", "hindsight"):
        assert f">{name}</text>" in plot
