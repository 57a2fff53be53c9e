"""What a command cannot do it says in one sentence, with nothing of libraries around it."""

import logging
from collections.abc import Iterator
from pathlib import Path

import httpx
import pytest
import structlog

from gateway.settings import GatewaySettings
from spotkeeper import deadletters
from spotkeeper.client import connected
from spotkeeper.embedded.child import free_port
from spotkeeper.main import app
from spotkeeper.terminal import run


@pytest.fixture
def loud_again() -> Iterator[None]:
    """The logs of this process as they were."""
    yield
    structlog.reset_defaults()
    logging.getLogger("aiokafka").setLevel(logging.NOTSET)


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (["agents", "--gateway", address], f"'{address}' is no address of a gateway")
        for address in (
            *("http://127.0.0.1:99999", "http://[::1", "", "127.0.0.1:5000", "ftp://any"),
            *("http://", "http://127.0.0.1:0"),
        )
    ]
    + [
        (["agents", "--gateway", f"http://{'a' * 70}"], "No answer from the gateway at http://aa"),
        (["agents", "--gateway", "http://127.0.0.1:1"], "No answer from the gateway at http://12"),
        (["agents", "--token", "é"], "A token consists of visible ASCII characters"),
        (["agents", "--token", ""], "A token consists of visible ASCII characters"),
        (["model", "list", "--token", "a b"], "A token consists of visible ASCII characters"),
        (["model", "list", "--token", "a", "--gateway", "http://[::1"], "'http://[::1' is no"),
        (["dlq", "--kafka", "127.0.0.1:abc"], "'127.0.0.1:abc' is no address of Kafka"),
        (["dlq", "--kafka", "127.0.0.1:99999"], "'127.0.0.1:99999' is no address of Kafka"),
        (["dlq", "--kafka", ""], "'' is no address of Kafka"),
        (["dlq", "--kafka", "127.0.0.1:1"], "No answer from Kafka at 127.0.0.1:1."),
    ],
)
@pytest.mark.usefixtures("loud_again")
def test_a_wrong_word_is_one_sentence(
    words: list[str],
    sentence: str,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setattr(deadletters, "WITHIN_SECONDS", 0.5)
    with pytest.raises(SystemExit) as ended:
        app(words)
    told = str(ended.value.code)
    assert told.startswith(f"spotkeeper: {sentence}")
    assert told.endswith(".")
    assert not told.endswith("..")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("variable", "value", "sentence"),
    [
        ("SPOTKEEPER_POSTGRES_DSN", dsn, f"SPOTKEEPER_POSTGRES_DSN {sentence}")
        for dsn, sentence in (
            ("nonsense", "should be an address such as postgresql://"),
            ("postgresql://a:b@127.0.0.1:x/c", "should be an address such as postgresql://"),
            ("postgresql://a:b@127.0.0.1:1/c", "leads to no database: "),
        )
    ]
    + [
        (token, value, f"{token} should consist of visible ASCII characters.")
        for token in ("SPOTKEEPER_DEMO_TOKEN", "SPOTKEEPER_ADMIN_TOKEN")
        for value in ("é", "a b", "a\n")
    ]
    + [("SPOTKEEPER_REGISTRY_DSN", "postgresql://a", "Some DSNs are given; set SPOTKEEPER_HE")],
)
def test_a_wrong_variable_of_up_is_one_sentence(
    variable: str,
    value: str,
    sentence: str,
    tmp_path: Path,
    capfd: pytest.CaptureFixture[str],
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    monkeypatch.setenv(variable, value)
    with pytest.raises(SystemExit) as ended:
        app(["up", "--port", str(free_port()), "--data-dir", str(tmp_path)])
    assert str(ended.value.code).startswith(f"spotkeeper: {sentence}")
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    ("status", "text", "sentence"),
    [
        (401, '{"error": "Invalid client token", "code": "X"}', "says: Invalid client token."),
        (
            400,
            '{"error": "Validation failed", "details": {"days": ["Too big", "Odd"], "x": ["No"]}}',
            "says: Validation failed (days: Too big, Odd; x: No).",
        ),
        (502, "<html>Bad gateway</html>", "answers with status 502."),
        (502, '["error"]', "answers with status 502."),
        (200, "<html>Welcome</html>", "at http://any: it does not speak JSON."),
    ],
)
def test_the_gateways_own_no_is_told_in_its_words(status: int, text: str, sentence: str) -> None:
    async def ask() -> None:
        async with connected("http://any", "token") as http:
            answer = httpx.Response(status, text=text, request=http.build_request("GET", "/"))
            answer.raise_for_status().json()

    with pytest.raises(SystemExit) as ended:
        run(ask())
    assert str(ended.value.code).endswith(sentence)


@pytest.mark.parametrize(
    ("size", "card", "sentence"),
    [
        (1, '{"a": NaN}', "risk.card.json is no JSON."),
        (1, '{"a": 1e400}', "risk.card.json is no JSON."),
        (1, '{"a": "\\ud800"}', "risk.card.json is no JSON."),
        (45_001, "{}", "has 45001 bytes, and 45000 can be published; let SPOTKEEPER_MODEL_FILE"),
        (45_000, "{}", "No answer from the gateway"),
    ],
)
def test_what_cannot_be_published_is_told_before_the_gateway_is_asked(
    tmp_path: Path, size: int, card: str, sentence: str
) -> None:
    (tmp_path / "risk.onnx").write_bytes(bytes(size))
    (tmp_path / "risk.card.json").write_text(card)
    words = ["model", "publish", str(tmp_path / "risk.onnx"), "--token", "a"]
    with pytest.raises(SystemExit) as ended:
        app([*words, "--gateway", "http://127.0.0.1:1"])
    assert sentence in str(ended.value.code)


async def test_the_gateway_may_wait_as_long_as_it_does_for_an_owner() -> None:
    async with connected("http://127.0.0.1:1", "any") as http:
        assert (http.timeout.read or 0) > GatewaySettings().ask_timeout_seconds
