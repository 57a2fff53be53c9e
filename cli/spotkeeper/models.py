"""`spotkeeper model`: models of the decision engine, published, taken back, and judged.

All of it goes through the gateway's administration, with the admin token.
"""

import base64
import json
from pathlib import Path
from typing import Annotated, Any

import typer

from spotkeeper.client import connected
from spotkeeper.embedded.errors import StackError
from spotkeeper.terminal import GATEWAY, AsJson, Gateway, print_rows, run
from spotkeeper_contracts.models import ModelRole

model = typer.Typer(help="Models of the decision engine: published, withdrawn, judged.")

AdminToken = Annotated[
    str, typer.Option("--token", envvar="SPOTKEEPER_ADMIN_TOKEN", help="The admin token.")
]
Role = Annotated[ModelRole, typer.Option(help="It decides, or it is scored and never acts.")]
PROMISES = (
    *("role", "model_version", "decisions", "rated_hours", "expected_interruptions"),
    *("interruptions", "brier_score", "switches", "promised_savings_per_hour"),
    *("realised_savings_per_hour", "interrupted_switches"),
)
MOST_BYTES = 45_000
"""Of a file: in Base64 they are the 60,000 characters that a request may have of it."""
PUBLISHED = ("role", "version", "sha256", "size_bytes", "published_by", "timestamp")


@model.command("report")
def model_report(
    token: AdminToken,
    gateway: Gateway = GATEWAY,
    days: Annotated[int, typer.Option(min=1, max=90, help="Days to look back.")] = 30,
    as_json: AsJson = False,
) -> None:
    """What each model promised, and what came of it: interruptions and savings by version."""
    rows = run(_report(gateway, token, days))
    print_rows(rows, PROMISES, as_json=as_json)


@model.command("list")
def list_models(token: AdminToken, gateway: Gateway = GATEWAY, as_json: AsJson = False) -> None:
    """List the models that were published, and what each does now."""
    rows = run(_published(gateway, token))
    print_rows(rows, PUBLISHED, as_json=as_json)


@model.command("publish")
def publish_model(
    file: Annotated[Path, typer.Argument(help="An ONNX file with its card beside it.")],
    token: AdminToken,
    role: Role = ModelRole.SHADOW,
    gateway: Gateway = GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Check a model and give it a role; every engine takes it up without a restart."""
    rows = run(_publish(gateway, token, file, role.value))
    print_rows(rows, PUBLISHED, as_json=as_json)


@model.command("withdraw")
def withdraw_model(
    token: AdminToken,
    role: Role = ModelRole.SHADOW,
    gateway: Gateway = GATEWAY,
    as_json: AsJson = False,
) -> None:
    """Take a published model back: the file of the settings decides again, or none watches."""
    rows = run(_withdraw(gateway, token, role.value))
    print_rows(rows, PUBLISHED, as_json=as_json)


async def _report(gateway: str, token: str, days: int) -> list[dict[str, Any]]:
    """A row for each model that decided or watched; raises `StackError`."""
    told = await _ask(gateway, token, "GET", f"/api/admin/models/report?days={days}")
    return [{"role": role, **record} for role in ("active", "shadow") for record in told[role]]


async def _published(gateway: str, token: str) -> list[dict[str, Any]]:
    """A row for each model that was ever published; raises `StackError`."""
    told = await _ask(gateway, token, "GET", "/api/admin/models")
    return list(told["models"])


async def _publish(gateway: str, token: str, path: Path, role: str) -> list[dict[str, Any]]:
    """Publish a model with the card beside it, and tell of it; raises `StackError`."""
    body = {"role": role, **_files(path)}
    return [(await _ask(gateway, token, "POST", "/api/admin/models", body))["model"]]


async def _withdraw(gateway: str, token: str, role: str) -> list[dict[str, Any]]:
    """Let the engines' own file decide again, or nothing watch; raises `StackError`."""
    return [(await _ask(gateway, token, "DELETE", f"/api/admin/models/{role}"))["model"]]


def _files(path: Path) -> dict[str, Any]:
    """The model and its card; the service checks both."""
    card = path.with_suffix(".card.json")
    try:
        content, told = path.read_bytes(), json.loads(card.read_bytes())
        json.dumps(told, allow_nan=False, ensure_ascii=False).encode()  # As it will be sent.
    except OSError as error:
        raise StackError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StackError(f"{card} is no JSON.") from error
    if len(content) > MOST_BYTES:
        raise StackError(
            f"{path} has {len(content)} bytes, and {MOST_BYTES} can be published; let "
            "SPOTKEEPER_MODEL_FILE or SPOTKEEPER_SHADOW_FILE of the decision service name it."
        )
    return {"onnx": base64.b64encode(content).decode(), "card": told}


async def _ask(
    gateway: str, token: str, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    async with connected(gateway, token) as http:
        answer = await http.request(method, path, json=body)
        told: dict[str, Any] = answer.raise_for_status().json()
    return told
