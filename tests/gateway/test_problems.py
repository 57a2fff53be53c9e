"""What is documented as a "no" is one that somebody says, in just these words."""

import ast
import re
from collections.abc import Iterator

from gateway import errors
from gateway.errors import Problem
from tests.sources import SOURCES

PROBLEMS = {name: value for name, value in vars(errors).items() if isinstance(value, Problem)}
OF_GATEWAY = "services/gateway/"


def said_by_owners() -> dict[str, set[str]]:
    """By code, the texts that owners refuse with, as patterns: what varies may be anything."""
    said: dict[str, set[str]] = {}
    for source in SOURCES:
        if source.path.startswith(("services/", "libs/")) and OF_GATEWAY not in source.path:
            for code, text in _refusals(source.tree):
                said.setdefault(code, set()).add(text)
    return said


def said_by_gateway() -> set[str]:
    """The names of the problems that its code speaks of, the declarations of routes aside."""
    return {
        name
        for source in SOURCES
        if source.path.startswith(OF_GATEWAY) and not source.path.endswith("/openapi.py")
        for name in _names(source.tree)
    }


def test_every_documented_problem_is_said_by_somebody() -> None:
    owners, gateway = said_by_owners(), said_by_gateway()
    assert [n for n, p in PROBLEMS.items() if p.code not in owners and n not in gateway] == []


def test_what_an_owner_says_is_documented_in_its_words() -> None:
    owners, gateway = said_by_owners(), said_by_gateway()
    assert [
        problem.text
        for name, problem in PROBLEMS.items()
        if name not in gateway and problem.code in owners
        if not any(re.fullmatch(text, problem.text) for text in owners[problem.code])
    ] == []


def _refusals(tree: ast.AST) -> Iterator[tuple[str, str]]:
    for node in ast.walk(tree):
        if not (isinstance(node, ast.Call) and isinstance(node.func, ast.Name)):
            continue
        told = [*node.args, *(word.value for word in node.keywords)]
        if node.func.id in ("Refused", "Refusal") and isinstance(told[0], ast.Constant):
            yield str(told[0].value), _pattern(told[1])


def _pattern(text: ast.expr) -> str:
    match text:
        case ast.Constant():
            return re.escape(str(text.value))
        case ast.JoinedStr():
            return "".join(_pattern(part) for part in text.values)
    return ".*"


def _names(node: ast.AST) -> Iterator[str]:
    match node:
        case ast.Name(id=name, ctx=ast.Load()) | ast.Attribute(attr=name):
            yield name
    for field, value in ast.iter_fields(node):
        for child in value if isinstance(value, list) else [value]:
            if isinstance(child, ast.AST) and field != "decorator_list":
                yield from _names(child)
