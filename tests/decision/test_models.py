"""Models: missing, broken, swapped, published, watched, and judged."""

import base64
import json
import shutil
import sys
import threading
import time
from collections.abc import AsyncIterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

from chassis import clock
from chassis.testing import Scene, example, scene
from decision.app import service
from decision.engine import engine_of
from decision.model import INPUT, SHIPPED, card_path
from decision.questions import answer
from decision.slots import ANSWERS_AT_ONCE, Asked, Slot
from spotkeeper_contracts.decisions import DecisionMade, Recommendation
from spotkeeper_contracts.models import ModelRole, PublishModel, WithdrawModel
from tests.decision.fleet import THERE, OneAgent, later, look
from tests.stack import eventually

CARD: dict[str, Any] = json.loads(card_path(SHIPPED).read_text(encoding="utf-8"))
ONNX = base64.b64encode(SHIPPED.read_bytes()).decode()


@pytest.fixture
def file(tmp_path: Path) -> Path:
    """A model of a test's own, beside its card."""
    path = tmp_path / "risk.onnx"
    shutil.copy(SHIPPED, path)
    shutil.copy(card_path(SHIPPED), card_path(path))
    return path


@pytest.fixture
async def with_file(
    addresses: dict[str, str], file: Path, monkeypatch: pytest.MonkeyPatch
) -> AsyncIterator[Scene]:
    """The service, told of that file."""
    monkeypatch.setenv("SPOTKEEPER_MODEL_FILE", str(file))
    async with scene(service, addresses["decision"]) as acted:
        yield acted
    clock.move(timedelta())


def write(path: Path, content: bytes) -> None:
    """Write a model, or what is none."""
    path.write_bytes(content)


def remove(path: Path) -> None:
    """Let there be no model."""
    path.unlink()


def renamed(path: Path, version: str) -> None:
    """Give a model's card another version, as a newer file has."""
    card_path(path).write_text(json.dumps({**CARD, "version": version}), encoding="utf-8")


async def test_a_missing_model_degrades_and_stops_nothing(with_file: Scene, file: Path) -> None:
    remove(file)
    agent = OneAgent(with_file)
    answer = await agent.decides()
    assert answer.outcome == "degraded"
    assert (answer.recommendation, answer.confidence, answer.risk_score) == ("stay", 0.0, 1.0)
    assert "egraded" in answer.reason
    [made] = agent.emitted(DecisionMade)
    assert not made.will_auto_execute
    assert (await agent.explained()).model_version is None
    told = await look(with_file)
    assert (told.healthy, told.model_loaded, told.model_version) == (False, False, None)


@pytest.mark.parametrize("content", [b"", b"no model", SHIPPED.read_bytes()[:-1]])
async def test_a_broken_model_degrades(with_file: Scene, file: Path, content: bytes) -> None:
    write(file, content)
    assert (await OneAgent(with_file).decides()).outcome == "degraded"
    assert not (await look(with_file)).healthy


async def test_the_recommendation_is_degraded_as_well(with_file: Scene, file: Path) -> None:
    remove(file)
    agent = OneAgent(with_file)
    await agent.reports({"us-east-1a-pool-1": 0.0104, THERE: 0.0098})
    told = await agent.recommendation()
    assert (told.outcome, told.recommendation, told.confidence) == ("degraded", "stay", 0.0)
    assert not told.will_auto_execute


async def test_a_file_that_is_mended_is_taken_up(with_file: Scene, file: Path) -> None:
    write(file, b"half a mod")
    agent = OneAgent(with_file)
    assert (await agent.decides()).outcome == "degraded"
    write(file, SHIPPED.read_bytes())
    assert (await look(with_file)).healthy
    assert (await agent.decides()).outcome is None


