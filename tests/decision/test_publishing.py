"""Models that are published: checked, taken up, held in their roles, and withdrawn."""

import base64
import hashlib
import json
import threading
from collections.abc import AsyncIterator
from typing import Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from chassis.testing import Scene, example
from decision.engine import engine_of
from decision.model import INPUT, SHIPPED, ModelCard, ModelError, card_path
from decision.proof import prove
from decision.questions import answer
from decision.slots import ANSWERS_AT_ONCE
from spotkeeper_contracts import Refused
from spotkeeper_contracts.models import (
    GetModelReport,
    ListModels,
    ModelRole,
    PublishModel,
    WithdrawModel,
)
from tests.decision.fleet import OneAgent, later, look

CARD: dict[str, Any] = json.loads(card_path(SHIPPED).read_text(encoding="utf-8"))
ONNX = base64.b64encode(SHIPPED.read_bytes()).decode()


@pytest.fixture(autouse=True)
async def forgotten(decided: Scene) -> AsyncIterator[None]:
    """The engine outlives a test, and what a test published is not to decide in the next."""
    yield
    for slot in engine_of(decided.tx.settings).slots:
        await slot.publish(None)


async def publish(decided: Scene, **fields: Any) -> Any:
    told = {"role": "active", "onnx": ONNX, "card": CARD, **fields}
    return await decided.handle(example(PublishModel, **told), actor="admin")


async def test_a_published_model_stands_above_the_file(decided: Scene) -> None:
    await publish(decided, card={**CARD, "version": "risk-published"})
    assert (await look(decided)).model_version == "risk-published"
    [known] = (await decided.handle(ListModels())).models  # type: ignore[union-attr]  # never None here
    assert (known.role, known.published_by) == (ModelRole.ACTIVE, "admin")
    await decided.handle(WithdrawModel(role=ModelRole.ACTIVE))
    assert (await look(decided)).model_version == CARD["version"]
    with pytest.raises(Refused, match="MODEL_NOT_FOUND"):
        await decided.handle(WithdrawModel(role=ModelRole.ACTIVE))
    await look(decided)


@pytest.mark.parametrize(
    ("fields", "field"),
    [
        ({"onnx": "no base 64!"}, "onnx"),
        ({"onnx": "\u00e9"}, "onnx"),
        ({"onnx": base64.b64encode(b"no model").decode()}, "card.sha256"),
        ({"card": {**CARD, "sha256": "0" * 64}}, "card.sha256"),
        ({"card": {**CARD, "size_bytes": CARD["size_bytes"] - 1}}, "card.size_bytes"),
        ({"card": {"name": "risk"}}, "card.version"),
        ({"card": {**CARD, "version": "v" * 256}}, "card.version"),
        ({"card": {**CARD, "version": ""}}, "card.version"),
        ({"card": {**CARD, "features": ["price"]}}, "onnx"),
    ],
)
async def test_a_model_that_fails_a_check_is_refused(
    decided: Scene, fields: dict[str, Any], field: str
) -> None:
    with pytest.raises(Refused) as refused:
        await publish(decided, **fields)
    assert refused.value.refusal.status == 400
    assert list(refused.value.refusal.details or {}) == [field]
    assert (await decided.handle(ListModels())).models == []  # type: ignore[union-attr]  # never None here


async def test_a_shadow_is_recorded_and_never_acts(decided: Scene) -> None:
    agent = OneAgent(decided)
    await publish(decided, role="shadow", card={**CARD, "version": "risk-shadow"})
    assert (await look(decided)).model_version == CARD["version"]
    await agent.decides()
    made = await agent.explained()
    assert made.model_version == CARD["version"]
    assert made.shadow is not None
    assert made.shadow.model_version == "risk-shadow"
    await decided.handle(WithdrawModel(role=ModelRole.SHADOW))
    await look(decided)
    await agent.decides()
    assert (await agent.explained()).shadow is None


async def test_a_model_that_watches_is_judged_like_the_one_that_decides(decided: Scene) -> None:
    calm, torn = OneAgent(decided), OneAgent(decided)
    await publish(decided, role="shadow", card={**CARD, "version": "risk-shadow"})
    await look(decided)
    for agent in (calm, torn):
        await agent.decides({})
    later(minutes=30)
    await torn.is_noticed()
    later(minutes=120)
    report: Any = await decided.handle(example(GetModelReport))
    [decider], [watcher] = report.active, report.shadow
    assert (watcher.decisions, watcher.rated_hours, watcher.interruptions) == (2, 2, 1)
    assert watcher == decider.model_copy(update={"model_version": "risk-shadow"})


async def roles(decided: Scene) -> dict[str | None, str]:
    """The version that has each role, as the list tells it."""
    told: Any = await decided.handle(ListModels())
    return {model.role and model.role.value: model.version for model in told.models}


async def test_one_file_can_decide_and_watch(decided: Scene) -> None:
    await publish(decided, role="active", card={**CARD, "version": "risk-acts"})
    await publish(decided, role="shadow", card={**CARD, "version": "risk-watches"})
    assert await roles(decided) == {"active": "risk-acts", "shadow": "risk-watches"}
    assert (await look(decided)).model_version == "risk-acts"
    agent = OneAgent(decided)
    await agent.decides()
    made = await agent.explained()
    assert made.model_version == "risk-acts"
    assert made.shadow is not None
    assert made.shadow.model_version == "risk-watches"


