"""`python -m spotkeeper_contracts generate|check`, for a checkout of the project.

The one writes the files that follow from the messages, the other says whether they are current.
"""

import sys
from pathlib import Path

from spotkeeper_contracts.generated import CHECKOUT, broken_promises, generated, outdated, write

USAGE = "usage: python -m spotkeeper_contracts generate|check"
ADVICE = (
    "Declare a new version beside the old one (CONTRIBUTING.md). If no release has had the old "
    "one, or its time is over, remove its schema first."
)


def main(words: list[str], checkout: Path = CHECKOUT) -> int:
    """Do what the word says; 1 if the files are not as they should be, 2 if it is unknown."""
    if words not in (["generate"], ["check"]):
        return _complain(USAGE, status=2)
    files = generated()
    if broken := broken_promises(files, checkout):
        return _complain("A published message would break:", *broken, ADVICE)
    if words == ["generate"]:
        write(files, checkout)
    elif old := outdated(files, checkout):
        return _complain("Not current; run `make docs`:", *old)
    return 0


def _complain(*lines: str, status: int = 1) -> int:
    sys.stderr.write("\n".join(lines) + "\n")
    return status


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
