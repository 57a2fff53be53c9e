"""The committed schemas, examples and AsyncAPI document are those that follow from the messages."""

import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from spotkeeper_contracts.__main__ import main
from spotkeeper_contracts.generated import (
    EXAMPLES,
    SCHEMAS,
    broken_promises,
    generated,
    outdated,
)

SCHEMA = f"{SCHEMAS}/AgentRegistered.v1.json"


def test_what_is_committed_is_current() -> None:
    assert outdated(generated()) == []


def test_no_published_message_is_broken() -> None:
    assert broken_promises(generated()) == []


def test_a_fresh_checkout_is_filled_and_then_current(tmp_path: Path) -> None:
    assert main(["check"], tmp_path) == 1
    assert main(["generate"], tmp_path) == 0
    assert main(["check"], tmp_path) == 0


def test_what_is_not_current_is_named(tmp_path: Path, capsys: pytest.CaptureFixture[str]) -> None:
    main(["generate"], tmp_path)
    (tmp_path / EXAMPLES / "AgentRegistered.v1.json").write_text("{}")
    (tmp_path / EXAMPLES / "AgentRenamed.v1.json").write_text("{}")
    assert main(["check"], tmp_path) == 1
    lines = capsys.readouterr().err.splitlines()
    named = [f"{EXAMPLES}/AgentRegistered.v1.json", f"{EXAMPLES}/AgentRenamed.v1.json"]
    assert lines == ["Not current; run `make docs`:", *named]
    assert main(["generate"], tmp_path) == 0
    assert main(["check"], tmp_path) == 0


def _lose_field(schema: dict[str, Any]) -> None:
    schema["properties"]["previous_name"] = {"type": "string"}


def _lose_limit(schema: dict[str, Any]) -> None:
    schema["properties"]["epoch"]["minimum"] = 1


@pytest.mark.parametrize(
    ("published_otherwise", "change"),
    [
        (_lose_field, "message.previous_name: removed"),
        (_lose_limit, "message.epoch: minimum was 1, is None"),
    ],
)
def test_a_published_schema_is_not_overwritten_by_one_that_breaks_it(
    tmp_path: Path,
    capsys: pytest.CaptureFixture[str],
    published_otherwise: Callable[[dict[str, Any]], None],
    change: str,
) -> None:
    main(["generate"], tmp_path)
    schema = json.loads((tmp_path / SCHEMA).read_text())
    published_otherwise(schema)
    (tmp_path / SCHEMA).write_text(json.dumps(schema))
    assert main(["generate"], tmp_path) == 1
    assert f"AgentRegistered.v1: {change}" in capsys.readouterr().err
    assert json.loads((tmp_path / SCHEMA).read_text()) == schema


def test_a_published_version_is_not_forgotten(
    tmp_path: Path, capsys: pytest.CaptureFixture[str]
) -> None:
    main(["generate"], tmp_path)
    (tmp_path / SCHEMAS / "AgentRenamed.v1.json").write_text("{}")
    assert main(["generate"], tmp_path) == 1
    assert "AgentRenamed.v1: no message has this type any more" in capsys.readouterr().err


def test_an_unknown_word_is_refused(capsys: pytest.CaptureFixture[str]) -> None:
    assert main(["publish"]) == 2
    assert "generate|check" in capsys.readouterr().err