async def test_a_shadow_that_is_made_active_watches_on_until_it_is_withdrawn(
    decided: Scene,
) -> None:
    for role in ("shadow", "active"):
        await publish(decided, role=role)
    assert await roles(decided) == {"active": CARD["version"], "shadow": CARD["version"]}
    withdrawn: Any = await decided.handle(WithdrawModel(role=ModelRole.SHADOW))
    assert (withdrawn.model.sha256, withdrawn.model.role) == (CARD["sha256"], None)
    assert await roles(decided) == {"active": CARD["version"]}
    await decided.handle(WithdrawModel(role=ModelRole.ACTIVE))
    assert await roles(decided) == {None: CARD["version"]}


async def test_the_same_file_with_another_card_is_taken_up(decided: Scene) -> None:
    for version in ("risk-one", "risk-two"):
        await publish(decided, card={**CARD, "version": version})
        assert (await look(decided)).model_version == version
    assert await roles(decided) == {"active": "risk-two"}


def looping(times: int) -> dict[str, Any]:
    """The shipped model, which goes round for nothing so many times before it answers."""
    model = onnx.load_model_from_string(SHIPPED.read_bytes())
    graph = model.graph
    for node in graph.node:
        node.input[:] = ["slow" if name == INPUT else name for name in node.input]
    scalars = {"times": np.int64(times), "goes_on": np.bool_(True), "nothing": np.float32(0)}
    graph.initializer.extend(numpy_helper.from_array(np.array(v), n) for n, v in scalars.items())
    scalar = helper.make_tensor_value_info
    body = helper.make_graph(
        [helper.make_node("Identity", ["on"], ["on_"]), helper.make_node("Sin", ["x"], ["x_"])],
        "body",
        [
            *(scalar("i", TensorProto.INT64, []), scalar("on", TensorProto.BOOL, [])),
            scalar("x", TensorProto.FLOAT, []),
        ],
        [scalar("on_", TensorProto.BOOL, []), scalar("x_", TensorProto.FLOAT, [])],
    )
    nodes = [
        helper.make_node("Loop", ["times", "goes_on", "nothing"], ["zero"], body=body),
        helper.make_node("Add", [INPUT, "zero"], ["slow"]),
    ]
    rest = list(graph.node)
    del graph.node[:]
    graph.node.extend([*nodes, *rest])
    content = model.SerializeToString()
    told = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content)}
    return {"onnx": base64.b64encode(content).decode(), "card": {**CARD, **told}}


async def test_a_model_that_goes_round_a_little_is_no_worse(decided: Scene) -> None:
    await publish(decided, **looping(3))
    assert (await look(decided)).healthy


async def test_a_model_that_never_answers_is_refused_and_hinders_nobody(
    decided: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("decision.proof.CPU_SECONDS", 2)
    with pytest.raises(Refused) as refused:
        await publish(decided, **looping(10**13))
    assert "hangs" in (refused.value.refusal.details or {})["onnx"][0]
    assert (await OneAgent(decided).decides()).outcome is None


async def test_a_model_that_takes_longer_than_a_decision_may_is_refused() -> None:
    slow = looping(20_000)
    content, card = base64.b64decode(slow["onnx"]), ModelCard.model_validate(slow["card"])
    await prove(content, card, answer_seconds=60.0)
    with pytest.raises(ModelError, match="s for 2 pools"):
        await prove(content, card, answer_seconds=0.001)


def hanging(monkeypatch: pytest.MonkeyPatch, version: str) -> threading.Event:
    """Let the model of this version hang until the event is set."""
    release = threading.Event()

    def hangs(question: Any, model: Any) -> Any:
        if model.version == version:
            release.wait(60)
        return answer(question, model)

    monkeypatch.setattr("decision.engine.answer", hangs)
    return release


async def test_a_shadow_that_hangs_takes_nothing_from_the_model_that_decides(
    decided: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = OneAgent(decided)
    await publish(decided, role="shadow", card={**CARD, "version": "risk-shadow"})
    await look(decided)
    release = hanging(monkeypatch, "risk-shadow")
    try:
        for _ in range(2 * ANSWERS_AT_ONCE):
            assert (await agent.decides()).outcome is None
            assert (await agent.explained()).shadow is None
        assert (await look(decided)).healthy
    finally:
        release.set()


async def test_a_model_that_hangs_is_done_with_once_it_is_withdrawn(
    decided: Scene, monkeypatch: pytest.MonkeyPatch
) -> None:
    agent = OneAgent(decided)
    await agent.is_known()
    await publish(decided, card={**CARD, "version": "risk-hangs"})
    await look(decided)
    release = hanging(monkeypatch, "risk-hangs")
    monkeypatch.setattr(engine_of(decided.tx.settings), "_timeout_seconds", 0.05)
    try:
        for _ in range(ANSWERS_AT_ONCE):
            assert (await agent.decides()).outcome == "degraded"
        monkeypatch.setattr(engine_of(decided.tx.settings), "_timeout_seconds", 5.0)
        await decided.handle(WithdrawModel(role=ModelRole.ACTIVE))
        await look(decided)
        assert (await agent.decides()).outcome is None
    finally:
        release.set()