async def test_a_file_that_could_not_be_tried_for_want_of_a_process_is_tried_again(
    with_file: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    with monkeypatch.context() as without_processes:
        without_processes.setattr(sys, "executable", "/nowhere/python")
        with pytest.raises(OSError, match="/nowhere/python"):
            await look(with_file)
    assert (await look(with_file)).model_version == CARD["version"]


async def test_a_new_file_is_swapped_in_without_a_restart(with_file: Scene, file: Path) -> None:
    agent = OneAgent(with_file)
    await agent.decides()
    renamed(file, "risk-next")
    assert (await look(with_file)).model_version == "risk-next"
    await agent.decides()
    assert (await agent.explained()).model_version == "risk-next"


async def test_a_bad_file_leaves_the_model_in_use_and_raises_the_alarm(
    with_file: Scene, file: Path
) -> None:
    agent = OneAgent(with_file)
    await agent.decides()
    write(file, b"no model")
    told = await look(with_file)
    assert (told.healthy, told.model_loaded) == (False, True)
    assert (await agent.decides()).outcome is None


async def test_a_published_model_makes_up_for_a_bad_file(with_file: Scene, file: Path) -> None:
    write(file, b"no model")
    assert not (await look(with_file)).healthy
    told = {"role": "active", "onnx": ONNX, "card": CARD}
    await with_file.handle(example(PublishModel, **told), actor="admin")
    assert (await look(with_file)).healthy
    await with_file.handle(WithdrawModel(role=ModelRole.ACTIVE))
    assert not (await look(with_file)).healthy


async def test_a_recent_decision_is_repeated_while_the_engine_is_away(
    with_file: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = OneAgent(with_file)
    await agent.decides()
    engine = engine_of(with_file.tx.settings)
    monkeypatch.setattr(engine, "active", Slot(ModelRole.ACTIVE, None, answer_seconds=0.5))
    again = await agent.decides()
    assert (again.outcome, again.recommendation) == ("degraded", Recommendation.SWITCH)
    assert again.target_pool == THERE
    assert "egraded" in again.reason
    [made] = agent.emitted(DecisionMade)
    assert not made.will_auto_execute
    elsewhere = await agent.decides({"another-pool": 0.0098})
    assert elsewhere.recommendation is Recommendation.STAY
    later(minutes=6)
    assert (await agent.decides()).recommendation is Recommendation.STAY


async def test_an_engine_that_takes_too_long_is_not_waited_for(
    with_file: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    def slow(question: Any, model: Any) -> Any:
        until = time.monotonic() + 0.3
        while time.monotonic() < until:
            pass
        return answer(question, model)

    agent = OneAgent(with_file)
    await agent.is_known()
    engine = engine_of(with_file.tx.settings)
    monkeypatch.setattr("decision.engine.answer", slow)
    monkeypatch.setattr(engine, "_timeout_seconds", 0.05)
    told = await agent.decides()
    assert (told.outcome, told.confidence, told.risk_score) == ("degraded", 0.0, 1.0)
    assert "in time" in told.reason
    monkeypatch.undo()
    assert (await look(with_file)).healthy


def hanging_of(slot: Slot) -> int:
    """How many of a model's threads have not answered in time."""
    return len(slot.asked.hanging) if slot.asked else 0


async def test_an_engine_that_hangs_is_asked_no_more_than_it_has_threads(
    with_file: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = threading.Event()
    asked = []

    def hangs(question: Any, model: Any) -> Any:
        asked.append(question)
        release.wait(60)
        return answer(question, model)

    agent = OneAgent(with_file)
    await agent.is_known()
    engine = engine_of(with_file.tx.settings)
    monkeypatch.setattr("decision.engine.answer", hangs)
    monkeypatch.setattr(engine, "_timeout_seconds", 0.05)
    told = [await agent.decides() for _ in range(2 * ANSWERS_AT_ONCE)]
    assert {one.outcome for one in told} == {"degraded"}
    assert len(asked) == ANSWERS_AT_ONCE
    monkeypatch.undo()
    release.set()
    await eventually(lambda: not hanging_of(engine.active), within_seconds=5)
    assert (await look(with_file)).healthy
    assert (await agent.decides()).outcome is None


class Fussy:
    """A runtime that fails at all but the rows of pools of which nothing is known."""

    def __init__(self, session: Any) -> None:
        self._session = session

    def run(self, names: list[str], rows: dict[str, Any]) -> Any:
        if rows[INPUT][:, 1:].any():
            raise ValueError("too much is known")
        return self._session.run(names, rows)


async def test_an_engine_that_fails_at_all_decisions_does_not_say_that_it_is_well(
    with_file: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = OneAgent(with_file)
    await agent.decides()
    slot = engine_of(with_file.tx.settings).active
    assert slot.model is not None
    failing = replace(slot.model, _session=Fussy(slot.model._session))
    monkeypatch.setattr(slot, "_of_file", Asked(failing))
    for _ in range(2):
        assert (await agent.decides()).outcome == "degraded"
        assert not (await look(with_file)).healthy
    monkeypatch.undo()
    assert (await look(with_file)).healthy
