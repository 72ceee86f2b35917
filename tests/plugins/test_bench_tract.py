"""bench_tract on small ONNX files, beside ONNX Runtime's answers."""

from __future__ import annotations

import os
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np
import pytest

import bench_tract
from harness import ArtifactError, NoOptions, SessionOptions, TensorSpec, UnsupportedError

onnx = pytest.importorskip("onnx")
ort = pytest.importorskip("onnxruntime")
pytest.importorskip("tract")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

DRAW = np.random.default_rng(0)
X = DRAW.standard_normal((1, 3, 12, 12)).astype(np.float32)


@pytest.fixture(scope="module")
def backend() -> Any:
    return next(iter(bench_tract.harness_backends()))


def save(path: Path, nodes: list[Any], inputs: dict[str, Any], outputs: dict[str, Any], **constants: Any) -> Path:
    """An ONNX file; inputs and outputs are `name: (element type, shape)`."""
    graph = helper.make_graph(
        nodes,
        "graph",
        [helper.make_tensor_value_info(name, *kind) for name, kind in inputs.items()],
        [helper.make_tensor_value_info(name, *kind) for name, kind in outputs.items()],
        [
            value if isinstance(value, TensorProto) else numpy_helper.from_array(value, name)
            for name, value in constants.items()
        ],
    )
    opsets = [helper.make_opsetid("", 21), helper.make_opsetid("nobody.knows", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), path)
    return path


def specs(arrays: tuple[np.ndarray, ...]) -> tuple[TensorSpec, ...]:
    return tuple(TensorSpec(name=f"x{i}", shape=(None, *x.shape[1:]), dtype=x.dtype.name) for i, x in enumerate(arrays))


def options(*arrays: np.ndarray, threads: int = 1) -> SessionOptions:
    return SessionOptions(threads=threads, options=NoOptions(), inputs=specs(arrays))


def outputs_of(backend: Any, path: Path, *arrays: np.ndarray, calls: int = 1) -> tuple[np.ndarray, ...]:
    session = backend.open(path, options(*arrays))
    call = session.bind(arrays)
    for _ in range(calls):
        call()
    found = session.outputs()
    session.close()
    return found


def expected(path: Path, *arrays: np.ndarray) -> list[np.ndarray]:
    """What ONNX Runtime computes, its rewriting switched off: some of it rounds."""
    settings = ort.SessionOptions()
    settings.graph_optimization_level = ort.GraphOptimizationLevel.ORT_DISABLE_ALL
    settings.log_severity_level = 3
    session = ort.InferenceSession(path, settings, providers=["CPUExecutionProvider"])
    names = (each.name for each in session.get_inputs())
    return session.run(None, dict(zip(names, arrays, strict=True)))


