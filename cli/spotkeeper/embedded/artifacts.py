"""Kafka's jars: listed with their hashes in a committed lock, fetched once into the user's cache.

The artifacts come by jgo from Maven Central; where that cannot be reached, `mvn` is tried, which
knows the mirrors that its own settings name. Whichever way they come, their hashes decide.
"""

import fcntl
import hashlib
import os
import re
import shutil
import subprocess
import tempfile
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from spotkeeper.embedded.errors import StackError

LOCK = Path(__file__).parents[3] / "deploy" / "embedded" / "kafka.lock"
DOWNLOADS_AT_ONCE = 16
TIMEOUT_SECONDS = 30

Tell = Callable[[str], None]
"""Shows a line of progress."""


@dataclass(frozen=True)
class Jar:
    """One artifact of the lock."""

    group: str
    artifact: str
    version: str
    sha256: str

    @property
    def path(self) -> Path:
        """Where it lies in a Maven repository."""
        folder = Path(*self.group.split("."), self.artifact, self.version)
        return folder / f"{self.artifact}-{self.version}.jar"

    def is_in(self, cache: Path) -> bool:
        """Whether the cache has it, with the right hash."""
        path = cache / self.path
        return path.exists() and hashlib.sha256(path.read_bytes()).hexdigest() == self.sha256


def read_lock() -> list[Jar]:
    """The jars of Kafka and of all it needs."""
    lines = LOCK.read_text(encoding="utf-8").splitlines()
    return [Jar(*re.split("[: ]", line)) for line in lines if not line.startswith("#")]


def cache_folder() -> Path:
    """Where jars are kept from start to start."""
    caches = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(caches) / "spotkeeper" / "jars"


def fetch(tell: Tell) -> list[Path]:
    """The paths of all jars, after fetching those that the cache lacks."""
    cache, jars = cache_folder(), read_lock()
    with _one_at_a_time(cache):
        missing = [jar for jar in jars if not jar.is_in(cache)]
        if missing:
            tell(f"fetching Kafka ({len(missing)} jars) into {cache}")
            _fetch(missing, cache)
    return [cache / jar.path for jar in jars]


@contextmanager
def _one_at_a_time(cache: Path) -> Iterator[None]:
    cache.mkdir(parents=True, exist_ok=True)
    with (cache / "lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)  # Freed by the kernel, however we end.
        yield


def _fetch(jars: Sequence[Jar], cache: Path) -> None:
    for jar in jars:
        (cache / jar.path).unlink(missing_ok=True)
    try:
        _fetch_with_jgo(jars, cache)
    except (OSError, RuntimeError) as error:  # What requests and jgo raise.
        if shutil.which("mvn") is None:
            raise StackError(
                "Kafka's jars cannot be fetched, the artifact repository is unreachable "
                f"({type(error).__name__}); set KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own."
            ) from error
        _fetch_with_mvn([jar for jar in jars if not jar.is_in(cache)], cache)
    for jar in jars:
        if not jar.is_in(cache):
            (cache / jar.path).unlink(missing_ok=True)
            raise StackError(f"{jar.path.name} is not the file that {LOCK.name} names.")


def _fetch_with_jgo(jars: Sequence[Jar], cache: Path) -> None:
    from jgo.maven import MavenContext  # It takes 29 MB, and most starts fetch nothing.

    maven = MavenContext(repo_cache=cache, timeout=TIMEOUT_SECONDS)

    def download(jar: Jar) -> None:
        project = maven.project(jar.group, jar.artifact)
        maven.resolver.download(project.at_version(jar.version).artifact())

    with ThreadPoolExecutor(DOWNLOADS_AT_ONCE) as pool:
        list(pool.map(download, jars))


def _fetch_with_mvn(jars: Sequence[Jar], cache: Path) -> None:
    dependencies = "".join(
        f"<dependency><groupId>{jar.group}</groupId><artifactId>{jar.artifact}</artifactId>"
        f"<version>{jar.version}</version></dependency>"
        for jar in jars
    )
    with tempfile.TemporaryDirectory() as folder:
        project = Path(folder, "pom.xml")
        project.write_text(
            "<project><modelVersion>4.0.0</modelVersion><groupId>spotkeeper</groupId>"
            "<artifactId>jars</artifactId><version>1</version>"
            f"<dependencies>{dependencies}</dependencies></project>"
        )
        command = ["mvn", "--batch-mode", "--quiet", "--file", str(project)]
        command += ["dependency:copy-dependencies", "-DexcludeTransitive=true"]
        command += ["-Dmdep.useRepositoryLayout=true", f"-DoutputDirectory={cache}"]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode != 0:
        first = next((line for line in done.stdout.splitlines() if "ERROR" in line), "no reason")
        raise StackError(f"Kafka's jars cannot be fetched, neither by jgo nor by mvn: {first}")
