"""The way from ONNX to IR: the same numbers, a batch that stays free, and integers that stay integers."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_onnx.reader import read as read_onnx
from bench_openvino import OpenVinoOptions, harness_backends, harness_converters, harness_graph_readers
from harness import ArtifactError, BuildContext, SessionOptions, TensorSpec, UnsupportedError

onnx = pytest.importorskip("onnx")
pytest.importorskip("openvino")
onnxruntime = pytest.importorskip("onnxruntime")

from onnx import TensorProto, helper, numpy_helper  # noqa: E402

(CONVERTER,) = harness_converters()
(READER,) = harness_graph_readers()
(BACKEND,) = harness_backends()


def network(path: Path) -> Path:
    """A convolution with a clamp, a mean and a linear layer; the batch is free."""
    random = np.random.default_rng(0)
    values = {
        "w": random.standard_normal((8, 3, 3, 3)) * 0.3,
        "b": random.standard_normal(8) * 0.1,
        "low": np.float32(0),
        "high": np.float32(6),
        "head": random.standard_normal((5, 8)) * 0.3,
        "offset": random.standard_normal(5),
    }
    nodes = [
        helper.make_node("Conv", ["x", "w", "b"], ["conv"], pads=[1, 1, 1, 1]),
        helper.make_node("Clip", ["conv", "low", "high"], ["clip"]),
        helper.make_node("GlobalAveragePool", ["clip"], ["pool"]),
        helper.make_node("Flatten", ["pool"], ["flat"]),
        helper.make_node("Gemm", ["flat", "head", "offset"], ["y"], transB=1),
    ]
    graph = helper.make_graph(
        nodes,
        "net",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", 3, 8, 8])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", 5])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


def in_pairs(source: Path, path: Path) -> Path:
    """The same in int8, as pairs of QuantizeLinear and DequantizeLinear."""
    from onnxruntime.quantization import CalibrationDataReader, QuantFormat, QuantType, quantize_static

    class Rows(CalibrationDataReader):
        def __init__(self) -> None:
            self.rows = iter(np.random.default_rng(1).standard_normal((8, 1, 3, 8, 8)).astype(np.float32))

        def get_next(self) -> dict[str, Any] | None:
            row = next(self.rows, None)
            return None if row is None else {"x": row}

    quantize_static(
        source, path, Rows(), quant_format=QuantFormat.QDQ, per_channel=True, activation_type=QuantType.QUInt8,
        weight_type=QuantType.QInt8,
    )  # fmt: skip
    return path


def context_in(workdir: Path) -> BuildContext:
    workdir.mkdir(exist_ok=True)
    return BuildContext(
        workdir=workdir, seed=0, threads=1, data=None, example=(), inputs=(), outputs=(), note=lambda line: None
    )


@pytest.fixture
def onnx_file(tmp_path: Path) -> Path:
    return network(tmp_path / "net.onnx")


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return context_in(tmp_path / "work")


def opened(path: Path) -> Any:
    spec = TensorSpec(name="x", shape=(None, 3, 8, 8), dtype="float32")
    return BACKEND.open(path, SessionOptions(threads=1, options=OpenVinoOptions(), inputs=(spec,)))


def outputs(path: Path, x: np.ndarray) -> np.ndarray:
    import openvino

    file = path / "model.xml" if path.is_dir() else path
    return openvino.Core().compile_model(file, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def test_numbers_names_and_the_free_batch_stay(onnx_file, context):
    folder = CONVERTER.convert(onnx_file, context)
    x = np.random.default_rng(2).standard_normal((5, 3, 8, 8)).astype(np.float32)
    wanted = onnxruntime.InferenceSession(onnx_file, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]
    np.testing.assert_allclose(outputs(folder, x), wanted, atol=1e-5)
    assert sorted(p.name for p in folder.iterdir()) == ["model.bin", "model.xml"]
    graph, same = READER.read(folder), read_onnx(onnx_file)
    assert [(op.kind, op.macs, op.precision) for op in graph.operators] == [
        (op.kind, op.macs, op.precision) for op in same.operators
    ]
    assert graph.parameters == same.parameters
    assert graph.inputs == ("x",)


def test_pairs_of_quantisers_are_executed_in_integers(onnx_file, context, tmp_path):
    pairs = in_pairs(onnx_file, tmp_path / "pairs.onnx")
    folder = CONVERTER.convert(pairs, context)
    graph, same = READER.read(folder), read_onnx(pairs)
    assert (graph.macs, graph.parameters, graph.int8_macs_share) == (same.macs, same.parameters, 1.0)
    weights = {t.precision for op in graph.operators if op.macs for t in graph.weights_of(op)}
    assert weights == {"int8", "int32"}
    infos = [n.get_rt_info() for n in opened(folder)._compiled.get_runtime_model().get_ops()]
    found = {str(i["layerType"].astype(str)): str(i["runtimePrecision"].astype(str)) for i in infos}
    assert found["Convolution"] in {"u8", "i8"}
    assert found["FullyConnected"] in {"u8", "i8"}
    x = np.random.default_rng(2).standard_normal((5, 3, 8, 8)).astype(np.float32)
    np.testing.assert_allclose(outputs(folder, x), outputs(onnx_file, x), atol=0.1)


def test_a_weight_that_is_stored_in_integers_stays_so_when_the_batch_is_bound(context, tmp_path):
    nncf = pytest.importorskip("nncf")
    ir = CONVERTER.convert(network(tmp_path / "net.onnx"), context)
    import openvino

    model = nncf.compress_weights(openvino.Core().read_model(ir / "model.xml"), mode=nncf.CompressWeightsMode.INT8_SYM)
    openvino.save_model(model, tmp_path / "model.xml", compress_to_fp16=False)
    infos = [n.get_rt_info() for n in opened(tmp_path)._compiled.get_runtime_model().get_ops()]
    found = {str(i["layerType"].astype(str)): str(i["runtimePrecision"].astype(str)) for i in infos}
    assert found["FullyConnected"] == "i8"


def test_a_damaged_or_missing_file_is_an_artifact_error(context, tmp_path):
    with pytest.raises(ArtifactError, match="no model at"):
        CONVERTER.convert(tmp_path / "none.onnx", context)
    (tmp_path / "bad.onnx").write_bytes(b"\x01\x02 no model")
    with pytest.raises(ArtifactError):
        CONVERTER.convert(tmp_path / "bad.onnx", context)


def test_an_operator_that_openvino_does_not_know_is_unsupported(context, tmp_path):
    node = helper.make_node("Mystery", ["x"], ["y"], domain="example")
    values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["batch", 3]) for name in ("x", "y")]
    graph = helper.make_graph([node], "net", values[:1], values[1:])
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("example", 1)]
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=10), tmp_path / "mystery.onnx")
    with pytest.raises(UnsupportedError, match=r"mystery\.onnx"):
        CONVERTER.convert(tmp_path / "mystery.onnx", context)


def test_another_process_gives_the_same_content_prints_nothing_and_connects_to_nothing(onnx_file, context, tmp_path):
    here = READER.content_sha256(CONVERTER.convert(onnx_file, context))
    work = tmp_path / "there"
    work.mkdir()
    code = f"""
        import sys
        reached = []
        network = ("socket.", "urllib.")
        sys.addaudithook(lambda event, args: reached.append(event) if event.startswith(network) else None)
        from pathlib import Path
        from bench_openvino import harness_converters, harness_graph_readers
        from harness import BuildContext
        context = BuildContext(workdir=Path({str(work)!r}), seed=0, threads=1, data=None, example=(), inputs=(),
                               outputs=(), note=lambda line: None)
        (converter,), (reader,) = harness_converters(), harness_graph_readers()
        path = converter.convert(Path({str(onnx_file)!r}), context)
        print(reader.content_sha256(path), reached, [m for m in sys.modules if m.startswith("openvino_telemetry.")])
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=env
    )
    assert (done.stdout.strip(), done.stderr) == (f"{here} [] []", "")
