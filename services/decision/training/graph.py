"""The fitted formula as an ONNX graph, built by hand: a dozen nodes and nothing else.

It computes in double precision and answers in single, so that small risks keep their digits.
"""

import numpy as np
from onnx import TensorProto, checker, helper, numpy_helper

from decision.choices import HORIZON_HOURS
from decision.features import NAMES
from decision.model import INPUT, OUTPUTS
from training.fit import LOG_HAZARD, Fit
from training.samples import HORIZONS

OPSET = 17
IR_VERSION = 8


def onnx_of(fit: Fit) -> bytes:
    """The model file; the same numbers give the same bytes."""
    k = fit.k
    constants = {
        "weights": np.concatenate([[1.0], fit.weights])[:, None],
        "least": np.array(LOG_HAZARD[0]),
        "most": np.array(LOG_HAZARD[1]),
        "one": np.array([[1.0]]),
        "horizons_by_k": np.array([[*HORIZONS]]) / k,
        "horizon_by_k": np.array([[HORIZON_HOURS / k]]),
        "minus_k": np.array([[-k]]),
        "one_less_k": np.array([[1.0 - k]]),
        "k_by_k_less_one": np.array([[k / (k - 1.0)]]),
    }
    steps = [
        ("MatMul", ["wide", "weights"], "sum"),
        ("Clip", ["sum", "least", "most"], "log_hazard"),
        ("Exp", ["log_hazard"], "hazard"),
        *_risk("horizons_by_k", "risks"),
        *_risk("horizon_by_k", "horizon_risk"),
        ("Pow", ["horizon_risk_base", "one_less_k"], "grown"),
        ("Sub", ["one", "grown"], "shrunk"),
        ("Mul", ["shrunk", "k_by_k_less_one"], "scaled"),
        ("Div", ["scaled", "hazard"], "hours"),
    ]
    answers = zip(["hazard", "risks", "hours", "horizon_risk"], OUTPUTS, strict=True)
    nodes = [helper.make_node("Cast", [INPUT], ["wide"], to=TensorProto.DOUBLE)]
    nodes += [helper.make_node(op, inputs, [output]) for op, inputs, output in steps]
    nodes += [helper.make_node("Cast", [a], [b], to=TensorProto.FLOAT) for a, b in answers]
    graph = helper.make_graph(
        nodes,
        "risk",
        [helper.make_tensor_value_info(INPUT, TensorProto.FLOAT, ["n", len(NAMES)])],
        [helper.make_tensor_value_info(o, TensorProto.FLOAT, ["n", w]) for o, w in OUTPUTS.items()],
        [numpy_helper.from_array(np.asarray(v, np.float64), name) for name, v in constants.items()],
    )
    model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", OPSET)])
    model.ir_version = IR_VERSION
    checker.check_model(model)
    return bytes(model.SerializeToString(deterministic=True))


def _risk(horizons_by_k: str, name: str) -> list[tuple[str, list[str], str]]:
    """1 - (1 + hazard * horizons / k)^-k"""
    return [
        ("Mul", ["hazard", horizons_by_k], f"{name}_scaled"),
        ("Add", [f"{name}_scaled", "one"], f"{name}_base"),
        ("Pow", [f"{name}_base", "minus_k"], f"{name}_survival"),
        ("Sub", ["one", f"{name}_survival"], name),
    ]
