"""Makes the lock of Kafka's jars anew: `python -m spotkeeper.embedded.relock`."""

import hashlib
import tempfile
from pathlib import Path

from jgo.maven import MavenContext

from spotkeeper.embedded.artifacts import LOCK

# slf4j 2 does not bind to the 1.7 API that Kafka brings.
ROOTS = ("org.apache.kafka:kafka_2.13:4.3.1", "org.slf4j:slf4j-simple:1.7.36")
HEAD = "# Apache Kafka and all it needs: group:artifact:version sha256. Made by `make lock`.\n"


def main() -> None:
    """Resolve the roots, fetch all they need, and write coordinates and hashes."""
    with tempfile.TemporaryDirectory() as folder:
        maven = MavenContext(repo_cache=Path(folder), timeout=30)
        roots = [maven.create_dependency(root) for root in ROOTS]
        resolved, needed = maven.resolver.resolve(roots)
        lines = []
        for jar in {str(found.artifact): found.artifact for found in (*resolved, *needed)}.values():
            digest = hashlib.sha256(jar.resolve().read_bytes()).hexdigest()
            lines.append(f"{jar.groupId}:{jar.artifactId}:{jar.version} {digest}\n")
    LOCK.write_text(HEAD + "".join(sorted(lines)), encoding="utf-8")


if __name__ == "__main__":
    main()
