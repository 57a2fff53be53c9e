"""The model's file: what is checked before it may answer, and what it then answers."""

import hashlib
import math
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper

from decision.features import NAMES, Rows
from decision.model import (
    INPUT,
    OUTPUTS,
    SHIPPED,
    SIZE_LIMIT_BYTES,
    Model,
    ModelCard,
    ModelError,
    card_path,
    checked,
    load,
)
from tests.decision.market import shipped

CARD = shipped().card


def card_of(content: bytes, **fields: object) -> ModelCard:
    """The card of a model whose bytes are these."""
    told = {"sha256": hashlib.sha256(content).hexdigest(), "size_bytes": len(content), **fields}
    return CARD.model_copy(update=told)


def written(folder: Path, content: bytes, card: str | None = None) -> Path:
    """A model file with a card that tells of it."""
    path = folder / "risk.onnx"
    path.write_bytes(content)
    text = card_of(content).model_dump_json() if card is None else card
    card_path(path).write_text(text)
    return path


class Runtime:
    """A runtime that gives the same answers whatever it is asked."""

    def __init__(self, *answers: tuple[float, ...]) -> None:
        self.answers = np.array(answers, np.float32)

    def run(self, names: list[str], rows: object) -> list[Rows]:
        return np.split(self.answers, np.cumsum(list(OUTPUTS.values()))[:-1], axis=1)


def risk_that_grows_with(feature: str) -> bytes:
    """The shipped graph, its risks raised by a feature that is zero without evidence."""
    model = onnx.load_model_from_string(SHIPPED.read_bytes())
    number = helper.make_tensor("number", TensorProto.INT64, [1], [NAMES.index(feature)])
    model.graph.initializer.append(number)
    raised = [
        helper.make_node("Gather", ["wide", "number"], ["raise"], axis=1),
        helper.make_node("Add", ["risks", "raise"], ["raised"]),
    ]
    for node in raised:
        model.graph.node.insert(len(model.graph.node) - len(OUTPUTS), node)
    output_of(model, "risk").input[0] = "raised"
    return bytes(model.SerializeToString())


TOLD_INSTEAD = {
    "negative risk": ("risk", "negative"),
    "negative hazard": ("hazard_per_h", "negative"),
    "negative hours": ("expected_hours", "negative"),
    "falling risk": ("risk", "risks_survival"),
}


def output_of(model: onnx.ModelProto, name: str) -> onnx.NodeProto:
    """The node of a graph that gives an output."""
    node: onnx.NodeProto = next(node for node in model.graph.node if node.output[0] == name)
    return node


def graph_with(change: str) -> bytes:
    """The shipped graph with one thing changed."""
    model = onnx.load_model_from_string(SHIPPED.read_bytes())
    if change == "input name":
        model.graph.input[0].name = "rows"
        model.graph.node[0].input[0] = "rows"
    elif change == "input width":
        model.graph.input[0].type.tensor_type.shape.dim[1].dim_value = len(NAMES) + 1
    elif change == "input type":
        model.graph.input[0].type.tensor_type.elem_type = TensorProto.DOUBLE
    elif change == "input rows":
        model.graph.input[0].type.tensor_type.shape.dim[0].dim_value = 3
    elif change == "output rows":
        model.graph.output[1].type.tensor_type.shape.dim[0].dim_value = 3
    elif change == "output missing":
        del model.graph.output[-1]
    else:
        output, told = TOLD_INSTEAD[change]
        if told == "negative":
            found = output_of(model, output).input[0]
            sign = helper.make_node("Neg", [found], [told])
            model.graph.node.insert(len(model.graph.node) - len(OUTPUTS), sign)
        output_of(model, output).input[0] = told
    return bytes(model.SerializeToString())


def test_the_shipped_model_is_the_one_its_card_tells_of() -> None:
    content = SHIPPED.read_bytes()
    assert CARD.sha256 == hashlib.sha256(content).hexdigest()
    assert CARD.size_bytes == len(content) < 2_000
    assert CARD.version == f"risk-{CARD.sha256[:12]}"
    assert CARD.features == NAMES


def test_the_shipped_card_names_data_dates_licences_and_where_there_is_no_skill() -> None:
    assert CARD.prior
    assert all(d.origin and d.licence and d.begins < d.ends and d.samples for d in CARD.data)
    assert {skill.horizon_h for skill in CARD.skill} == {1, 4, 24}
    worse_than_the_base_rate = [s for s in CARD.skill if s.brier_skill_percent < 0]
    told = "\n".join(CARD.no_skill)
    assert all(f"{s.test}, within {s.horizon_h} h" in told for s in worse_than_the_base_rate)


