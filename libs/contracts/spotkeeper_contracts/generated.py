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

CONTRACTS = Path(__file__).parents[1]
SCHEMAS, EXAMPLES = CONTRACTS / "schemas", CONTRACTS / "examples"
ASYNCAPI = CONTRACTS.parents[1] / "docs" / "asyncapi.yaml"


def generated() -> dict[Path, str]:
    """Each file with the content that it should have."""
    records = record_types()
    schemas = {SCHEMAS / f"{name}.json": _json(record.schema) for name, record in records.items()}
    examples = {
        EXAMPLES / f"{name}.json": _json(record.example) for name, record in records.items()
    }
    return {**schemas, **examples, ASYNCAPI: to_yaml(document(records))}


def broken_promises(files: dict[Path, str], schemas: Path = SCHEMAS) -> list[str]:
    """What the new schemas take back of the committed ones, a line each."""
    broken = []
    for path in sorted(schemas.glob("*.json")):
        if path not in files:
            broken.append(f"{path.stem}: no message has this type any more")
            continue
        old, new = json.loads(path.read_text(encoding="utf-8")), json.loads(files[path])
        broken += [f"{path.stem}: {change}" for change in breaking_changes(old, new)]
    return broken


def outdated(files: dict[Path, str], examples: Path = EXAMPLES) -> list[Path]:
    """The files that are missing, differ or belong to no message."""
    differing = [path for path, text in files.items() if not _holds(path, text)]
    return differing + sorted(set(examples.glob("*.json")) - files.keys())


def write(files: dict[Path, str]) -> None:
    """Bring all files up to date."""
    for path in outdated(files):
        if path not in files:
            path.unlink()
            continue
        path.parent.mkdir(exist_ok=True)
        path.write_text(files[path], encoding="utf-8")


def _holds(path: Path, text: str) -> bool:
    return path.exists() and path.read_text(encoding="utf-8") == text


def _json(value: object) -> str:
    return json.dumps(value, indent=2, ensure_ascii=False) + "\n"
