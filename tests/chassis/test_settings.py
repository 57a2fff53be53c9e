"""Settings from variables and files, and the clock."""

from datetime import timedelta
from pathlib import Path

import pytest
from pydantic import ValidationError

from chassis import clock
from chassis.settings import ServiceSettings


def test_a_secret_may_come_from_a_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    secret = tmp_path / "dsn"
    secret.write_text("postgresql://a:b@c/d\n")
    monkeypatch.setenv("SPOTKEEPER_DSN_FILE", str(secret))
    dsn = ServiceSettings().dsn
    assert dsn is not None
    assert dsn.get_secret_value() == "postgresql://a:b@c/d"
    assert "b@c" not in repr(ServiceSettings())


def test_a_variable_overrules_the_file(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    (tmp_path / "lanes").write_text("7")
    monkeypatch.setenv("SPOTKEEPER_LANES_FILE", str(tmp_path / "lanes"))
    assert ServiceSettings().lanes == 7
    monkeypatch.setenv("SPOTKEEPER_LANES", "3")
    assert ServiceSettings().lanes == 3


@pytest.mark.parametrize("name", ["KAFKA_BOOTSTRAP_SERVERS", "SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS"])
def test_kafka_has_its_common_name_too(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(name, "k:1")
    assert ServiceSettings().kafka_bootstrap_servers == "k:1"


def test_a_setting_out_of_range_is_refused(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("SPOTKEEPER_LANES", "13")
    with pytest.raises(ValidationError, match="lanes"):
        ServiceSettings()


def test_every_setting_is_described() -> None:
    assert all(field.description for field in ServiceSettings.model_fields.values())


def test_ids_are_version_7_and_sort_by_time() -> None:
    early = clock.new_id()
    clock.move(timedelta(seconds=1))
    try:
        late = clock.new_id()
    finally:
        clock.move(timedelta())
    assert (early.version, late.version) == (7, 7)
    assert early < late
