"""Tidiness that no other tool holds: sizes, names, clocks, vocabulary, and that nothing is dead.

Each test lists every offence of one rule. A rule's exceptions stand beside it, each with its
reason; an exception that is no longer needed fails as well. Long lines and `print` are ruff's.
"""

import ast
import re
import tokenize
import tomllib
from collections import Counter
from collections.abc import Iterable
from pathlib import PurePosixPath

import pytest

from tests.sources import MEMBERS, ROOT, SOURCES, Source

FILE_LINES, FUNCTION_LINES = 300, 70
MEANINGLESS = {"utils", "util", "common", "helpers", "helper", "manager", "base", "misc"}

CLOCK = "libs/chassis/chassis/clock.py"
AGENTS_CLOCK = "agent/spotkeeper_agent/clock.py"  # An agent stands without the chassis.
CLOCKS = {
    *("datetime.now", "datetime.utcnow", "datetime.today", "date.today", "time.time"),
    *("time.time_ns", "uuid.uuid1", "uuid.uuid4", "uuid1", "uuid4"),
}

PACED = {
    ("tests/stack.py", "eventually"): "looks again; everything that waits in a test waits here",
    ("tests/chassis/counter.py", "shut_down_agent"): "is the slow handler that a drain waits for",
    ("tests/heartbeat/bed.py", "_beat"): "beats at the pace of an agent",
    ("tests/system/conftest.py", "beat_for_ever"): "beats at the pace of an agent",
    ("tests/system/outages/test_outages.py", "_beat"): "is traffic during an outage, at a pace",
    ("tests/system/outages/test_outages.py", "_change"): "is traffic during an outage, at a pace",
    ("tests/system/outages/test_outages.py", "_register"): "is traffic during an outage, at a pace",
}

DOMAIN = {
    *("agent", "fleet", "spot", "zombie", "heartbeat", "beat", "presence", "offline", "aws", "ec2"),
    *("switch", "emergency", "instance", "decision", "price", "risk", "savings", "region"),
    *("ondemand", "registry", "tenant"),
}
"""Words that the chassis does not know. Its pool holds connections, its replicas are Kafka's, its
commands are those of a command line; and it is a gateway that waits for replies."""
NOT_DOMAIN = {
    "group_instance_id": "an option of Kafka's consumers",
    "heartbeat_interval_ms": "an option of Kafka's consumers",
}

SERVICE_FILES = {
    *("__init__", "__main__", "app", "settings", "handlers", "rules", "store", "tables"),
    *("migrations", "metrics"),
}
OWN_FILES = {
    "commands": {
        "invariants": "what must hold at every moment, for tests and for people",
    },
    "decision": {
        "acting": "when a decision is acted upon by itself",
        "choices": "what each choice costs, and its gates",
        "engine": "what decides, what watches, an answer in time",
        "features": "evidence to the model's rows",
        "model": "the only file that knows the runtime of models",
        "places": "where a pool lies, by its name",
        "prior": "what AWS publishes, as rates before evidence",
        "proof": "a new model is tried in a process of its own",
        "questions": "evidence, model and rules put together",
        "reasons": "a decision in words",
        "recordings": "recorded markets as files, to train and to back-test",
        "records": "a decision as it is kept, told and shown",
        "slots": "the models in use, and their swap",
        "trials": "rows that every model must answer",
    },
    "gateway": {
        "auth": "tokens, roles and rates come before every route",
        "bodies": "bodies are read within limits",
        "calls": "what a route names in its parameters",
        "coalescing": "beats become records by group commit",
        "connections": "heads within limits, heartbeats before ASGI",
        "door": "every request passes it before the framework",
        "errors": "every no of the HTTP contract in one list",
        "events": "the event stream",
        "farewells": "the last beat of who ends",
        "headers": "response headers of the contract",
        "heads": "request headers in one pass",
        "heartbeats": "the hot path in front of the framework",
        "lists": "pages as JSON or as CSV",
        "polling": "who waits for commands, by the view of the queues",
        "openapi": "the document of the HTTP contract",
        "owners": "questions to the owners of state",
        "rates": "a token bucket per client",
        "reference": "the page at /docs",
        "routes": "the HTTP contract, a file per subject",
        "routing": "what is common to every route",
        "running": "the parts of a gateway, wired once",
        "values": "values of HTTP bodies",
        "views": "agents as the gateway knows them",
    },
    "heartbeat": {
        "stream": "the only file that knows Faust",
        "watch": "the partitions that a process watches",
    },
    "registry": {
        "demo": "the client of the embedded stack, whose token everyone knows",
        "invariants": "what must hold at every moment, for tests and for people",
    },
}

HOMES = {
    "faust": r"services/heartbeat/heartbeat/stream\.py",
    "onnxruntime": r"services/decision/decision/model\.py",
    "sqlalchemy": r"libs/chassis/.*|tests/.*|services/\w+/\w+/(store(/\w+)?|tables)\.py"
    r"|services/\w+/\w+/migrations/.*",
    "uvicorn": r"services/gateway/gateway/(__main__|connections)\.py",
}
"""Which files may import a heavy package; import-linter holds the coarser rules."""

ENTRY_POINTS = [
    r".*/(__init__|__main__|conftest|test_\w+)\.py",
    r".*/migrations/(env|versions/\w+)\.py",  # Alembic runs them.
    r"benchmarks/baselines/\w+\.py",  # uvicorn runs them.
    r"cli/spotkeeper/embedded/launch\.py",  # Its parent runs it by its path.
    r"examples/\w+\.py",  # People run them.
]

CALLED_BY_FRAMEWORKS = {
    "field_title_should_be_set": "pydantic's schema generator asks it",
    "handle_exit": "uvicorn calls it on a signal",
    "on_first_start": "Faust calls it",
    "settings_customise_sources": "pydantic asks it where settings come from",
}
"""Names that stand where they are defined alone."""


