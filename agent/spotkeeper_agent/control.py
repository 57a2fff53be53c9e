"""A folder through which people crash agents of a running fleet, revive and interrupt them.

It holds the fleet's names in one file, and a file for each agent that has crashed. A crashed agent
stays so when the fleet is started anew, as an instance without its agent would.
"""

from collections.abc import Iterable
from pathlib import Path

DEFAULT_FOLDER = Path(".spotkeeper/control")
_NAMES, _CRASHED, _INTERRUPTED = "fleet", ".crashed", ".interrupted"


class ControlError(Exception):
    """What a person asked for cannot be done; the text says why."""


class Control:
    """The folder, for the fleet that obeys it and for people."""

    def __init__(self, folder: Path) -> None:
        self._folder = folder

    def open(self, names: Iterable[str]) -> None:
        """Tell which agents there are."""
        self._folder.mkdir(parents=True, exist_ok=True)
        (self._folder / _NAMES).write_text("\n".join(names), encoding="utf-8")

    def close(self) -> None:
        """Tell that there are no agents any more."""
        (self._folder / _NAMES).unlink(missing_ok=True)

    def crashed(self) -> set[str]:
        """The names of the agents that shall be silent."""
        return {file.stem for file in self._folder.glob(f"*{_CRASHED}")}

    def stop(self, name: str) -> None:
        """Let an agent crash: it falls silent at once; raises `ControlError`."""
        self._file(name, _CRASHED).touch()

    def start(self, name: str) -> None:
        """Bring an agent back that was stopped; raises `ControlError`."""
        self._file(name, _CRASHED).unlink(missing_ok=True)

    def interrupt(self, name: str) -> None:
        """Let AWS take an agent's spot instance back; raises `ControlError`."""
        file = self._file(name, _INTERRUPTED)
        if name in self.crashed():
            raise ControlError(f"{name} is stopped, and would not hear of it; start it first.")
        file.touch()

    def take_interrupted(self) -> set[str]:
        """The names of the agents whose instances AWS shall take back; each is told once."""
        files = list(self._folder.glob(f"*{_INTERRUPTED}"))
        for file in files:
            file.unlink()
        return {file.stem for file in files}

    def _file(self, name: str, ending: str) -> Path:
        try:
            names = (self._folder / _NAMES).read_text(encoding="utf-8").split()
        except FileNotFoundError:
            raise ControlError(f"No simulated fleet runs with {self._folder}.") from None
        if name not in names:
            there = f"{names[0]} to {names[-1]}" if names else "no agents"
            raise ControlError(f"The simulated fleet has no {name}; there are {there}.")
        return self._folder / f"{name}{ending}"
