"""What `spotkeeper` and `python -m spotkeeper` run."""

import sys

INTERRUPTED = 130


def main() -> None:
    """Run the command; an interrupt while it is still loading ends it quietly as well."""
    try:
        from spotkeeper.main import app

        app(prog_name="spotkeeper")
    except KeyboardInterrupt:
        sys.exit(INTERRUPTED)


if __name__ == "__main__":
    main()
