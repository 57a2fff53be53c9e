"""What `spotkeeper up` shows: progress, then a live summary; plain lines without a terminal."""

from collections.abc import Callable

from rich.console import Console, RenderableType
from rich.live import Live

REFRESHES_PER_SECOND = 2


class Screen:
    """Standard output, or, if that is for a machine's result, standard error."""

    def __init__(self, *, result_on_stdout: bool) -> None:
        self._console = Console(stderr=result_on_stdout, highlight=False, markup=False, emoji=False)

    @property
    def is_terminal(self) -> bool:
        """Whether a person looks at it."""
        return self._console.is_terminal

    def tell(self, text: str) -> None:
        """Show a line of progress."""
        self.show(f"· {text}")

    def show(self, text: str) -> None:
        """Show text as it is."""
        self._console.print(text, soft_wrap=True)

    def result(self, line: str) -> None:
        """Give a line to the program that reads standard output."""
        print(line, flush=True)

    def live(self, render: Callable[[], RenderableType]) -> Live:
        """A part at the foot of the terminal that is drawn anew all the time."""
        return Live(
            get_renderable=render,
            console=self._console,
            refresh_per_second=REFRESHES_PER_SECOND,
        )
