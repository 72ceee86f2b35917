"""Graphs written as ONNX: the reader reads them back, runtimes run them, and integer operators run as such."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import onnx
import onnxruntime  # type: ignore[import-untyped]
import pytest

from bench_onnx import harness_graph_readers, harness_graph_writers
from harness import Operator, OpGraph, Tensor, UnsupportedError
from harness.calibrate.sketch import Sketch
from harness.calibrate.sweep import sweep

(READER,) = harness_graph_readers()
(WRITER,) = harness_graph_writers()


def everything(quantised: bool) -> OpGraph:
    s = Sketch("everything", quantised=quantised)
    x = s.conv(s.source(3, 32, 32), 16, 3, stride=2, then="relu6")
    x = s.pointwise("add", x, s.conv(s.conv(x, 16, 3, groups=16, then="relu"), 16))
    x = s.pool(s.act(s.conv(x, 32, 3), "hardswish"), "pool_max", 3, 2)
    x = s.shuffle(s.concat(*s.split(x, 2)), 4)
    x = s.pointwise("mul", x, s.conv(s.conv(s.global_pool(x), 8, then="relu"), 32, then="sigmoid"))
    x = s.pool(s.conv(s.resize(x, 2), 24, then="swish"), "pool_avg", 2, 2)
    return s.finish(s.pointwise("softmax", s.linear(s.reshape(s.global_pool(x), 24), 10)))


def described(graph: OpGraph) -> list[tuple[object, ...]]:
    def results(op: Operator) -> list[tuple[object, ...]]:
        return [(graph.tensors[name].shape, graph.tensors[name].precision) for name in op.outputs]

    return [(op.kind, op.precision, op.macs, results(op)) for op in graph.operators]


@pytest.mark.parametrize("quantised", [False, True])
def test_reading_gives_the_graph_that_was_written(tmp_path: Path, quantised: bool) -> None:
    path = tmp_path / "net.onnx"
    graph = everything(quantised)
    WRITER.write(graph, path, 0)
    onnx.checker.check_model(path, full_check=True)
    found = READER.read(path)
    assert described(found) == described(graph)
    assert (found.macs, found.parameters) == (graph.macs, graph.parameters)


@pytest.mark.parametrize("quantised", [False, True])
def test_every_small_graph_of_the_sweep_reads_back(tmp_path: Path, quantised: bool) -> None:
    for graph in sweep(quantised=quantised)[::7]:
        path = tmp_path / "net.onnx"
        if graph.parameters > 2_000_000:
            continue
        WRITER.write(graph, path, 0)
        assert described(READER.read(path)) == described(graph), graph.name


def test_the_runtime_computes_finite_numbers_that_depend_on_the_seed(tmp_path: Path) -> None:
    results = []
    for seed in (0, 1, 1):
        WRITER.write(everything(quantised=False), tmp_path / "net.onnx", seed)
        session = onnxruntime.InferenceSession(tmp_path / "net.onnx")
        results.append(session.run(None, {"input0": np.ones((1, 3, 32, 32), np.float32)})[0])
    assert np.isfinite(results[0]).all()
    assert not np.array_equal(results[0], results[1])
    np.testing.assert_array_equal(results[1], results[2])


def test_onnx_runtime_runs_every_quantised_convolution_in_integers(tmp_path: Path) -> None:
    WRITER.write(everything(quantised=True), tmp_path / "net.onnx", 0)
    options = onnxruntime.SessionOptions()
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    options.log_severity_level = 3
    onnxruntime.InferenceSession(tmp_path / "net.onnx", options)
    kinds = [node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node]
    assert kinds.count("QLinearConv") == 7
    assert "Conv" not in kinds


def test_an_operator_that_shapes_do_not_describe_is_refused_by_name(tmp_path: Path) -> None:
    tensor = Tensor(name="x", shape=(1, 4), precision="fp32")
    op = Operator(name="boxes", kind="detection", inputs=("x",), outputs=("y",), precision="fp32")
    graph = OpGraph(name="n", inputs=("x",), outputs=("y",), operators=(op,), parameters=0,
                    tensors={"x": tensor, "y": Tensor(name="y", shape=(1, 4), precision="fp32")})  # fmt: skip
    with pytest.raises(UnsupportedError, match=r"boxes.*detection"):
        WRITER.write(graph, tmp_path / "net.onnx", 0)
