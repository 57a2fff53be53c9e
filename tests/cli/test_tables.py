"""A table shows what it is given, letter by letter."""

import pytest

from spotkeeper.screen import Screen
from spotkeeper.terminal import print_rows

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
