"""Settings from variables and files, and the clock."""

from collections.abc import Iterator
from datetime import timedelta
from importlib import import_module
from pathlib import Path

import pytest
from annotated_types import Le
from pydantic import ValidationError

from chassis import clock
from chassis.settings import ServiceSettings
from spotkeeper.services import installed


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


def kinds() -> Iterator[type[ServiceSettings]]:
    """The settings of each service."""
    yield ServiceSettings
    for service in installed():
        for value in vars(import_module(f"{service}.settings")).values():
            if isinstance(value, type) and issubclass(value, ServiceSettings):
                yield value


NUMBERS = {
    name: kind
    for kind in kinds()
    for name, field in kind.model_fields.items()
    if field.annotation in (int, float)
}


@pytest.mark.parametrize("name", NUMBERS)
def test_a_number_that_nobody_can_reckon_with_is_refused(name: str) -> None:
    with pytest.raises(ValidationError, match="should be less than"):
        NUMBERS[name].model_validate({name: 10**12})


@pytest.mark.parametrize("name", [name for name in NUMBERS if name.endswith("_seconds")])
def test_the_longest_time_still_leads_to_a_moment(name: str) -> None:
    [most] = [
        limit.le for limit in NUMBERS[name].model_fields[name].metadata if isinstance(limit, Le)
    ]
    assert isinstance(most, int)
    moved = timedelta(seconds=most)
    assert clock.now() - moved < clock.now() < clock.now() + moved


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
