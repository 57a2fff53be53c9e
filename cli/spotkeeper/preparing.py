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
        self._wanted = _fingerprint(around)

    @property
    def is_done(self) -> bool:
        """Whether this very program has prepared the directory before."""
        return self._file.exists() and self._file.read_text(encoding="utf-8") == self._wanted

    async def run(self) -> None:
        """Make what is missing; raises `StackError` if a step fails."""
        self._file.unlink(missing_ok=True)
        owners = [name for name in installed() if name != GATEWAY]
        await all_done([run_once(name, "migrate", self._around) for name in owners])
        await run_once("registry", "demo", self._around)
        self._file.write_text(self._wanted, encoding="utf-8")


def _fingerprint(around: Surroundings) -> str:
    """A digest of all that the steps read: the program's files, and the demo client's token."""
    digest = sha256(around.client_token.encode())
    for path in _sources():
        state = path.stat()
        digest.update(f"{path}:{state.st_size}:{state.st_mtime_ns}\n".encode())
    return digest.hexdigest()


def _sources() -> Iterator[Path]:
    for name in (*SHARED, *installed()):
        spec = find_spec(name)
        for folder in (spec.submodule_search_locations or ()) if spec else ():
            yield from sorted(Path(folder).rglob("*.py"))
