"""The project's own Python files and members, as the tests of the repository see them."""

import ast
import io
import re
import subprocess
import tokenize
from collections.abc import Iterator
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path, PurePosixPath

ROOT = Path(__file__).parents[1]
Function = ast.FunctionDef | ast.AsyncFunctionDef
PLAIN_DECORATORS = {"property", "cached_property", "classmethod", "staticmethod"}
"""These leave it to others to name what they decorate."""


@dataclass(frozen=True)
class Source:
    """A Python file of the project."""

    path: str

    @cached_property
    def text(self) -> str:
        return (ROOT / self.path).read_text(encoding="utf-8")

    @cached_property
    def tree(self) -> ast.Module:
        return ast.parse(self.text, self.path)

    @cached_property
    def tokens(self) -> list[tokenize.TokenInfo]:
        return list(tokenize.generate_tokens(io.StringIO(self.text).readline))

    @property
    def module(self) -> str:
        """Its name in import statements: the path below the member's folder."""
        member = next((m for m in MEMBERS if self.path.startswith(f"{m}/")), "")
        parts = PurePosixPath(self.path).relative_to(member).with_suffix("").parts
        return ".".join(parts).removesuffix(".__init__")

    def imports(self) -> Iterator[tuple[int, str]]:
        """Each imported name in full, with its line."""
        for node in ast.walk(self.tree):
            if isinstance(node, ast.Import):
                yield from ((node.lineno, alias.name) for alias in node.names)
            elif isinstance(node, ast.ImportFrom):
                assert node.level == 0, f"{self.path}:{node.lineno}: a relative import"
                yield node.lineno, str(node.module)
                yield from ((node.lineno, f"{node.module}.{alias.name}") for alias in node.names)

    def functions(self) -> Iterator[Function]:
        return (node for node in ast.walk(self.tree) if isinstance(node, Function))

    def definitions(self) -> Iterator[tuple[int, str]]:
        """Each function, class and constant by name, unless a decorator takes it into its hands."""
        for node in ast.walk(self.tree):
            if not isinstance(node, Function | ast.ClassDef):
                continue
            if {ast.unparse(each) for each in node.decorator_list} <= PLAIN_DECORATORS:
                yield node.lineno, node.name
        for statement in self.tree.body:
            if isinstance(statement, ast.Assign | ast.AnnAssign):
                names = (n for n in ast.walk(statement) if isinstance(n, ast.Name))
                yield from ((n.lineno, n.id) for n in names if isinstance(n.ctx, ast.Store))

    def calls(self) -> Iterator[tuple[int, str, str]]:
        """Each called name as it is written, with its line and the function it stands in."""
        yield from _calls(self.tree, "")


def _calls(node: ast.AST, function: str) -> Iterator[tuple[int, str, str]]:
    for child in ast.iter_child_nodes(node):
        if isinstance(child, ast.Call) and isinstance(child.func, ast.Name | ast.Attribute):
            yield child.lineno, ast.unparse(child.func), function
        yield from _calls(child, child.name if isinstance(child, Function) else function)


def _listed() -> list[str]:
    """The files of the project: what git knows, or all where there is no git."""
    git = ["git", "ls-files", "--", "*.py"]
    listing = subprocess.run(git, cwd=ROOT, capture_output=True, text=True, check=False)
    if listing.returncode == 0:
        return [path for path in listing.stdout.splitlines() if (ROOT / path).exists()]
    found = (path.relative_to(ROOT) for path in ROOT.rglob("*.py"))
    return [path.as_posix() for path in found if not any(p.startswith(".") for p in path.parts)]


def _members() -> list[str]:
    makefile = (ROOT / "Makefile").read_text(encoding="utf-8")
    (members,) = re.findall(r"^MEMBERS := (.*)$", makefile, re.MULTILINE)
    return str(members).split()


MEMBERS = _members()
SOURCES = [Source(path) for path in sorted(_listed())]
