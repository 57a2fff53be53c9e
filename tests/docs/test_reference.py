"""The pages of metrics and settings are current and leave nothing out."""

import re
from pathlib import Path

import pytest
from prometheus_client import generate_latest

from spotkeeper.reference import main, pages
from tests.sources import ROOT, SOURCES

PAGES = pages()
METRIC_KINDS = {"Counter", "Gauge", "Histogram", "Summary", "Info", "Enum"}


@pytest.mark.parametrize("name", PAGES)
def test_a_page_is_current(name: str) -> None:
    assert (ROOT / "docs" / name).read_text(encoding="utf-8") == PAGES[name], "run `make docs`"


def test_the_pages_are_written_to_a_folder(tmp_path: Path) -> None:
    assert main([str(tmp_path)]) == 0
    assert {path.name: path.read_text(encoding="utf-8") for path in tmp_path.iterdir()} == PAGES
    assert main([]) == 2


@pytest.mark.parametrize("name", PAGES)
def test_every_line_says_what_it_means(name: str) -> None:
    rows = re.findall(r"^\| `.*$", PAGES[name], re.MULTILINE)
    assert rows
    assert [row for row in rows if not row.endswith(". |")] == []


def test_nothing_is_shown_that_the_page_leaves_out() -> None:
    shown = re.findall(r"^# TYPE (spotkeeper_\w+)", generate_latest().decode(), re.MULTILINE)
    told = re.findall(r"^\| `(\w+)`", PAGES["metrics.md"], re.MULTILINE)
    assert set(shown) - set(told) == set()


def test_every_metric_is_declared_in_a_list_of_metrics() -> None:
    declaring = {
        source.path
        for source in SOURCES
        for _, name in source.imports()
        if name.startswith("prometheus_client.") and name.rpartition(".")[2] in METRIC_KINDS
    }
    assert declaring
    assert [path for path in declaring if not path.endswith("/metrics.py")] == []


@pytest.mark.parametrize(
    "line",
    [
        "| `spotkeeper_ready` | gauge | part | 1 if the part of the service is ready. |",
        "| `spotkeeper_dead_letters_total` | counter | reason | Messages given up, by reason. |",
    ],
)
def test_a_metric_is_told_as_prometheus_shows_it(line: str) -> None:
    assert line in PAGES["metrics.md"].splitlines()


@pytest.mark.parametrize(
    "start",
    [
        "| `SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS` or `KAFKA_BOOTSTRAP_SERVERS` | `127.0.0.1:9092` |",
        "| `SPOTKEEPER_DSN` |  |",
        "| `SPOTKEEPER_PORT` | `5000` |",
    ],
)
def test_a_setting_is_told_with_its_variable_and_default(start: str) -> None:
    assert any(line.startswith(start) for line in PAGES["settings.md"].splitlines())
