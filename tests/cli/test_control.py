"""What the commands say that crash agents of a running fleet, revive and interrupt them."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spotkeeper.folder import DataFolder
from spotkeeper.main import app
from spotkeeper_agent.control import Control


@pytest.fixture
def folder(tmp_path: Path) -> DataFolder:
    """The data directory of a stack whose fleet runs."""
    folder = DataFolder(tmp_path)
    Control(folder.control).open(["agent-01"])
    return folder


@pytest.mark.parametrize(
    ("word", "told"),
    [
        ("stop", "agent-01 falls silent.\n"),
        ("start", "agent-01 comes back.\n"),
        (
            "interrupt",
            "AWS is to take the spot instance of agent-01 back; what comes of it is told in {}.\n",
        ),
    ],
)
def test_what_was_done_is_told(folder: DataFolder, word: str, told: str) -> None:
    words = ["agents", word, "agent-01", "--data-dir", str(folder.control.parent)]
    ended = CliRunner().invoke(app, words)
    assert (ended.exit_code, ended.output) == (0, told.format(folder.log("agents")))


@pytest.mark.parametrize("option", [["--gateway", "http://any"], ["--token", "a"], ["--json"]])
def test_an_option_of_the_list_is_refused(folder: DataFolder, option: list[str]) -> None:
    words = ["stop", "agent-01", "--data-dir", str(folder.control.parent)]
    ended = CliRunner().invoke(app, ["agents", *option, *words])
    assert ended.exit_code == 2
    assert "are for the list of agents" in ended.output
    assert Control(folder.control).crashed() == set()


def test_variables_of_the_list_may_be_set(
    folder: DataFolder, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTKEEPER_TOKEN", "a")
    words = ["agents", "stop", "agent-01", "--data-dir", str(folder.control.parent)]
    assert CliRunner().invoke(app, words).exit_code == 0
