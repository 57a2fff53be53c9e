"""The data directory is Spotkeeper's own: what else lies there is neither used nor removed."""

from pathlib import Path

import pytest
from typer.testing import CliRunner

from spotkeeper.embedded.child import free_port
from spotkeeper.embedded.errors import StackError
from spotkeeper.folder import DataFolder
from spotkeeper.main import app


def fill(folder: DataFolder) -> None:
    for entry in folder.contents:
        if entry == folder.prepared:
            entry.touch()
        else:
            (entry / "deeper").mkdir(parents=True)


def refused(*words: str, data_dir: Path) -> str:
    """What a command says as it ends with 1."""
    with pytest.raises(SystemExit) as ended:
        app([*words, "--data-dir", str(data_dir)])
    return str(ended.value.code)


def test_only_what_is_spotkeepers_is_removed(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    with folder.locked():
        fill(folder)
        (tmp_path / "thesis").mkdir()
        (tmp_path / "letter").touch()
        folder.empty()
    assert {entry.name for entry in tmp_path.iterdir()} == {"lock", "thesis", "letter"}


def test_a_file_in_the_place_of_a_folder_is_removed_as_well(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.kafka.touch()
    folder.empty()
    assert not folder.kafka.exists()


@pytest.mark.parametrize("name", ["kafka", "logs", "secrets"])
def test_a_directory_that_has_others_things_of_those_names_is_refused(
    tmp_path: Path, name: str
) -> None:
    (tmp_path / name).mkdir()
    with (
        pytest.raises(StackError, match=f"{tmp_path / name} is not Spotkeeper's"),
        DataFolder(tmp_path).locked(),
    ):
        pass
    assert [entry.name for entry in tmp_path.iterdir()] == [name]


def test_a_directory_may_hold_other_things(tmp_path: Path) -> None:
    (tmp_path / "output.txt").touch()
    with DataFolder(tmp_path).locked():
        pass


def test_a_fleet_may_have_run_there_before_the_first_stack(tmp_path: Path) -> None:
    folder = DataFolder(tmp_path)
    folder.control.mkdir()
    with folder.locked():
        fill(folder)
    with folder.locked():
        pass


def test_what_cannot_be_removed_is_one_sentence(tmp_path: Path) -> None:
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    data = tmp_path / "data"
    with DataFolder(data).locked():
        (data / "kafka").symlink_to(elsewhere)  # Whose place it is, and what it holds, is unknown.
    told = refused("up", "--fresh", "--port", str(free_port()), data_dir=data)
    why = "Cannot call rmtree on a symbolic link"
    assert told == f"spotkeeper: {data / 'kafka'} cannot be removed: {why}."
    assert elsewhere.exists()


def test_what_the_system_refuses_is_one_sentence(tmp_path: Path) -> None:
    with DataFolder(tmp_path).locked():
        (tmp_path / "postgres-passwords").touch()
    told = refused("up", "--port", str(free_port()), data_dir=tmp_path)
    assert told == f"spotkeeper: {tmp_path / 'postgres-passwords'}: File exists."


@pytest.mark.parametrize("word", ["stop", "start", "interrupt"])
def test_a_control_folder_that_is_none_is_one_sentence(tmp_path: Path, word: str) -> None:
    (tmp_path / "file").touch()
    fleet = tmp_path / "file" / "control" / "fleet"
    told = refused("agents", word, "agent-01", data_dir=tmp_path / "file")
    assert told == f"spotkeeper: {fleet}: Not a directory."


@pytest.mark.parametrize("words", [["up"], ["up", "--fresh"], ["agents", "stop", "agent-01"]])
def test_a_directory_without_a_name_is_refused(
    words: list[str], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    ended = CliRunner().invoke(app, [*words, "--data-dir", ""])
    assert ended.exit_code == 2
    assert "should name a directory" in ended.output
    assert list(tmp_path.iterdir()) == []
