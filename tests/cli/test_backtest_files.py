"""What a back-test makes of files that hold other things than it wants, or hold more."""

import json
import shutil
from datetime import timedelta

import pytest

from spotkeeper.backtest import command
from tests.cli.recordings import ADVISOR, START, ZONES, Market, wandering_prices


def test_prices_may_be_plain_json(calm: Market) -> None:
    expected = calm.run("one").files
    rows = {"SpotPriceHistory": calm.prices}
    (calm.folder / "prices" / "m5.large.json.gz").unlink()
    (calm.folder / "prices" / "report.json").write_text(json.dumps(rows))
    assert calm.run_as_is("two").files == expected


@pytest.mark.parametrize("content", ["[]", '{"why": "a note"}', "7", '{"SpotPriceHistory": null}'])
def test_other_json_beside_the_prices_is_passed_over_and_told(calm: Market, content: str) -> None:
    expected = calm.run("one").files
    (calm.folder / "prices" / "notes.json").write_text(content)
    outcome = calm.run_as_is("two")
    assert outcome.files == expected
    assert "notes.json has no list SpotPriceHistory and is passed over" in outcome.result.stderr
    assert outcome.result.stderr.count("\n") == 1


def test_results_may_lie_beside_the_prices(calm: Market) -> None:
    first = calm.run("prices").files
    again = calm.run_as_is("prices")
    assert again.files == first
    assert again.result.stderr == ""


def test_other_json_alone_is_no_price(calm: Market) -> None:
    calm.write()
    shutil.rmtree(calm.folder / "prices")
    (calm.folder / "prices").mkdir()
    (calm.folder / "prices" / "notes.json").write_text("{}")
    result = calm.run_as_is().result
    assert result.exit_code == 2
    assert "holds no *.json.gz with spot prices" in result.stderr
    assert result.stderr.count("\n") == 1


def test_plain_json_that_is_broken_may_have_been_prices(calm: Market) -> None:
    calm.write()
    (calm.folder / "prices" / "cut.json").write_text('{"SpotPriceHistory": [')
    result = calm.run_as_is().result
    assert result.exit_code == 2
    assert "cut.json is no JSON" in result.stderr


UNUSABLE: dict[str, tuple[str, str]] = {
    "no on-demand price": ("ondemand", "0.0"),
    "no band": ("advisor", "{}"),
    "no state": ("trace", "2"),
    "no moment": ("trace", "soon"),
}


def spoil(market: Market, unusable: str, instance_type: str) -> None:
    """Add a row of that instance type that nobody can use."""
    where, value = UNUSABLE[unusable]
    if where == "ondemand":
        market.ondemand[instance_type] = float(value)
    elif where == "advisor":
        linux = {**ADVISOR["spot_advisor"]["us-east-1"]["Linux"], instance_type: {"s": 70}}
        market.advisor = {"spot_advisor": {"us-east-1": {"Linux": linux}}}
    else:
        assert market.trace is not None
        row = {"ts": START.isoformat(), "pool_id": f"{instance_type}.{ZONES[0]}", "available": "1"}
        market.trace.append(row | {"available" if value == "2" else "ts": value})


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_a_row_that_nobody_asks_for_may_be_unusable(torn: Market, unusable: str) -> None:
    expected = torn.run("one").files
    spoil(torn, unusable, "c9.large")
    assert torn.run("two").files == expected


@pytest.mark.parametrize("unusable", ["no on-demand price", "no band"])
def test_a_type_with_prices_that_the_trace_leaves_out_is_not_asked_for(
    torn: Market, unusable: str
) -> None:
    torn.prices += wandering_prices("m5.large")
    expected = torn.run("one").files
    spoil(torn, unusable, "m5.large")
    assert torn.run("two").files == expected


def test_a_price_of_another_region_may_be_unusable(calm: Market) -> None:
    calm.prices += wandering_prices("p3.2xlarge", ("us-west-2a", "us-west-2b"))
    calm.write()
    header, here = "instance_type,region,usd_per_hour", "m5.large,us-east-1,0.096"
    there = ["m5.large,us-west-2,0.0", "p3.2xlarge,us-west-2,3.06", "p3.2xlarge,us-east-1,"]
    (calm.folder / "ondemand.csv").write_text("\n".join([header, here, *there, ""]))
    assert calm.run_as_is().report["agents"] == len(ZONES) + 2


@pytest.mark.parametrize("unusable", UNUSABLE)
def test_a_row_that_the_run_needs_is_told_if_it_is_unusable(torn: Market, unusable: str) -> None:
    spoil(torn, unusable, "p3.2xlarge")
    result = torn.run().result
    assert result.exit_code == 2
    assert result.stderr.count("\n") == 1
    told = {"ondemand": "ondemand.csv: 0.0 is no price", "advisor": "band of p3.2xlarge"}
    assert told.get(UNUSABLE[unusable][0], "trace.csv: ") in result.stderr


def test_blanks_around_a_region_mean_nothing(calm: Market) -> None:
    expected = calm.run("one").files
    text = "instance_type, region ,usd_per_hour\nm5.large, us-east-1 ,0.096\n"
    (calm.folder / "ondemand.csv").write_text(text)
    assert calm.run_as_is("two").files == expected


@pytest.mark.parametrize("form", ["%Y%m%d", " %Y-%m-%d "])
def test_a_date_means_the_same_in_a_trace_as_in_a_word(torn: Market, form: str) -> None:
    moment = START + timedelta(days=1)
    pool_id = f"p3.2xlarge.{ZONES[0]}"
    torn.trace = [
        {"ts": START.isoformat(), "pool_id": pool_id, "available": "1"},
        {"ts": moment.isoformat(), "pool_id": pool_id, "available": "0"},
    ]
    expected = torn.run("one").files
    torn.trace[1]["ts"] = moment.strftime(form)
    assert torn.run("two").files == expected


def test_results_that_cannot_be_written_are_told_before_the_work(
    calm: Market, monkeypatch: pytest.MonkeyPatch
) -> None:
    (calm.folder / "out").write_text("a file")
    monkeypatch.setattr(command, "simulate", None)
    result = calm.run().result
    assert result.exit_code == 2
    assert "out cannot be written" in result.stderr


def test_a_window_that_is_shorter_than_a_tick_is_one_tick(calm: Market) -> None:
    report = calm.run(end=(START + timedelta(milliseconds=1)).isoformat()).report
    assert report["hours"] == 1


@pytest.mark.parametrize(
    ("name", "value"),
    [
        ("interruption_cost_hours", "1e308"),
        ("interruption_cost_hours", "nan"),
        ("min_pool_duration_hours", "inf"),
        ("tick_minutes", "1000000000000"),
    ],
)
def test_options_have_a_range(calm: Market, name: str, value: str) -> None:
    assert calm.run(**{name: value}).result.exit_code == 2
