"""`spotkeeper model`: published, judged and withdrawn on a running system."""

import json
from pathlib import Path
from typing import Any

from typer.testing import CliRunner, Result

from decision.model import SHIPPED, card_path, load
from spotkeeper.main import app
from tests.system.driver import ADMIN_TOKEN, System


def command(system: System, *words: str, token: str = ADMIN_TOKEN) -> Result:
    return CliRunner().invoke(
        app, ["model", *words, "--gateway", system.gateway, "--token", token, "--json"]
    )


def rows(result: Result) -> list[dict[str, Any]]:
    assert result.exit_code == 0, result.output
    return [json.loads(line) for line in result.stdout.splitlines()]


def told(refused: Result) -> str:
    return refused.output + str(refused.exception)


def test_a_model_is_published_watches_and_is_withdrawn(system: System) -> None:
    version = load(SHIPPED).version
    (published,) = rows(command(system, "publish", str(SHIPPED), "--role", "shadow"))
    assert (published["version"], published["role"]) == (version, "shadow")
    assert published in rows(command(system, "list"))
    (withdrawn,) = rows(command(system, "withdraw", "--role", "shadow"))
    assert withdrawn["sha256"] == published["sha256"]
    assert command(system, "withdraw", "--role", "shadow").exit_code == 1


def test_a_report_tells_of_each_model_that_decided(system: System) -> None:
    assert all(row["role"] in ("active", "shadow") for row in rows(command(system, "report")))


def test_no_report_without_the_admin_token(system: System) -> None:
    refused = command(system, "report", token="nobody")
    assert refused.exit_code == 1
    assert "The gateway says" in told(refused)


def test_what_is_no_model_is_refused(system: System, tmp_path: Path) -> None:
    path = tmp_path / "risk.onnx"
    path.write_bytes(b"no model")
    missing = command(system, "publish", str(path))
    assert missing.exit_code == 1
    card_path(path).write_bytes(card_path(SHIPPED).read_bytes())
    refused = command(system, "publish", str(path))
    assert refused.exit_code == 1
    assert "card.sha256" in told(refused)
