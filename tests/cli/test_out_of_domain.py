"""`bench estimate` of graphs that no published row is like: still a number, and why it is not to be trusted."""

from __future__ import annotations

import json
from collections.abc import Callable, Sequence
from pathlib import Path

import numpy as np
import onnx
import pytest
from click.testing import Result
from onnx import NodeProto, TensorProto, helper, numpy_helper

Invoke = Callable[..., Result]
FLOAT = TensorProto.FLOAT


def saved(path: Path, nodes: Sequence[NodeProto], shape: Sequence[int | str], constants: Sequence[TensorProto]) -> Path:
    """An ONNX file from `x` to `y`."""
    graph = helper.make_graph(
        list(nodes), path.stem, [helper.make_tensor_value_info("x", FLOAT, list(shape))],
        [helper.make_tensor_value_info("y", FLOAT, None)], list(constants),
    )  # fmt: skip
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 21)], ir_version=10), path)
    return path


def weights(*shape: int) -> np.ndarray:
    return np.random.default_rng(0).normal(size=shape).astype(np.float32)


def attention(folder: Path) -> Path:
    nodes = [
        helper.make_node("Transpose", ["x"], ["t"], name="turn", perm=[0, 2, 1]),
        helper.make_node("MatMul", ["x", "t"], ["s"], name="scores"),
        helper.make_node("Softmax", ["s"], ["p"], name="softmax", axis=-1),
        helper.make_node("MatMul", ["p", "x"], ["y"], name="mix"),
    ]
    return saved(folder / "attention.onnx", nodes, (1, 64, 64), [])


def dynamic(folder: Path) -> Path:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], name="conv", pads=[1, 1, 1, 1])]
    constant = numpy_helper.from_array(weights(8, 3, 3, 3), "w")
    return saved(folder / "dynamic.onnx", nodes, (1, 3, "height", 32), [constant])


def int4(folder: Path) -> Path:
    nodes = [
        helper.make_node("DequantizeLinear", ["q", "scale"], ["w"], name="weights"),
        helper.make_node("MatMul", ["x", "w"], ["y"], name="linear"),
    ]
    packed = helper.make_tensor("q", TensorProto.INT4, (64, 64), np.zeros(64 * 32, np.uint8).tobytes(), raw=True)
    return saved(folder / "int4.onnx", nodes, (1, 64), [packed, numpy_helper.from_array(np.float32(0.1), "scale")])


@pytest.mark.parametrize(
    ("made", "reason"),
    [(attention, "matrix products of several rows"), (dynamic, "dynamic shape"), (int4, "4-bit weights")],
    ids=lambda value: getattr(value, "__name__", ""),
)
def test_what_was_never_published_is_estimated_and_said_to_be_out_of_domain(
    invoke: Invoke, tmp_path: Path, made: Callable[[Path], Path], reason: str
) -> None:
    done = invoke("estimate", made(tmp_path), "--profile", "rpi4", "--json")
    assert done.exit_code == 0, done.stderr
    found = json.loads(done.stdout)
    assert found["in_domain"] is False
    assert any(reason in each for each in found["reasons"])
    assert 0 < found["latency_ms"]["lo90"] < found["latency_ms"]["p50"] < found["latency_ms"]["hi90"]


def test_the_terminal_says_it_too(invoke: Invoke, tmp_path: Path) -> None:
    told = " ".join(invoke("estimate", attention(tmp_path), "--profile", "rpi4").stdout.split())
    assert "OUTSIDE what the method may be trusted for" in told
    assert "matrix products of several rows" in told
