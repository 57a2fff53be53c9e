"""What is wrong with a process's settings is told in sentences, and it does not start."""

import asyncio
import json
import os
import socket
import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path

import pytest

from chassis.service import main
from chassis.settings import ServiceSettings
from gateway.__main__ import main as gateway_main
from tests.chassis.counter import service
from tests.sources import ROOT

HERE = "postgresql://a:secret@127.0.0.1:1/c"
PAIRS = "should be host:port, or several of them separated by commas"
ADDRESS = "should be an address that begins with postgresql://"
SERVERS = ("", "kafka", "kafka:", ":9092", "a:1,", "a:1,b", "a:0", "a:65536", "x://a:1", "a:b")
MAINS = [partial(main, service, ["run"]), partial(main, service, ["migrate"])]


@pytest.mark.parametrize("start", [*MAINS, partial(gateway_main, ["run"])])
@pytest.mark.parametrize(
    ("name", "value", "sentence"),
    [
        ("LANES", "0", "is '0' and should be greater than or equal to 1"),
        ("OPERATIONS_PORT", "99999", "is '99999' and should be less than or equal to 65535"),
        ("COMMIT_INTERVAL_SECONDS", "nan", "is 'nan' and should be a finite number"),
        ("DRAIN_SECONDS", "inf", "is 'inf' and should be a finite number"),
        ("LOG_LEVEL", "loud", "is 'loud' and should be 'debug', 'info', 'warning' or 'error'"),
        ("DSN", "mysql://a:secret@b/c", ADDRESS),
        ("DSN", "a:secret@b/c", ADDRESS),
        *(("KAFKA_BOOTSTRAP_SERVERS", text, f"is '{text}' and {PAIRS}") for text in SERVERS),
    ],
)
def test_a_wrong_setting_is_one_sentence(
    start: Callable[[], object],
    name: str,
    value: str,
    sentence: str,
    monkeypatch: pytest.MonkeyPatch,
    capfd: pytest.CaptureFixture[str],
) -> None:
    monkeypatch.setenv("SPOTKEEPER_DSN", HERE)
    monkeypatch.setenv(f"SPOTKEEPER_{name}", value)
    assert told(start, capfd) == f"SPOTKEEPER_{name} {sentence}.\n"


def told(start: Callable[[], object], capfd: pytest.CaptureFixture[str]) -> str:
    """What a process says that ends with 2 at once."""
    with pytest.raises(SystemExit) as ended:
        start()
    assert ended.value.code == 2
    out, err = capfd.readouterr()
    assert out == ""
    return err


def test_each_wrong_setting_has_its_sentence(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setenv("SPOTKEEPER_LANES", "many")
    monkeypatch.setenv("SPOTKEEPER_PORT", "70000")
    monkeypatch.delenv("SPOTKEEPER_KAFKA_BOOTSTRAP_SERVERS", raising=False)
    monkeypatch.setenv("KAFKA_BOOTSTRAP_SERVERS", "kafka")
    assert told(partial(gateway_main, ["run"]), capfd).splitlines() == [
        f"KAFKA_BOOTSTRAP_SERVERS is 'kafka' and {PAIRS}.",
        "SPOTKEEPER_LANES is 'many' and should be a valid integer, unable to parse string as an "
        "integer.",
        "SPOTKEEPER_PORT is '70000' and should be less than or equal to 65535.",
    ]


def test_a_service_without_a_database_says_so(
    monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.delenv("SPOTKEEPER_DSN", raising=False)
    sentence = "SPOTKEEPER_DSN is missing: it should be the address of PostgreSQL.\n"
    assert told(MAINS[0], capfd) == sentence


def test_a_wrong_setting_from_a_file_is_told_under_the_variable_that_names_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    file = tmp_path / "dsn"
    monkeypatch.delenv("SPOTKEEPER_DSN", raising=False)
    monkeypatch.setenv("SPOTKEEPER_DSN_FILE", str(file))
    missing = f"SPOTKEEPER_DSN_FILE names '{file}', which cannot be read: No such file or directory"
    assert told(MAINS[0], capfd) == f"{missing}.\n"
    file.write_bytes(b"\xff")
    assert told(MAINS[0], capfd) == f"SPOTKEEPER_DSN_FILE names '{file}', which is no text.\n"
    file.write_text("secret")
    assert told(MAINS[0], capfd) == f"SPOTKEEPER_DSN_FILE {ADDRESS}.\n"


@pytest.mark.parametrize("servers", ["k:1", "a.b-c:9092, [::1]:65535,d:1"])
def test_right_addresses_of_kafka_are_taken_as_they_are(servers: str) -> None:
    assert ServiceSettings(kafka_bootstrap_servers=servers).kafka_bootstrap_servers == servers


@pytest.mark.parametrize("level", ["debug", "Info", "WARNING"])
def test_a_log_level_may_be_written_in_capitals(
    level: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SPOTKEEPER_LOG_LEVEL", level)
    assert ServiceSettings().log_level == level.lower()


@pytest.mark.parametrize("module", ["tests.chassis.counter", "gateway"])
async def test_an_operations_host_that_is_nowhere_is_one_sentence(module: str) -> None:
    code, out, err = await ended(module, SPOTKEEPER_OPERATIONS_HOST="nowhere.invalid")
    assert (code, out) == (2, "")
    [sentence] = err.splitlines()
    assert sentence.startswith("SPOTKEEPER_OPERATIONS_HOST and SPOTKEEPER_OPERATIONS_PORT name")


@pytest.mark.parametrize("host", ["127.0.0.1", "nowhere.invalid", "a..b"])
async def test_a_public_port_that_is_taken_or_nowhere_is_one_sentence(host: str) -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = str(taken.getsockname()[1])
        code, out, err = await ended("gateway", SPOTKEEPER_HOST=host, SPOTKEEPER_PORT=port)
    assert (code, out) == (2, "")
    [sentence] = err.splitlines()
    assert sentence.startswith(f"SPOTKEEPER_HOST and SPOTKEEPER_PORT name {host}:{port}, where")


async def test_an_error_that_ends_a_process_is_a_line_of_its_log() -> None:
    code, out, err = await ended("tests.chassis.counter", FAILS="1")
    assert (code, err) == (1, "")
    line = json.loads(out.splitlines()[-1])
    assert (line["event"], line["level"], line["service"]) == ("ended", "error", "registry")
    assert line["error"] == "RuntimeError('a bug')"
    assert "Traceback" in line["exception"]


async def ended(module: str, **variables: str) -> tuple[int | None, str, str]:
    """How a process ends that finds no server, and what it says."""
    process = await asyncio.create_subprocess_exec(
        *(sys.executable, "-m", module),
        cwd=ROOT,
        env={**os.environ, "SPOTKEEPER_DSN": HERE, **variables},
        stdout=asyncio.subprocess.PIPE,
        stderr=asyncio.subprocess.PIPE,
    )
    out, err = await process.communicate()
    return process.returncode, out.decode(), err.decode()