def test_a_calm_pool_is_safe_and_a_torn_one_is_not() -> None:
    rows = np.zeros((2, len(NAMES)), np.float32)
    rows[:, 0] = np.log([3.5e-5, 2.0])
    calm, torn = shipped().risks(rows)
    assert calm.hour == pytest.approx(3.5e-5, rel=1e-3)
    assert calm.expected_hours == pytest.approx(72 - 3.5e-5 * 72**2 / 2, rel=1e-4)
    assert torn.hour > 0.6
    assert torn.expected_hours < 2.0
    assert 0 < calm.hour < calm.four_hours < calm.day < calm.horizon < 1


def test_no_row_gives_no_risk() -> None:
    assert shipped().risks(np.zeros((0, len(NAMES)), np.float32)) == []


def test_rows_are_rated_one_by_one() -> None:
    rows = np.random.default_rng(1).normal(size=(20, len(NAMES))).astype(np.float32)
    alone = [risk for row in rows for risk in shipped().risks(row[None])]
    assert shipped().risks(rows) == alone


def test_a_model_with_its_card_is_loaded(tmp_path: Path) -> None:
    assert load(written(tmp_path, SHIPPED.read_bytes())).version == CARD.version


def test_a_file_that_is_not_there_is_refused(tmp_path: Path) -> None:
    with pytest.raises(ModelError, match="cannot be read"):
        load(tmp_path / "risk.onnx")


def test_a_model_without_a_card_is_refused(tmp_path: Path) -> None:
    path = written(tmp_path, SHIPPED.read_bytes())
    card_path(path).unlink()
    with pytest.raises(ModelError, match=r"risk\.card\.json cannot be read"):
        load(path)


@pytest.mark.parametrize("card", ["", "[]", '{"name": "risk"}', "\x00", '{"size_bytes": "many"}'])
def test_a_card_that_is_none_is_refused(tmp_path: Path, card: str) -> None:
    with pytest.raises(ModelError, match="is no model card"):
        load(written(tmp_path, SHIPPED.read_bytes(), card))


def test_a_file_larger_than_the_limit_is_not_even_read_to_its_end(tmp_path: Path) -> None:
    content = SHIPPED.read_bytes()
    path = written(tmp_path, content + bytes(SIZE_LIMIT_BYTES - len(content) + 1))
    with pytest.raises(ModelError, match=f"larger than {SIZE_LIMIT_BYTES} bytes"):
        load(path)
    path = written(tmp_path, content)
    assert load(path, size_limit_bytes=len(content))
    with pytest.raises(ModelError, match="larger than"):
        load(path, size_limit_bytes=len(content) - 1)


def test_a_file_that_was_changed_is_refused() -> None:
    content = SHIPPED.read_bytes()
    with pytest.raises(ModelError, match="SHA-256"):
        checked(content[:-1] + bytes([content[-1] ^ 1]), CARD)


@pytest.mark.parametrize("size_bytes", [0, len(SHIPPED.read_bytes()) + 1])
def test_a_card_with_another_size_is_refused(size_bytes: int) -> None:
    content = SHIPPED.read_bytes()
    with pytest.raises(ModelError, match=f"its card says {size_bytes}"):
        checked(content, card_of(content, size_bytes=size_bytes))


def test_a_model_of_other_features_is_refused(tmp_path: Path) -> None:
    other = CARD.model_copy(update={"features": (*NAMES[1:], "price")})
    with pytest.raises(ModelError, match=r"names the features w, .*, price"):
        load(written(tmp_path, SHIPPED.read_bytes(), other.model_dump_json()))


@pytest.mark.parametrize("content", [b"", b"\x80\x04K\x01.", b"no model", bytes(500)])
def test_what_is_no_onnx_file_is_refused(tmp_path: Path, content: bytes) -> None:
    with pytest.raises(ModelError, match="no ONNX file"):
        load(written(tmp_path, content))


