"""What the runtimes' own profilers say of a float network, its quantised forms and its half-precision form, and the
reasons that follow of it: planted ones are found, and a network in 8 bits throughout has none of them."""

from __future__ import annotations

import os
from pathlib import Path
from time import perf_counter_ns
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_onnxruntime
import bench_openvino
from harness import ArtifactError, SessionOptions, TensorSpec
from harness.why.cpu import CpuFacts
from harness.why.reason import Cause
from harness.why.reasons import host_reasons
from harness.why.side import Side

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness import OperatorTime

onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

PIXELS = 56
CHANNELS = 32
CPU = CpuFacts(name="a core", lanes=4, dot_product=True, half=False, launch_ns=100.0)
INPUT = TensorSpec(name="x", shape=(None, 3, PIXELS, PIXELS), dtype="float32")


class Network:
    """An ONNX graph that grows by one operator at a time."""

    def __init__(self) -> None:
        self.rng = np.random.default_rng(0)
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.at = "x"

    def constant(self, value: Any) -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value), name))
        return name

    def node(self, kind: str, *inputs: str, **attributes: Any) -> str:
        name = f"{kind}_{len(self.nodes)}"
        self.nodes.append(helper.make_node(kind, list(inputs), [name], name=name, **attributes))
        return name

    def pair(self) -> None:
        """Quantise and dequantise what is there, in 256 steps from -4 to 4."""
        scale, zero = self.constant(np.float32(8 / 255)), self.constant(np.uint8(128))
        self.at = self.node("DequantizeLinear", self.node("QuantizeLinear", self.at, scale, zero), scale, zero)

    def conv(self, channels: int, window: int, *, quantised: bool) -> None:
        weights = self.rng.standard_normal((CHANNELS, channels, window, window)) / (window * np.sqrt(channels))
        weights = weights.astype(np.float32)
        if quantised:
            scale = np.float32(np.abs(weights).max() / 127)
            stored = self.constant(np.round(weights / scale).astype(np.int8))
            weight = self.node("DequantizeLinear", stored, self.constant(scale), self.constant(np.int8(0)))
        else:
            weight = self.constant(weights)
        self.at = self.node("Conv", self.at, weight, pads=[window // 2] * 4)

    def pool(self, *, quantised: bool) -> None:
        self.at = self.node("GlobalAveragePool", self.at)
        if quantised:
            self.pair()

    def save(self, path: Path) -> Path:
        self.nodes.append(helper.make_node("Identity", [self.at], ["y"], name="out"))
        ends = [
            helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", channels, size, size])
            for name, channels, size in (("x", 3, PIXELS), ("y", CHANNELS, 1))
        ]
        graph = helper.make_graph(self.nodes, "net", ends[:1], ends[1:], self.constants)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path


def network(path: Path, *, int8: Sequence[bool] = (False,) * 4, between: str = "") -> Path:
    """Four convolutions, each in 8 bits or in float; with something `between` them they are 1×1 and take less time."""
    net = Network()
    for index, quantised in enumerate(int8):
        if quantised:
            net.pair()
        net.conv(CHANNELS if index else 3, 1 if between else 3, quantised=quantised)
        if quantised:
            net.pair()
        if between and index < len(int8) - 1:
            net.at = net.node(between, net.at)
    net.pool(quantised=int8[-1])
    return net.save(path)


@pytest.fixture(scope="session")
def files(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    from onnxruntime.transformers.float16 import convert_float_to_float16

    folder = tmp_path_factory.mktemp("operator-times")
    every = (True,) * 4
    made = {
        "float": network(folder / "float.onnx"),
        "int8": network(folder / "int8.onnx", int8=every),
        "mixed": network(folder / "mixed.onnx", int8=(True, True, True, False)),
        "float between": network(folder / "float-between.onnx", between="Abs"),
        "between": network(folder / "between.onnx", int8=every, between="Abs"),
        "half": folder / "half.onnx",
    }
    half = convert_float_to_float16(onnx.load(made["float"]), keep_io_types=True)
    onnx.save(half, made["half"])
    return made


@pytest.fixture(scope="session")
def example() -> tuple[np.ndarray, ...]:
    return (np.random.default_rng(1).standard_normal((1, 3, PIXELS, PIXELS)).astype(np.float32),)


def backend(name: str) -> Any:
    modules = {"onnxruntime": bench_onnxruntime, "openvino": bench_openvino}
    return next(iter(modules[name].harness_backends()))


def options(runtime: Any, threads: int = 1, **chosen: Any) -> SessionOptions:
    return SessionOptions(threads=threads, options=runtime.options(**chosen), inputs=(INPUT,))


@pytest.fixture(scope="session")
def sides(files: dict[str, Path], example: tuple[np.ndarray, ...]) -> dict[tuple[str, str], Side]:
    """Each file in each runtime: its graph, its operators' times and its shortest latency."""
    from bench_onnx import harness_graph_readers

    read = next(iter(harness_graph_readers())).read
    found = {}
    for name in ("onnxruntime", "openvino"):
        runtime = backend(name)
        for label, path in files.items():
            session = runtime.open(path, options(runtime))
            run = session.bind(example)
            spent = []
            for _ in range(12):
                begin = perf_counter_ns()
                run()
                spent.append(perf_counter_ns() - begin)
            session.close()
            times = tuple(runtime.operators(path, options(runtime), example, 9))
            found[name, label] = Side(graph=read(path), operators=times, latency_ns=float(min(spent)))
    return found


def of(times: Sequence[OperatorTime], does: str) -> list[OperatorTime]:
    return [op for op in times if op.does == does]


def causes(sides: dict[tuple[str, str], Side], runtime: str, variant: str, baseline: str = "float") -> set[Cause]:
    return {reason.cause for reason in host_reasons(sides[runtime, baseline], sides[runtime, variant], CPU)}


RUNTIMES = pytest.mark.parametrize("runtime", ["onnxruntime", "openvino"])


@RUNTIMES
def test_every_convolution_is_listed_once_in_its_number_format(sides: Any, runtime: str) -> None:
    expected = {"float": ["fp32"] * 4, "int8": ["int8"] * 4, "mixed": ["fp32", *["int8"] * 3], "half": ["fp32"] * 4}
    for label, precisions in expected.items():
        products = of(sides[runtime, label].operators, "compute")
        assert sorted(op.precision for op in products) == precisions, label


@RUNTIMES
def test_operators_add_up_to_about_the_time_of_an_inference(sides: Any, runtime: str) -> None:
    for label in ("float", "int8"):
        side = sides[runtime, label]
        assert 0.2 < side.operators_ns / side.latency_ns < 5, label


@RUNTIMES
def test_names_are_unique_and_times_are_not_negative(sides: Any, runtime: str) -> None:
    for label in ("float", "between"):
        times = sides[runtime, label].operators
        assert len({op.name for op in times}) == len(times)
        assert min(op.ns for op in times) >= 0
        assert max(op.ns for op in times) > 0


@RUNTIMES
def test_a_network_in_8_bits_throughout_changes_format_at_its_ends_only(sides: Any, runtime: str) -> None:
    assert 1 <= len(of(sides[runtime, "int8"].operators, "quantise")) <= 2
    assert of(sides[runtime, "float"].operators, "quantise") == []


def test_pairs_around_an_operator_without_an_8_bit_kernel_stay(sides: Any) -> None:
    changes = of(sides["onnxruntime", "between"].operators, "quantise")
    assert len(changes) >= 6
    assert {op.kind for op in changes} == {"QuantizeLinear", "DequantizeLinear"}


def test_casts_between_floats_are_changes_of_format(sides: Any) -> None:
    kinds = {op.kind for op in of(sides["onnxruntime", "half"].operators, "quantise")}
    assert kinds <= {"Cast"}


@RUNTIMES
def test_a_network_in_8_bits_throughout_has_neither_reason(sides: Any, runtime: str) -> None:
    assert not causes(sides, runtime, "int8") & {Cause.FLOAT_LEFT, Cause.FORMAT_CHANGES, Cause.HALF_IN_FLOAT}


@RUNTIMES
def test_a_planted_float_convolution_is_found(sides: Any, runtime: str) -> None:
    assert Cause.FLOAT_LEFT in causes(sides, runtime, "mixed")


def test_pairs_that_did_not_fuse_are_found(sides: Any) -> None:
    assert Cause.FORMAT_CHANGES in causes(sides, "onnxruntime", "between", "float between")


@RUNTIMES
def test_half_precision_that_is_computed_in_float_is_found(sides: Any, runtime: str) -> None:
    assert Cause.HALF_IN_FLOAT in causes(sides, runtime, "half")
    assert Cause.HALF_IN_FLOAT not in causes(sides, runtime, "int8")


@RUNTIMES
def test_nothing_is_left_behind(
    runtime: str, files: dict[str, Path], example: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    chosen = backend(runtime)
    assert chosen.operators(files["float"], options(chosen), example, 2)
    assert list(tmp_path.iterdir()) == []


@RUNTIMES
def test_a_damaged_file_is_an_artifact_error(runtime: str, example: Any, tmp_path: Path) -> None:
    broken = tmp_path / "broken.onnx"
    broken.write_bytes(os.urandom(64))
    chosen = backend(runtime)
    with pytest.raises(ArtifactError):
        chosen.operators(broken, options(chosen), example, 2)


@RUNTIMES
def test_inputs_that_do_not_fit_are_refused(runtime: str, files: dict[str, Path]) -> None:
    chosen = backend(runtime)
    with pytest.raises(ArtifactError):
        chosen.operators(files["float"], options(chosen), (np.zeros((1, 3, 4, 4), np.float32),), 2)


def test_the_profiler_runs_with_the_options_that_were_asked_for(files: dict[str, Path], example: Any) -> None:
    chosen = backend("onnxruntime")
    plain = chosen.operators(files["int8"], options(chosen, graph_optimization="none"), example, 2)
    assert {op.kind for op in plain} >= {"Conv", "QuantizeLinear", "DequantizeLinear"}
    assert "QLinearConv" not in {op.kind for op in plain}
