"""Writes YAML that people like to read, of values that JSON can hold."""

import json
import re
from collections.abc import Iterator

_PLAIN = re.compile(r"[A-Za-z$/](?:[\w ,.;()/$*'`-]*[\w.)'`])?", re.ASCII)
_NOT_TEXT = {"true", "false", "yes", "no", "on", "off", "y", "n", "null"}
"""Words that YAML would take for something else."""


def to_yaml(value: object) -> str:
    """The value as a YAML document, always the same for the same value."""
    return "\n".join(_lines(value)) + "\n"


def _lines(value: object) -> Iterator[str]:
    if isinstance(value, dict) and value:
        for key, inner in value.items():
            yield from _under(f"{_line(key)}:", inner)
    elif isinstance(value, list) and value:
        for inner in value:
            first, *rest = _lines(inner)
            yield f"- {first}"
            yield from _indented(rest)
    elif isinstance(value, str):
        yield from _block(value) if _is_block(value) else [_line(value)]
    else:
        yield json.dumps(value)


def _under(head: str, value: object) -> Iterator[str]:
    first, *rest = _lines(value)
    if isinstance(value, dict | list) and value:
        yield head
        yield from _indented([first, *rest])
    else:
        yield f"{head} {first}"
        yield from _indented(rest)


def _indented(lines: list[str]) -> Iterator[str]:
    return (f"  {line}".rstrip() for line in lines)


def _line(text: str) -> str:
    """Plain where YAML would read the same text, else quoted."""
    plain = _PLAIN.fullmatch(text) and text.lower() not in _NOT_TEXT
    return text if plain else json.dumps(text, ensure_ascii=not text.isprintable())


def _is_block(text: str) -> bool:
    lines = text.split("\n")
    clean = all(line.isprintable() and line == line.rstrip() for line in lines)
    return clean and len(lines) > 1 and lines[-1] != "" and lines[0][:1].strip() != ""


def _block(text: str) -> list[str]:
    return ["|-", *text.split("\n")]
