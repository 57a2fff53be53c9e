"""The hand-written pages lead to what exists, and say of the topics what is declared."""

import re
from pathlib import Path

import pytest

from spotkeeper_contracts import TOPICS
from tests.sources import ROOT

PAGES = sorted({*ROOT.glob("*.md"), *(ROOT / "docs").rglob("*.md")})
ARCHITECTURE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)#\s]+)", text) + re.findall(
        r"^\[\w+\]: (\S+)$", text, re.MULTILINE
    )
    inside = [link for link in links if not link.startswith("http")]
    assert [link for link in inside if not (page.parent / link).exists()] == []


def test_every_decision_is_listed() -> None:
    folder = ROOT / "docs" / "decisions"
    index = (folder / "README.md").read_text(encoding="utf-8")
    decisions = sorted(path.name for path in folder.glob("[0-9]*.md"))
    assert re.findall(r"\((\d{4}-[\w-]+\.md)\)", index) == decisions
    assert [name[:4] for name in decisions] == [f"{n:04}" for n in range(1, len(decisions) + 1)]


def test_the_table_of_topics_is_true() -> None:
    rows = re.findall(r"^\| `([\w-]+)` \| ([^|]+) \| ([^|]+) \| ([^|]+) \|", ARCHITECTURE, re.M)
    told = {name: (_names(writers), _names(readers)) for name, _, writers, readers in rows}
    declared = {name: (set(it.written_by), set(it.read_by)) for name, it in TOPICS.items()}
    assert told == declared


def _names(cell: str) -> set[str]:
    return set(cell.split(", "))
