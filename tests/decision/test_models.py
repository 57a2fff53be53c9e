"""Models: missing, broken, swapped, published, watched, and judged."""

import base64
import json
import shutil
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
from spotkeeper_contracts.models import (
    GetModelReport,
    ModelRole,
)
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


async def test_promise_and_outcome_stand_side_by_side(decided: Scene) -> None:
    calm, torn, moved = OneAgent(decided), OneAgent(decided), OneAgent(decided)
    for agent in (calm, torn):
        await agent.decides({})
    later(minutes=30)
    await torn.is_noticed()
    await moved.decides()
    await moved.switches(THERE)
    later(minutes=120)
    report: Any = await decided.handle(example(GetModelReport))
    [record] = report.active
    assert record.model_version == CARD["version"]
    assert (record.decisions, record.rated_hours, record.interruptions) == (3, 2, 1)
    assert 0 < record.expected_interruptions < 0.01
    assert record.brier_score == pytest.approx(0.5, abs=0.01)
    assert (record.switches, record.interrupted_switches) == (1, 0)
    assert record.promised_savings_per_hour == pytest.approx(0.0006)
    assert record.realised_savings_per_hour == pytest.approx(0.0006)
    assert report.shadow == []


async def test_a_switch_whose_report_names_no_pool_keeps_the_promise_of_its_zone(
    decided: Scene,
) -> None:
    agent = OneAgent(decided)
    await agent.decides({"t3.medium.us-east-1b": 0.0098})
    await agent.switches("t3.medium.us-east-1b", is_named=False, az="us-east-1b")
    report: Any = await decided.handle(example(GetModelReport))
    assert [record.switches for record in report.active] == [1]
    assert report.active[0].promised_savings_per_hour == pytest.approx(0.0006)
