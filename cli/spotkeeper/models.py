"""`spotkeeper model`: models of the decision engine, published, taken back, and judged.

All of it goes through the gateway's administration, with the admin token.
"""

import base64
import json
from pathlib import Path
from typing import Any

import httpx

from spotkeeper.embedded.errors import StackError

PROMISES = (
    *("role", "model_version", "decisions", "rated_hours", "expected_interruptions"),
    *("interruptions", "brier_score", "switches", "promised_savings_per_hour"),
    *("realised_savings_per_hour", "interrupted_switches"),
)
PUBLISHED = ("role", "version", "sha256", "size_bytes", "published_by", "timestamp")


async def report(gateway: str, token: str, days: int) -> list[dict[str, Any]]:
    """A row for each model that decided or watched; raises `StackError`."""
    told = await _ask(gateway, token, "GET", f"/api/admin/models/report?days={days}")
    return [{"role": role, **record} for role in ("active", "shadow") for record in told[role]]


async def published(gateway: str, token: str) -> list[dict[str, Any]]:
    """A row for each model that was ever published; raises `StackError`."""
    told = await _ask(gateway, token, "GET", "/api/admin/models")
    return list(told["models"])


async def publish(gateway: str, token: str, path: Path, role: str) -> list[dict[str, Any]]:
    """Publish a model with the card beside it, and tell of it; raises `StackError`."""
    body = {"role": role, **_files(path)}
    return [(await _ask(gateway, token, "POST", "/api/admin/models", body))["model"]]


async def withdraw(gateway: str, token: str, role: str) -> list[dict[str, Any]]:
    """Let the engines' own file decide again, or nothing watch; raises `StackError`."""
    return [(await _ask(gateway, token, "DELETE", f"/api/admin/models/{role}"))["model"]]


def _files(path: Path) -> dict[str, Any]:
    """The model and its card; the service checks both."""
    card = path.with_suffix(".card.json")
    try:
        return {
            "onnx": base64.b64encode(path.read_bytes()).decode(),
            "card": json.loads(card.read_bytes()),
        }
    except OSError as error:
        raise StackError(f"{error.filename} cannot be read: {error.strerror}.") from error
    except ValueError as error:
        raise StackError(f"{card} is no JSON.") from error


async def _ask(
    gateway: str, token: str, method: str, path: str, body: dict[str, Any] | None = None
) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {token}"}
    try:
        async with httpx.AsyncClient(base_url=gateway, headers=headers) as http:
            answer = await http.request(method, path, json=body)
            told: dict[str, Any] = answer.raise_for_status().json()
    except httpx.HTTPStatusError as error:
        raise StackError(f"The gateway says {error.response.text}") from error
    except httpx.HTTPError as error:
        raise StackError(f"No answer from the gateway at {gateway}: {error}.") from error
    return told
