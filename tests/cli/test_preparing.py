"""What a data directory was prepared for, and when it has to be prepared again."""

from dataclasses import replace
from pathlib import Path

import pytest

from spotkeeper import preparing
from spotkeeper.embedded.forks import ForkServer
from spotkeeper.folder import DataFolder
from spotkeeper.preparing import Preparation
from spotkeeper.services import Surroundings


@pytest.fixture
def around(tmp_path: Path) -> Surroundings:
    folder = DataFolder(tmp_path)
    return Surroundings(
        folder, ForkServer(log=tmp_path), "127.0.0.1:1", {}, 5000, "admin", "client-token"
    )


async def test_what_was_prepared_once_stays_so_until_something_changes(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch, tmp_path: Path
) -> None:
    # No services: the steps themselves are run by the tests of `spotkeeper up`.
    monkeypatch.setattr(preparing, "installed", list)

    async def no_step(*_: object) -> None:
        pass

    monkeypatch.setattr(preparing, "run_once", no_step)
    assert not Preparation(around).is_done
    await Preparation(around).run()
    assert Preparation(around).is_done
    assert not Preparation(replace(around, client_token="another")).is_done

    meta, version = around.folder.births
    for made in (meta, version):
        made.parent.mkdir(parents=True)
        made.touch()
        assert not Preparation(around).is_done
        await Preparation(around).run()
        assert Preparation(around).is_done

    source = tmp_path / "changed.py"
    source.write_text("")
    monkeypatch.setattr(preparing, "_sources", lambda: iter([source]))
    assert not Preparation(around).is_done


async def test_a_failed_preparation_is_done_again(
    around: Surroundings, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(preparing, "installed", list)

    async def fails(*_: object) -> None:
        raise RuntimeError

    monkeypatch.setattr(preparing, "run_once", fails)
    with pytest.raises(RuntimeError):
        await Preparation(around).run()
    assert not Preparation(around).is_done


def test_an_emptied_directory_is_not_prepared(around: Surroundings) -> None:
    around.folder.prepared.write_text("anything")
    around.folder.empty()
    assert not around.folder.prepared.exists()
