"""What a back-test makes of recordings: who takes part, and what a pool's state and price are."""

import json
from datetime import datetime, timedelta

import pytest

from tests.cli.recordings import (
    ONDEMAND,
    START,
    ZONES,
    Market,
    Row,
    price_row,
    wandering_prices,
)

DAY, HOUR, MINUTE = timedelta(days=1), timedelta(hours=1), timedelta(minutes=1)


def spike(at: datetime) -> list[Row]:
    """Prices of another type, one of which is above on-demand for a minute."""
    begins = wandering_prices("p3.2xlarge", days=1)
    dear = 2 * ONDEMAND["p3.2xlarge"]
    return [
        *begins,
        price_row("p3.2xlarge", ZONES[0], dear, at),
        price_row("p3.2xlarge", ZONES[0], 0.918, at + MINUTE),
    ]


@pytest.mark.parametrize("tick_minutes", ["10", "60", "1440"])
def test_a_price_above_on_demand_counts_between_ticks_as_well(
    calm: Market, tick_minutes: str
) -> None:
    expected = calm.run("one", tick_minutes=tick_minutes).report["agents"]
    calm.prices += spike(START + DAY + 7 * MINUTE)
    assert calm.run("two", tick_minutes=tick_minutes).report["agents"] == expected


@pytest.mark.parametrize("at", [START - 2 * MINUTE, START + 5 * DAY])
def test_a_price_above_on_demand_outside_the_window_counts_for_nothing(
    calm: Market, at: datetime
) -> None:
    expected = calm.run("one").report["agents"]
    calm.prices += spike(at)
    assert calm.run("two").report["agents"] == expected + len(ZONES)


def test_the_price_in_force_at_the_start_counts(calm: Market) -> None:
    expected = calm.run("one").report["agents"]
    calm.prices += spike(START - MINUTE / 2)
    assert calm.run("two").report["agents"] == expected


@pytest.mark.parametrize("first", ["0", "1"])
def test_before_its_first_entry_a_pool_is_in_the_state_that_this_tells(
    torn: Market, first: str
) -> None:
    moment = START + 12 * HOUR
    torn.trace = [
        {"ts": moment.isoformat(), "pool_id": f"p3.2xlarge.{ZONES[0]}", "available": first},
        {"ts": START.isoformat(), "pool_id": f"p3.2xlarge.{ZONES[1]}", "available": "1"},
    ]
    late = torn.run("late", start_mode="pools")
    torn.trace[0]["ts"] = START.isoformat()
    early = torn.run("early", start_mode="pools")
    assert early.report == late.report | {"data_until": START.isoformat()}
    assert (early.moves, early.predictions) == (late.moves, late.predictions)


def test_the_higher_of_two_prices_of_one_moment_counts_in_whatever_order(calm: Market) -> None:
    low, high = (price_row("m5.large", ZONES[0], price, START + DAY) for price in (0.02, 0.05))
    rows = calm.prices
    calm.prices = [*rows, high]
    expected = calm.run("higher").files
    for name, both in (("rising", [low, high]), ("falling", [high, low])):
        calm.prices = [*rows, *both]
        assert calm.run(name).files == expected


def test_json_that_is_nested_too_deeply_is_told_in_one_sentence(calm: Market) -> None:
    calm.write()
    depth = 200_000
    (calm.folder / "prices" / "m5.large.json.gz").write_bytes(b"[" * depth + b"]" * depth)
    result = calm.run_as_is().result
    assert result.exit_code == 2
    assert "m5.large.json.gz is no JSON" in result.stderr
    assert result.stderr.count("\n") == 1


@pytest.mark.parametrize("field", ["SpotPrice", "Timestamp"])
def test_true_is_neither_a_price_nor_a_moment(calm: Market, field: str) -> None:
    calm.prices[4] = {**calm.prices[4], field: True}  # type: ignore[dict-item]  # it is no such row
    result = calm.run().result
    assert result.exit_code == 2
    assert "Row 5 of" in result.stderr


@pytest.mark.parametrize("fleet", ["all", "own"])
def test_the_decision_at_an_interruption_counts_that_interruption(torn: Market, fleet: str) -> None:
    """Its first notice makes the siblings too dangerous for an agent that dares little."""
    torn.prices = [price_row("p3.2xlarge", zone, 0.918, START) for zone in ZONES]
    up, fall = START.isoformat(), (START + HOUR).isoformat()
    torn.trace = [
        {"ts": up, "pool_id": f"p3.2xlarge.{zone}", "available": "1"} for zone in ZONES
    ] + [{"ts": fall, "pool_id": f"p3.2xlarge.{zone}", "available": "0"} for zone in ZONES[:1]]
    outcome = torn.run(fleet=fleet, start_mode="pools", risk_threshold="0.02")
    forced = [row for row in outcome.moves if row["kind"] == "forced"]
    assert [(row["ts"], row["to"]) for row in forced] == [(fall, "ondemand")]


def test_agents_of_one_type_in_two_regions_have_two_names(calm: Market) -> None:
    alone = {row["agent"] for row in calm.run("one", start_mode="ondemand").moves}
    assert alone == {"m5.large|ondemand"}
    calm.prices += wandering_prices("m5.large", ("us-west-2a", "us-west-2b"))
    moves = calm.run("two", start_mode="ondemand").moves
    assert {row["agent"] for row in moves} == {
        "m5.large|ondemand.us-east-1",
        "m5.large|ondemand.us-west-2",
    }
    assert all(row["agent"].partition("ondemand.")[2] in row["from"] + row["to"] for row in moves)


def test_a_window_that_goes_on_after_the_recordings_is_told(torn: Market) -> None:
    assert torn.run().result.stderr == ""
    torn.flags = ["--json"]
    torn.trace = [row for row in torn.trace or [] if row["ts"] < (START + DAY).isoformat()]
    last = max(row["ts"] for row in torn.trace)
    outcome = torn.run(end=(datetime.fromisoformat(last) + HOUR).isoformat())
    assert outcome.report["data_until"] == last
    told = f"spotkeeper: The recordings end at {last}: nothing changes after that.\n"
    assert outcome.result.stderr == told
    assert json.loads(outcome.result.stdout) == outcome.report


def test_two_names_of_one_pool_are_refused(torn: Market) -> None:
    assert torn.trace is not None
    other = f"{ZONES[0]}/p3.2xlarge"
    torn.trace.append({"ts": START.isoformat(), "pool_id": other, "available": "1"})
    result = torn.run().result
    assert result.exit_code == 2
    assert f"two names of one pool: p3.2xlarge.{ZONES[0]} and {other}." in result.stderr


def test_types_that_cannot_be_judged_take_no_part_and_are_told(calm: Market) -> None:
    expected = calm.run("one")
    dear = wandering_prices("p3.2xlarge")
    for row in dear:
        row["InstanceType"] = "c5.large"
    unpriced = [row | {"InstanceType": "c6.large"} for row in dear]
    calm.ondemand["c5.large"] = 0.085
    calm.prices += dear + unpriced + wandering_prices("p3.2xlarge", ZONES[:1])
    outcome = calm.run("two")
    assert outcome.moves == expected.moves
    assert outcome.report == expected.report | {
        "data_until": outcome.report["data_until"],
        "left_out": {
            "c5.large.us-east-1": "a spot price above on-demand",
            "c6.large.us-east-1": "no on-demand price",
            "p3.2xlarge.us-east-1": "fewer than two zones with a spot price at the start",
        },
    }
    assert "Left out are c6.large.us-east-1: no on-demand price.\n" in outcome.result.stderr
    assert outcome.result.stderr.count("\n") == 3
