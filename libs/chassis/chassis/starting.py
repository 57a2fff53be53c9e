"""The start of a process and its end: what is wrong is told to people, or in a line of the log."""

import os
import re
import sys
from collections.abc import Coroutine
from typing import Any, Never, TypeVar

import uvloop
from pydantic import SecretStr, ValidationError
from pydantic_settings import SettingsError

from chassis.health import CannotListen
from chassis.log import get_logger
from chassis.settings import PREFIX, ServiceSettings, variables

log = get_logger()

Settings = TypeVar("Settings", bound=ServiceSettings)


def read_settings(kind: type[Settings]) -> Settings:
    """The settings; if some are wrong, a sentence about each, and the process ends with 2."""
    try:
        return kind()
    except ValidationError as error:
        end(*(_sentence(kind, each) for each in error.errors(include_url=False)))
    except SettingsError as error:
        field = re.search(r'value for field "(\w+)"', str(error))  # pydantic's words, or our own.
        end(f"{PREFIX}{field[1].upper()} should be JSON." if field else str(error))


def end(*sentences: str) -> Never:
    """Tell what is wrong with how the process was started, and end it with 2."""
    sys.stderr.write("".join(f"{sentence}\n" for sentence in sentences))
    sys.exit(2)


def run_to_its_end(work: Coroutine[None, None, None]) -> None:
    """Do the work of a process; an error that ends it is a line of the log, and it ends with 1."""
    try:
        uvloop.run(work)
    except CannotListen as error:
        end(str(error))
    except Exception as error:  # Nobody above would tell of it as JSON.
        log.error("ended", error=repr(error), exc_info=error)
        sys.exit(1)


def _sentence(kind: type[ServiceSettings], error: Any) -> str:
    """What is wrong with a setting, under the variable that it came from; no secret is told."""
    found, *where = error["loc"]
    [(name, field)] = [
        (name, field)
        for name, field in kind.model_fields.items()
        if found in (name, *variables(name, field))
    ]
    given = [*variables(name, field), f"{PREFIX}{name.upper()}_FILE"]
    known = {variable.upper() for variable in os.environ}
    variable = next((each for each in given if each in known), given[0])
    variable += "".join(f"[{index}]" for index in where)
    is_secret = SecretStr.__name__ in repr(field.annotation)  # However deep it stands there.
    value = "" if is_secret else f" is {error['input']!r} and"
    text = error["msg"].removeprefix("Value error, ").removeprefix("Input ")
    return f"{variable}{value} {text}." if text.startswith("should") else f"{variable}: {text}."
