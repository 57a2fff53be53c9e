"""What a back-test makes of files that hold other things than it wants, or hold more."""

import json
import shutil

import pytest

from tests.cli.recordings import Market


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
