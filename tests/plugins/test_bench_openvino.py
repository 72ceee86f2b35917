"""bench_openvino on a small network that torch exported, as ONNX, as IR, quantised and in half precision."""

from __future__ import annotations

import os
import subprocess
import sys
import textwrap
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_openvino
from harness import ArtifactError, BuildContext, SessionOptions, TensorSpec, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")
pytest.importorskip("onnxscript")
pytest.importorskip("onnxruntime")
pytest.importorskip("openvino")


@pytest.fixture(scope="session")
def module() -> Any:
    torch.manual_seed(0)
    nn = torch.nn
    net = nn.Sequential(
        nn.Conv2d(3, 8, 3, 2, 1),
        nn.BatchNorm2d(8, momentum=1.0),
        nn.ReLU6(),
        nn.Conv2d(8, 8, 3, 1, 1, groups=8),
        nn.BatchNorm2d(8, momentum=1.0),
        nn.ReLU(),
        nn.AvgPool2d(6),
        nn.Flatten(),
        nn.Linear(32, 5, bias=False),
    )
    # Statistics of real activations: with fresh ones the output would be all bias and tell nothing of the layers.
    net.train()(torch.randn(32, 3, 24, 24))
    return net.eval()


@pytest.fixture(scope="session")
def example() -> np.ndarray:
    return np.random.default_rng(0).standard_normal((1, 3, 24, 24)).astype(np.float32)


@pytest.fixture(scope="session")
def expected(module: Any, example: np.ndarray) -> np.ndarray:
    with torch.no_grad():
        return module(torch.from_numpy(example)).numpy()


@pytest.fixture(scope="session")
def onnx_file(module: Any, example: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bench_torch import harness_converters

    convert = {(c.source, c.target): c.convert for c in harness_converters()}
    context = BuildContext(
        workdir=tmp_path_factory.mktemp("onnx"),
        seed=0,
        threads=1,
        data=None,
        example=(example,),
        inputs=(TensorSpec(name="input", shape=(None, 3, 24, 24), dtype="float32"),),
        outputs=("output",),
        note=lambda line: None,
    )
    return convert["checkpoint", "onnx"](convert["module", "checkpoint"](module, context), context)


@pytest.fixture(scope="session")
def ir_folder(onnx_file: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    from bench_openvino.session import ov

    folder = tmp_path_factory.mktemp("ir")
    ov.save_model(ov.Core().read_model(onnx_file), folder / "model.xml", compress_to_fp16=False)
    return folder


@pytest.fixture(scope="session")
def backend() -> Any:
    return next(iter(bench_openvino.harness_backends()))


def options(threads: int = 1, **chosen: Any) -> SessionOptions:
    spec = TensorSpec(name="input", shape=(None, 3, 24, 24), dtype="float32")
    return SessionOptions(threads=threads, options=bench_openvino.OpenVinoOptions(**chosen), inputs=(spec,))


def child(code: str) -> str:
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=env
    )
    return done.stdout.strip()


def test_importing_the_plugin_imports_no_framework() -> None:
    listed = child("import sys, bench_openvino; print([m for m in ('openvino', 'numpy', 'torch') if m in sys.modules])")
    assert listed == "[]"


def test_without_the_runtime_the_backend_says_how_to_get_it(backend: Any, monkeypatch: pytest.MonkeyPatch) -> None:
    assert backend.available().ok
    monkeypatch.setitem(sys.modules, "openvino", None)
    assert backend.available().install == "pip install 'edge-bench[openvino]'"


def test_no_telemetry_is_loaded_and_no_connection_is_made(onnx_file: Path) -> None:
    made = child(f"""
        import sys
        reached = []
        network = ("socket.", "urllib.")
        sys.addaudithook(lambda event, args: reached.append(event) if event.startswith(network) else None)
        import numpy as np
        from pathlib import Path
        import bench_openvino
        from harness import SessionOptions
        backend = next(iter(bench_openvino.harness_backends()))
        backend.prepare()
        options = SessionOptions(threads=1, options=bench_openvino.OpenVinoOptions(), inputs=())
        session = backend.open(Path({str(onnx_file)!r}), options)
        session.bind((np.zeros((1, 3, 24, 24), np.float32),))()
        session.close()
        print(reached, [m for m in sys.modules if m.startswith("openvino_telemetry.")])
    """)
    assert made == "[] []"


def test_outputs_of_onnx_are_those_of_eager_torch(
    onnx_file: Path, backend: Any, example: np.ndarray, expected: np.ndarray
) -> None:
    session = backend.open(onnx_file, options())
    session.bind((example,))()
    np.testing.assert_allclose(session.outputs()[0], expected, atol=1e-4)
    session.close()


@pytest.mark.parametrize("part", ["", "model.xml"])
def test_outputs_of_ir_are_those_of_eager_torch(
    part: str, ir_folder: Path, backend: Any, example: np.ndarray, expected: np.ndarray
) -> None:
    session = backend.open(ir_folder / part, options())
    session.bind((example,))()
    np.testing.assert_allclose(session.outputs()[0], expected, atol=1e-4)
    session.close()


@pytest.mark.parametrize("chosen", [{"inference_precision": "auto"}, {"hint": "throughput"}])
def test_every_option_runs(
    chosen: dict[str, str], onnx_file: Path, backend: Any, example: np.ndarray, expected: np.ndarray
) -> None:
    session = backend.open(onnx_file, options(**chosen))
    session.bind((example,))()
    np.testing.assert_allclose(session.outputs()[0], expected, rtol=0.02, atol=0.02)
    session.close()


@pytest.mark.parametrize("chosen", [{"inference_precision": "int8"}, {"hint": "speed"}])
def test_an_unknown_option_value_is_refused_with_the_known_ones(
    chosen: dict[str, str], onnx_file: Path, backend: Any
) -> None:
    with pytest.raises(UnsupportedError, match="Take one of"):
        backend.open(onnx_file, options(**chosen))


def test_the_bound_call_is_the_runtime_itself(onnx_file: Path, backend: Any, example: np.ndarray) -> None:
    session = backend.open(onnx_file, options())
    call = session.bind((example,))
    assert isinstance(call, partial)
    assert call.func.__func__.__module__.startswith("openvino.")
    session.close()


def test_bound_inputs_are_the_sessions_own(
    onnx_file: Path, backend: Any, example: np.ndarray, expected: np.ndarray
) -> None:
    session = backend.open(onnx_file, options())
    array = example.copy()
    call = session.bind((array,))
    array[:] = 0
    call()
    np.testing.assert_allclose(session.outputs()[0], expected, atol=1e-4)
    session.close()


def test_outputs_stay_when_the_session_runs_again(onnx_file: Path, backend: Any, example: np.ndarray) -> None:
    session = backend.open(onnx_file, options())
    session.bind((example,))()
    first = session.outputs()[0]
    kept = first.copy()
    session.bind((2 * example,))()
    np.testing.assert_array_equal(first, kept)
    assert not np.array_equal(session.outputs()[0], kept)
    session.close()


def test_threads_are_what_was_asked_for(onnx_file: Path, backend: Any) -> None:
    session = backend.open(onnx_file, options(threads=1))
    assert session.threads() == 1
    session.close()


def test_closing_twice_is_fine(onnx_file: Path, backend: Any) -> None:
    session = backend.open(onnx_file, options())
    session.close()
    session.close()


@pytest.mark.parametrize("content", [b"", b"no model at all", None])
def test_a_damaged_file_is_refused_in_one_line(
    content: bytes | None, onnx_file: Path, backend: Any, tmp_path: Path
) -> None:
    file = tmp_path / "model.onnx"
    file.write_bytes(onnx_file.read_bytes()[:1500] if content is None else content)
    with pytest.raises(ArtifactError, match="cannot read") as caught:
        backend.open(file, options())
    assert "\n" not in str(caught.value)


def test_an_empty_ir_folder_is_refused(backend: Any, tmp_path: Path) -> None:
    with pytest.raises(ArtifactError, match=r"model\.xml"):
        backend.open(tmp_path, options())


def test_inputs_of_another_shape_or_dtype_are_refused(onnx_file: Path, backend: Any, example: np.ndarray) -> None:
    session = backend.open(onnx_file, options())
    for wrong in (example[:, :2], example.astype(np.float64), example[0]):
        with pytest.raises(ArtifactError, match="input input takes"):
            session.bind((wrong,))
    session.close()


def test_an_operator_that_is_not_translated_is_unsupported(backend: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    graph = helper.make_graph(
        [helper.make_node("Surprise", ["x"], ["y"], domain="nobody.knows")],
        "foreign",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, [1, 3])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, [1, 3])],
    )
    opsets = [helper.make_opsetid("", 18), helper.make_opsetid("nobody.knows", 1)]
    file = tmp_path / "foreign.onnx"
    onnx.save(helper.make_model(graph, opset_imports=opsets, ir_version=9), file)
    with pytest.raises(UnsupportedError, match="cannot translate"):
        backend.open(file, options())


