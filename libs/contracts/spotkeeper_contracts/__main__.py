"""`python -m spotkeeper_contracts generate|check`, for a checkout of the project.

The one writes the files that follow from the messages, the other says whether they are current.
"""

import sys

from spotkeeper_contracts.generated import broken_promises, generated, outdated, write

USAGE = "usage: python -m spotkeeper_contracts generate|check\n"
ADVICE = "Declare a new version beside the old one. If it was never released, remove its schema.\n"


def main(words: list[str]) -> int:
    """Do what the word says; 1 if the files are not as they should be, 2 if it is unknown."""
    if words not in (["generate"], ["check"]):
        sys.stderr.write(USAGE)
        return 2
    files = generated()
    if broken := broken_promises(files):
        sys.stderr.write("\n".join(["A published message would break:", *broken, ADVICE]))
        return 1
    if words == ["generate"]:
        write(files)
    elif old := outdated(files):
        sys.stderr.write("\n".join(["Run `make docs`; not current:", *map(str, old), ""]))
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
