"""How a published message may change: by new fields that may be left out, and in no other way.

Whoever reads an old message by the new schema, or a new message by the old one, must find what was
promised; so what widens a field is refused like what narrows it.
"""

from collections.abc import Iterator
from typing import Any

Schema = dict[str, Any]

ANNOTATIONS = {"$schema", "$id", "$defs", "title", "description", "examples"}
"""Keywords that promise nothing."""

FIELDS = {"properties", "required"}
NESTED = {"items", "additionalProperties"}
"""Keywords whose value is a schema of its own."""


def breaking_changes(old: Schema, new: Schema) -> list[str]:
    """What a changed JSON Schema breaks, a line each; nothing if it only adds."""
    return list(_changes(_inlined(old), _inlined(new), "message"))


def _inlined(schema: Any, definitions: Schema | None = None) -> Any:
    """The schema with its references replaced by what they name."""
    if isinstance(schema, list):
        return [_inlined(item, definitions) for item in schema]
    if not isinstance(schema, dict):
        return schema
    definitions = definitions or schema.get("$defs", {})
    inlined = {key: _inlined(value, definitions) for key, value in schema.items() if key != "$defs"}
    reference = inlined.pop("$ref", None)
    if reference is None:
        return inlined
    return _inlined(definitions[reference.removeprefix("#/$defs/")], definitions) | inlined


def _changes(old: Schema, new: Schema, where: str) -> Iterator[str]:
    yield from _field_changes(old, new, where)
    for keyword in sorted((old.keys() | new.keys()) - ANNOTATIONS - FIELDS):
        before, after = old.get(keyword), new.get(keyword)
        if keyword in NESTED and isinstance(before, dict) and isinstance(after, dict):
            yield from _changes(before, after, f"{where}[]")
        elif keyword == "anyOf" and before and after and len(before) == len(after):
            for one, other in zip(before, after, strict=True):
                yield from _changes(one, other, where)
        elif before != after:
            yield f"{where}: {keyword} was {before}, is {after}"


def _field_changes(old: Schema, new: Schema, where: str) -> Iterator[str]:
    before, after = old.get("properties", {}), new.get("properties", {})
    required_before, required = set(old.get("required", [])), set(new.get("required", []))
    for name in before:
        if name not in after:
            yield f"{where}.{name}: removed"
        elif (name in required_before) != (name in required):
            yield f"{where}.{name}: became {'required' if name in required else 'optional'}"
        else:
            yield from _changes(before[name], after[name], f"{where}.{name}")
    for name in after:
        if name not in before and name in required:
            yield f"{where}.{name}: added without a default"