@pytest.fixture(scope="module")
def network(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A convolution, one for each channel, a mean and a linear layer, with a free batch."""
    constants = {
        "wide": DRAW.standard_normal((8, 3, 3, 3)) / 5,
        "deep": DRAW.standard_normal((8, 1, 3, 3)) / 3,
        "linear": DRAW.standard_normal((8, 4)) / 3,
        "bias": DRAW.standard_normal(4),
    }
    nodes = [
        helper.make_node("Conv", ["x", "wide"], ["a"], pads=[1, 1, 1, 1]),
        helper.make_node("Relu", ["a"], ["b"]),
        helper.make_node("Conv", ["b", "deep"], ["c"], group=8),
        helper.make_node("GlobalAveragePool", ["c"], ["d"]),
        helper.make_node("Flatten", ["d"], ["e"]),
        helper.make_node("Gemm", ["e", "linear", "bias"], ["y"]),
    ]
    return save(
        tmp_path_factory.mktemp("network") / "network.onnx",
        nodes,
        {"x": (TensorProto.FLOAT, ["batch", 3, 12, 12])},
        {"y": (TensorProto.FLOAT, ["batch", 4])},
        **{name: value.astype(np.float32) for name, value in constants.items()},
    )


def reduced(form: str, source: Path, target: Path) -> Path:
    """The network in another precision, as ONNX Runtime's tools write it."""
    from onnxruntime import quantization
    from onnxruntime.transformers.float16 import convert_float_to_float16

    class Rows(quantization.CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter([{"x": X}, {"x": -X}])

        def get_next(self) -> Any:
            return next(self.rows, None)

    if form == "fp16":
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    elif form == "dynamic":
        quantization.quantize_dynamic(source, target)
    else:
        quantization.quantize_static(source, target, Rows(), per_channel=True)
    return target


def test_importing_the_plugin_imports_no_framework() -> None:
    code = "import sys, bench_tract; print([m for m in ('tract', 'numpy', 'onnx') if m in sys.modules])"
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_without_the_runtime_the_backend_says_how_to_get_it(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.available().ok
    monkeypatch.setitem(sys.modules, "tract", None)
    assert backend.available().install == "pip install 'edge-bench[tract]'"


def test_outputs_are_those_of_onnxruntime(backend: Any, network: Path) -> None:
    np.testing.assert_allclose(outputs_of(backend, network, X)[0], expected(network, X)[0], atol=1e-5)


@pytest.mark.parametrize("form", ["qdq", "dynamic"])
def test_integers_are_computed_as_onnxruntime_does(form: str, backend: Any, network: Path, tmp_path: Path) -> None:
    file = reduced(form, network, tmp_path / f"{form}.onnx")
    (found,), (wanted,) = outputs_of(backend, file, X), expected(file, X)
    step = np.abs(wanted).max() / 100  # of a quantised output: a sum that lies between two levels may go either way
    np.testing.assert_allclose(found, wanted, atol=step)
    assert not np.array_equal(found, outputs_of(backend, network, X)[0])


def test_a_linear_layer_in_half_precision_is_refused_in_tracts_words(
    backend: Any, network: Path, tmp_path: Path
) -> None:
    file = reduced("fp16", network, tmp_path / "fp16.onnx")
    with pytest.raises(UnsupportedError, match=r"fp16\.onnx: .*Gemm.*F16") as caught:
        backend.open(file, options(X))
    assert "another backend" in caught.value.hint
    assert "backtrace" not in str(caught.value)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("batch", ["batch", None, "batch size", 1])
def test_a_batch_is_bound_to_one_whatever_its_name(batch: Any, backend: Any, tmp_path: Path) -> None:
    kind = (TensorProto.FLOAT, [batch, 4])
    file = save(tmp_path / "free.onnx", [helper.make_node("Softmax", ["x"], ["y"])], {"x": kind}, {"y": kind})
    x = np.array([[1.0, 2.0, 3.0, 4.0]], np.float32)
    np.testing.assert_allclose(outputs_of(backend, file, x)[0], expected(file, x)[0], atol=1e-6)


def test_several_inputs_keep_their_order_and_types(backend: Any, tmp_path: Path) -> None:
    inputs = {"rows": (TensorProto.FLOAT, ["n", 4]), "places": (TensorProto.INT64, ["m", 2])}
    outputs = {"y": (TensorProto.FLOAT, ["n", 2]), "largest": (TensorProto.INT64, ["n", 1])}
    nodes = [
        helper.make_node("GatherElements", ["rows", "places"], ["y"], axis=1),
        helper.make_node("ArgMax", ["rows"], ["largest"], axis=1),
    ]
    file = save(tmp_path / "two.onnx", nodes, inputs, outputs)
    x, places = np.array([[1.0, 4.0, 2.0, 3.0]], np.float32), np.array([[2, 0]])
    found, largest = outputs_of(backend, file, x, places)
    assert found.tolist() == [[2.0, 1.0]]
    assert largest.tolist() == [[1]]


def test_halves_come_out_as_float32(backend: Any, tmp_path: Path) -> None:
    kind = (TensorProto.FLOAT16, ["n", 3])
    file = save(tmp_path / "half.onnx", [helper.make_node("Relu", ["x"], ["y"])], {"x": kind}, {"y": kind})
    (found,) = outputs_of(backend, file, np.array([[-1.0, 0.5, 2.0]], np.float16))
    assert found.dtype == np.float32
    assert found.tolist() == [[0.0, 0.5, 2.0]]


def test_a_recurrent_layer_forgets_the_call_before(backend: Any, tmp_path: Path) -> None:
    weights = {"w": DRAW.standard_normal((1, 20, 4)), "r": DRAW.standard_normal((1, 20, 5))}
    file = save(
        tmp_path / "lstm.onnx",
        [helper.make_node("LSTM", ["x", "w", "r"], ["y"], hidden_size=5)],
        {"x": (TensorProto.FLOAT, [1, 3, 4])},
        {"y": (TensorProto.FLOAT, [1, 1, 3, 5])},
        **{name: value.astype(np.float32) for name, value in weights.items()},
    )
    x = DRAW.standard_normal((1, 3, 4)).astype(np.float32)
    np.testing.assert_allclose(outputs_of(backend, file, x, calls=3)[0], expected(file, x)[0], atol=1e-6)


def refused() -> Iterator[tuple[str, list[Any], dict[str, Any]]]:
    """Networks that tract has no kernel for: a name in its answer, nodes, constants."""
    yield "Mystery", [helper.make_node("Mystery", ["x", "x"], ["y"], domain="nobody.knows")], {}
    four = helper.make_tensor("w", TensorProto.INT4, (3, 3), [1] * 9)
    blocks = [
        helper.make_node("DequantizeLinear", ["w", "s"], ["v"], axis=0, block_size=3),
        helper.make_node("MatMul", ["x", "v"], ["y"]),
    ]
    scale = np.ones((1, 3), np.float32)
    yield "Int4", blocks, {"w": four, "s": scale}
    yield "blocked", blocks, {"w": np.ones((3, 3), np.int8), "s": scale}


@pytest.mark.parametrize("case", list(refused()), ids=lambda case: case[0])
def test_what_it_has_no_kernel_for_is_unsupported(case: Any, backend: Any, tmp_path: Path) -> None:
    name, nodes, constants = case
    kind = (TensorProto.FLOAT, ["n", 3])
    file = save(tmp_path / "foreign.onnx", nodes, {"x": kind}, {"y": kind}, **constants)
    with pytest.raises(UnsupportedError, match=name):
        backend.open(file, options(np.ones((1, 3), np.float32)))


@pytest.mark.parametrize("content", [b"", b"no model at all", "half", None])
def test_a_damaged_file_is_refused_in_one_line(content: Any, backend: Any, network: Path, tmp_path: Path) -> None:
    file = tmp_path / "model.onnx"
    if content is not None:
        file.write_bytes(network.read_bytes()[:900] if content == "half" else content)
    with pytest.raises(ArtifactError, match=r"model\.onnx") as caught:
        backend.open(file, options(X))
    assert "\n" not in str(caught.value)


def test_it_says_that_it_uses_one_thread_of_two(backend: Any, network: Path) -> None:
    session = backend.open(network, options(X, threads=2))
    assert session.threads() == 1
    session.close()


def test_a_panic_is_the_end_of_its_row_and_not_of_the_run(tmp_path: Path) -> None:
    nodes = [helper.make_node("Conv", ["x", "w"], ["y"], strides=[0, 0])]
    inputs, outputs = {"x": (TensorProto.FLOAT, ["n", 1, 4, 4])}, {"y": (TensorProto.FLOAT, ["n", 1, None, None])}
    file = save(tmp_path / "zero.onnx", nodes, inputs, outputs, w=np.ones((1, 1, 3, 3), np.float32))
    command = ["run", "--model", str(file), "--recipe", "baseline", "--backend", "tract", "--profile", "rpi4"]
    done = subprocess.run(
        [sys.executable, "-m", "harness", *command, "--budget-s", "1", "--out", str(tmp_path / "run")],
        env={**os.environ, "BENCH_CACHE": str(tmp_path / "cache"), "RUST_BACKTRACE": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert "SIGABRT" in done.stdout
    assert "stack backtrace" not in done.stdout + done.stderr
    assert (tmp_path / "run" / "records.jsonl").read_text(encoding="utf-8").count('"failed"') == 1