def _none(offences: Iterable[str]) -> None:
    found = list(offences)
    assert not found, "\n".join(["", *found])


def test_the_project_is_found() -> None:
    assert CLOCK in {source.path for source in SOURCES}


def test_files_and_functions_are_short() -> None:
    _none(
        f"{source.path} has {lines} lines"
        for source in SOURCES
        if (lines := len(source.text.splitlines())) > FILE_LINES
    )
    _none(
        f"{source.path}:{function.lineno}: {function.name} has {lines} lines"
        for source in SOURCES
        for function in source.functions()
        if (lines := (function.end_lineno or 0) - function.lineno + 1) > FUNCTION_LINES
    )


def test_every_module_has_a_name_that_means_something_and_says_what_it_is() -> None:
    _none(s.path for s in SOURCES if MEANINGLESS & set(PurePosixPath(s.path[:-3]).parts))
    _none(s.path for s in SOURCES if s.text.strip() and not ast.get_docstring(s.tree))


def test_only_the_clock_knows_the_time_and_makes_ids() -> None:
    _none(
        f"{source.path}:{line}: {name}"
        for source in SOURCES
        for line, name, _ in source.calls()
        if source.path not in (CLOCK, AGENTS_CLOCK) and ".".join(name.split(".")[-2:]) in CLOCKS
    )
    _none(
        f"{source.path}:{line}: {name}"
        for source in SOURCES
        for line, name in source.imports()
        if name.partition(".")[0] == "random" and source.path.startswith(("libs/", "services/"))
    )


def test_tests_wait_on_conditions_and_never_sleep() -> None:
    sleeping = {
        (source.path, function): f"{source.path}:{line}: {name}"
        for source in SOURCES
        if source.path.startswith("tests/")
        for line, name, function in source.calls()
        if name.rpartition(".")[2] == "sleep"
    }
    _none(where for place, where in sleeping.items() if place not in PACED)
    _none(f"{place} sleeps no more" for place in PACED if place not in sleeping)


def test_what_is_left_to_do_is_an_issue() -> None:
    _none(
        f"{source.path}:{token.start[0]}: {token.string}"
        for source in SOURCES
        for token in source.tokens
        if token.type == tokenize.COMMENT
        if re.search(r"\b(TODO|FIXME|XXX|HACK)\b(?!\(#\d+\))", token.string)
    )


def test_the_chassis_knows_no_word_of_the_domain() -> None:
    _none(
        f"{source.path}:{token.start[0]}: {word}"
        for source in SOURCES
        if source.path.startswith("libs/chassis/")
        for token in source.tokens
        for name in re.findall(r"\w+", token.string)
        if name not in NOT_DOMAIN
        for word in re.findall(r"[A-Z]?[a-z0-9]+|[A-Z]+", name)
        if {word.lower(), word.lower().removesuffix("s")} & DOMAIN
    )


@pytest.mark.parametrize("member", [m for m in MEMBERS if m.startswith("services/")])
def test_services_have_the_same_files(member: str) -> None:
    name = PurePosixPath(member).name
    own, folder = OWN_FILES.get(name, {}), f"{member}/{name}/"
    inside = (s.path.removeprefix(folder) for s in SOURCES if s.path.startswith(folder))
    files = {path.partition("/")[0].removesuffix(".py") for path in inside}
    _none(f"{folder}{file} needs a reason" for file in files - SERVICE_FILES - set(own))
    _none(f"{folder}{file} is no more" for file in set(own) - files)


def test_heavy_packages_stay_at_home() -> None:
    _none(
        f"{source.path}:{line}: {name}"
        for source in SOURCES
        for line, name in source.imports()
        if (home := HOMES.get(name.partition(".")[0])) and not re.fullmatch(home, source.path)
    )


def test_the_makefile_knows_every_member() -> None:
    packaged = [*ROOT.glob("*/pyproject.toml"), *ROOT.glob("*/*/pyproject.toml")]
    folders = [path.parent.relative_to(ROOT).as_posix() for path in packaged]
    assert sorted(folders) == sorted(MEMBERS)


def test_no_module_is_dead() -> None:
    used = {name for source in SOURCES for _, name in source.imports()}
    used |= set(re.findall(r"-m ([\w.]+)", (ROOT / "Makefile").read_text(encoding="utf-8")))
    for member in MEMBERS:
        packaging = tomllib.loads((ROOT / member / "pyproject.toml").read_text(encoding="utf-8"))
        scripts = packaging["project"].get("scripts", {}).values()
        used |= {script.partition(":")[0] for script in scripts}
    _none(
        source.path
        for source in SOURCES
        if source.module not in used
        if not any(re.fullmatch(pattern, source.path) for pattern in ENTRY_POINTS)
    )


def test_no_function_class_or_constant_is_dead() -> None:
    """Each is named elsewhere too; what is not a test's own, elsewhere than in tests."""
    code = [source for source in SOURCES if not source.path.startswith("tests/")]
    named_in_code = _words(code)
    named = named_in_code + _words(source for source in SOURCES if source not in code)
    dead = {
        name: f"{source.path}:{line}: {name}"
        for source in SOURCES
        for line, name in source.definitions()
        if (named_in_code if source in code else named)[name] == 1
        if not re.match(r"test_|__", name)
    }
    _none(where for name, where in dead.items() if name not in CALLED_BY_FRAMEWORKS)
    _none(f"{name} needs no exception" for name in CALLED_BY_FRAMEWORKS if name not in dead)


def _words(sources: Iterable[Source]) -> Counter[str]:
    return Counter(word for source in sources for word in re.findall(r"\w+", source.text))