@pytest.mark.parametrize("dtype", ["uint8", "float16"])
def test_outputs_of_any_type_are_read(dtype: str, backend: Any, tmp_path: Path) -> None:
    from onnx import TensorProto, helper

    kind = getattr(TensorProto, dtype.upper())
    graph = helper.make_graph(
        [helper.make_node("Cast", ["x"], ["y"], to=kind)],
        "cast",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["n", 3])],
        [helper.make_tensor_value_info("y", kind, ["n", 3])],
    )
    file = tmp_path / "cast.onnx"
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=9), file)
    session = backend.open(file, options())
    session.bind((np.array([[0.0, 1.0, 7.0]], np.float32),))()
    got = session.outputs()[0]
    session.close()
    assert got.dtype == (np.dtype("float32") if dtype == "float16" else np.dtype(dtype))
    assert got.tolist() == [[0, 1, 7]]


@pytest.mark.parametrize("form", ["fp16", "dynamic", "qdq"])
def test_reduced_precision_runs_and_stays_near(
    form: str, onnx_file: Path, backend: Any, example: np.ndarray, expected: np.ndarray, tmp_path: Path
) -> None:
    file = tmp_path / f"{form}.onnx"
    reduce_precision(form, onnx_file, file, example)
    session = backend.open(file, options())
    session.bind((example,))()
    got = session.outputs()[0]
    session.close()
    assert np.linalg.norm(got - expected) < 0.05 * np.linalg.norm(expected)
    assert not np.array_equal(got, expected)


def reduce_precision(form: str, source: Path, target: Path, example: np.ndarray) -> None:
    from onnxruntime import quantization
    from onnxruntime.transformers.float16 import convert_float_to_float16

    if form == "fp16":
        onnx.save(convert_float_to_float16(onnx.load(source), keep_io_types=True), target)
    elif form == "dynamic":
        quantization.quantize_dynamic(source, target)
    else:

        class Rows(quantization.CalibrationDataReader):
            def __init__(self) -> None:
                self.rows = iter([{"input": example}, {"input": -example}])

            def get_next(self) -> Any:
                return next(self.rows, None)

        quantization.quantize_static(source, target, Rows(), per_channel=True)
