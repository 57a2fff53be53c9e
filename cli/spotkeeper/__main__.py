"""`python -m spotkeeper` is `spotkeeper`."""

from spotkeeper.main import app

if __name__ == "__main__":
    app(prog_name="spotkeeper")
