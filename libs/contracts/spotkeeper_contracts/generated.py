"""The files of this checkout that follow from the messages: schemas, examples, AsyncAPI.

A committed schema is a promise: it may gain fields, and nothing else. Whoever means to break it,
because it was never released or its time is over, removes the file first.
"""

import json
from pathlib import Path

from spotkeeper_contracts.asyncapi import document
from spotkeeper_contracts.evolution import breaking_changes
from spotkeeper_contracts.records import record_types
from spotkeeper_contracts.yaml import to_yaml

CHECKOUT = Path(__file__).parents[3]
SCHEMAS, EXAMPLES = "libs/contracts/schemas", "libs/contracts/examples"
ASYNCAPI = "docs/asyncapi.yaml"


def generated() -> dict[str, str]:
    """Each file, by its path in the checkout, with the content that it should have."""
    records = record_types()
    schemas = {f"{SCHEMAS}/{name}.json": _json(record.schema) for name, record in records.items()}
    examples = {
        f"{EXAMPLES}/{name}.json": _json(record.example) for name, record in records.items()
    }
    return {**schemas, **examples, ASYNCAPI: to_yaml(document(records))}


def broken_promises(files: dict[str, str], checkout: Path = CHECKOUT) -> list[str]:
    """What the new schemas take back of the committed ones, a line each."""
    broken = []
    for path in sorted((checkout / SCHEMAS).glob("*.json")):
        new = files.get(f"{SCHEMAS}/{path.name}")
        if new is None:
            broken.append(f"{path.stem}: no message has this type any more")
            continue
        old = json.loads(path.read_text(encoding="utf-8"))
        broken += [f"{path.stem}: {change}" for change in breaking_changes(old, json.loads(new))]
    return broken


def outdated(files: dict[str, str], checkout: Path = CHECKOUT) -> list[str]:
    """The files that are missing, differ or belong to no message."""
    found = {f"{EXAMPLES}/{path.name}" for path in (checkout / EXAMPLES).glob("*.json")}
    differing = [path for path, text in files.items() if _text_of(checkout / path) != text]
    return differing + sorted(found - files.keys())


def write(files: dict[str, str], checkout: Path = CHECKOUT) -> None:
    """Bring all files up to date."""
    for name in outdated(files, checkout):
        path = checkout / name
        if name in files:
            path.parent.mkdir(parents=True, exist_ok=True)
            path.write_text(files[name], encoding="utf-8")
        else:
            path.unlink()


def _text_of(path: Path) -> str | None:
    return path.read_text(encoding="utf-8") if path.exists() else None


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
