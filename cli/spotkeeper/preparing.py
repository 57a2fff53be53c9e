"""Topics, tables and the demo client: made at the first start, and again when the program changed.

Each of these steps changes nothing if it was done before, but takes seconds to find that out.
"""

from collections.abc import Iterator
from hashlib import sha256
from importlib.util import find_spec
from pathlib import Path

from spotkeeper.services import GATEWAY, Surroundings, all_done, installed, run_once

SHARED = ("spotkeeper_contracts", "chassis")


class Preparation:
    """What a data directory was prepared for, told by a file in it."""

    def __init__(self, around: Surroundings) -> None:
        self._around = around
        self._file = around.folder.prepared

    @property
    def is_done(self) -> bool:
        """Whether this very program has prepared this very broker and database before."""
        if not self._file.exists():
            return False
        return self._file.read_text(encoding="utf-8") == _fingerprint(self._around)

    async def run(self) -> None:
        """Make what is missing; raises `StackError` if a step fails."""
        self._file.unlink(missing_ok=True)
        owners = [name for name in installed() if name != GATEWAY]
        await all_done([run_once(name, "migrate", self._around) for name in owners])
        await run_once("registry", "demo", self._around)
        self._file.write_text(_fingerprint(self._around), encoding="utf-8")


def _fingerprint(around: Surroundings) -> str:
    """A digest of the program's files, the demo client's token, and what a new broker or database
    would have anew: so one whose data somebody removed is not taken for the old one.
    """
    digest = sha256(around.client_token.encode())
    for path in (*_sources(), *around.folder.births):
        state = path.stat() if path.exists() else None
        told = state and f"{path}:{state.st_size}:{state.st_mtime_ns}"
        digest.update(f"{told}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in (*SHARED, *installed()):
        spec = find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(folder).rglob("*.py"))
