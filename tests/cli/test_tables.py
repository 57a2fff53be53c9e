"""A table shows what it is given, letter by letter, however narrow the terminal."""

import sys

import pytest

from spotkeeper.screen import Screen
from spotkeeper.terminal import print_rows

ID = "0f8fad5b-d9cb-569f-a165-70867728950e"
ODD = [
    "see [/docs] for more",
    "[type=json_invalid, input=1]",
    "web:key:1",
    "[bold]a[/bold]",
    "a\\[b",
]


@pytest.mark.parametrize("text", ODD)
def test_data_is_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"id": text}], ["id"], as_json=False)
    assert text in capsys.readouterr().out


@pytest.mark.parametrize("text", ODD)
def test_progress_is_no_markup(text: str, capsys: pytest.CaptureFixture[str]) -> None:
    Screen(result_on_stdout=False).tell(text)
    assert capsys.readouterr().out == f"· {text}\n"


def test_data_does_not_move_the_cursor(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"id": "a\x1b[2Jb\nc\rd"}], ["id"], as_json=False)
    assert r"a\x1b[2Jb\nc\rd" in capsys.readouterr().out


def test_nothing_is_cut_off_on_a_narrow_terminal(
    capsys: pytest.CaptureFixture[str], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("COLUMNS", "40")
    monkeypatch.setattr(sys.stdout, "isatty", lambda: True)
    row = {"agent_id": ID, "pool": "t3.medium.us-east-1a", "sha256": "1" * 64}
    print_rows([row], list(row), as_json=False)
    [line] = [line for line in capsys.readouterr().out.splitlines() if ID in line]
    assert line.split() == list(row.values())


def test_a_long_row_is_one_line_for_a_program(capsys: pytest.CaptureFixture[str]) -> None:
    print_rows([{"error": "e" * 500}], ["error"], as_json=False)
    assert "e" * 500 in capsys.readouterr().out