@pytest.mark.parametrize(
    ("change", "complaint"),
    [
        ("input name", "inputs are"),
        ("input width", "no ONNX file|inputs are"),
        ("input type", "inputs are"),
        ("input rows", "takes 3 rows at a time"),
        ("output rows", "takes 3 rows at a time"),
        ("output missing", "outputs are"),
        ("negative risk", "do not lie between 0 and 1"),
        ("falling risk", "fall as time goes on"),
        ("negative hazard", "hazards are negative"),
        ("negative hours", "other than 0 to 72 hours"),
    ],
)
def test_a_graph_of_another_shape_is_refused(tmp_path: Path, change: str, complaint: str) -> None:
    with pytest.raises(ModelError, match=complaint):
        load(written(tmp_path, graph_with(change)))


@pytest.mark.parametrize("feature", NAMES[1:])
def test_a_model_that_is_sound_without_evidence_alone_is_refused(feature: str) -> None:
    content = risk_that_grows_with(feature)
    with pytest.raises(ModelError, match=r"lie between 0 and 1|fall as time goes on"):
        checked(content, card_of(content))


@pytest.mark.parametrize(
    ("answer", "complaint"),
    [
        ((0.1, 0.1, 0.2, math.nan, 9.0, 0.4), "no numbers"),
        ((math.inf, 0.1, 0.2, 0.3, 9.0, 0.4), "no numbers"),
        ((-0.1, 0.1, 0.2, 0.3, 9.0, 0.4), "hazards are negative"),
        ((0.1, -0.1, 0.2, 0.3, 9.0, 0.4), "between 0 and 1"),
        ((0.1, 0.1, 0.2, 0.3, 9.0, 1.1), "between 0 and 1"),
        ((0.1, 0.3, 0.2, 0.3, 9.0, 0.4), "fall as time goes on"),
        ((0.1, 0.1, 0.2, 0.5, 9.0, 0.4), "fall as time goes on"),
        ((0.1, 0.1, 0.2, 0.3, -0.1, 0.4), "other than 0 to 72 hours"),
        ((0.1, 0.1, 0.2, 0.3, 73.0, 0.4), "other than 0 to 72 hours"),
    ],
)
def test_an_answer_that_cannot_be_true_is_given_to_nobody(
    answer: tuple[float, ...], complaint: str
) -> None:
    sound = (0.1, 0.1, 0.2, 0.3, 72.0, 0.4)
    with pytest.raises(ModelError, match=complaint):
        Model(CARD, Runtime(sound, answer)).risks(np.zeros((2, len(NAMES)), np.float32))


def test_what_32_bits_round_is_no_fault() -> None:
    rounded = (0.1, 0.2, 0.2 * (1 - 1e-6), 0.3, 72.0 * (1 + 1e-6), 1.0)
    assert Model(CARD, Runtime(rounded)).risks(np.zeros((1, len(NAMES)), np.float32))


def test_fewer_answers_than_rows_are_no_answer() -> None:
    model = Model(CARD, Runtime((0.1, 0.1, 0.2, 0.3, 72.0, 0.4)))
    with pytest.raises(ModelError, match="1 rows where 2 were asked"):
        model.risks(np.zeros((2, len(NAMES)), np.float32))


def test_a_model_cannot_draw_in_data_from_other_files(tmp_path: Path) -> None:
    (tmp_path / "secret.bin").write_bytes(bytes(80))
    model = onnx.load_model_from_string(SHIPPED.read_bytes())
    weights = next(one for one in model.graph.initializer if one.name == "weights")
    weights.ClearField("raw_data")
    weights.data_location = TensorProto.EXTERNAL
    for key, value in (("location", "secret.bin"), ("length", "80")):
        weights.external_data.add(key=key, value=value)
    with pytest.raises(ModelError, match="no ONNX file"):
        load(written(tmp_path, bytes(model.SerializeToString())))


def test_a_graph_that_fails_on_a_row_is_refused(tmp_path: Path) -> None:
    outputs = [
        helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", width])
        for name, width in OUTPUTS.items()
    ]
    shape = helper.make_tensor("shape", TensorProto.INT64, [2], [7, 7])
    nodes = [helper.make_node("Reshape", [INPUT, "shape"], [name]) for name in OUTPUTS]
    rows = helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", len(NAMES)])
    model = helper.make_model(
        helper.make_graph(nodes, "risk", [rows], outputs, [shape]),
        opset_imports=[helper.make_opsetid("", 17)],
    )
    model.ir_version = 8
    with pytest.raises(ModelError):
        load(written(tmp_path, bytes(model.SerializeToString())))


def test_a_card_survives_its_own_file() -> None:
    assert ModelCard.model_validate_json(CARD.model_dump_json()) == CARD
