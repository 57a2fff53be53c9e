"""PostgreSQL refuses to run as root: who runs it then, and where that account can reach it."""

import hashlib
import os
import pwd
import shutil
from pathlib import Path

from spotkeeper.embedded.child import Account

USER = "nobody"
ROOTS_FOLDER = Path("/var/lib/spotkeeper")


def account() -> Account:
    """Our own account, or that of `nobody` if we are root."""
    if os.geteuid() != 0:
        return Account.ours()
    entry = pwd.getpwnam(USER)
    return Account(entry.pw_uid, entry.pw_gid)


def reachable_copy(binaries: Path) -> Path:
    """The server's folder, or a copy of it if the account could not reach that."""
    if _is_reachable(binaries):
        return binaries
    copy = ROOTS_FOLDER / f"postgresql-{_digest(binaries)}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        shutil.copytree(binaries, unfinished, symlinks=True)
        unfinished.rename(copy)
        _open_to_all(ROOTS_FOLDER)
    return copy


def make_reachable(wanted: Path) -> None:
    """Make `wanted`, as a link to a folder elsewhere if the account could not reach it there."""
    if not wanted.exists():
        wanted.parent.mkdir(parents=True, exist_ok=True)
        if _is_reachable(wanted.parent):
            wanted.mkdir(mode=0o700)
        else:
            elsewhere = ROOTS_FOLDER / f"data-{_digest(wanted)}"
            elsewhere.mkdir(mode=0o700, parents=True, exist_ok=True)
            _open_to_all(ROOTS_FOLDER)
            wanted.unlink(missing_ok=True)
            wanted.symlink_to(elsewhere)
    owner = account()
    os.chown(wanted, owner.uid, owner.gid)


def remove(folder: Path) -> None:
    """Remove a folder that `make_reachable` made, wherever it lies."""
    if folder.is_symlink():
        shutil.rmtree(folder.resolve(), ignore_errors=True)
        folder.unlink()
    elif folder.exists():
        shutil.rmtree(folder)


def _is_reachable(folder: Path) -> bool:
    """Whether the account that runs PostgreSQL may pass through all the folders above."""
    folder = folder.resolve()
    if account() == Account.ours():
        return True
    return all(above.stat().st_mode & 0o001 for above in (folder, *folder.parents))


def _open_to_all(folder: Path) -> None:
    folder.chmod(0o755)


def _digest(path: Path) -> str:
    return hashlib.sha256(str(path.resolve()).encode()).hexdigest()[:12]
