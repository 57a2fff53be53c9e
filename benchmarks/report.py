"""What a benchmark reports: figures, each with its goal where there is one."""

from dataclasses import dataclass

from rich.console import Console
from rich.table import Table


@dataclass(frozen=True)
class Line:
    """One figure. `at_most` or `at_least` is its goal, in the same unit."""

    what: str
    figure: float
    unit: str
    at_most: float | None = None
    at_least: float | None = None

    @property
    def verdict(self) -> str:
        """Whether the goal was reached."""
        if self.at_most is not None:
            return "reached" if self.figure <= self.at_most else "MISSED"
        if self.at_least is not None:
            return "reached" if self.figure >= self.at_least else "MISSED"
        return ""

    @property
    def goal(self) -> str:
        """The goal as text."""
        if self.at_most is not None:
            return f"≤ {self.at_most:g}"
        return "" if self.at_least is None else f"≥ {self.at_least:g}"


def print_lines(lines: list[Line]) -> None:
    """Print the figures as a table."""
    table = Table("what", "figure", "unit", "goal", "")
    for line in lines:
        table.add_row(line.what, f"{line.figure:,.1f}", line.unit, line.goal, line.verdict)
    Console(width=110).print(table)
