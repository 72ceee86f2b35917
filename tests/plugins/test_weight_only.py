"""Weights in eight and four bits in ONNX files: what is stored, what runs, and what the graph says of it."""

from __future__ import annotations

import hashlib
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import onnx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st
from hypothesis.extra import numpy as arrays
from onnx import TensorProto, helper, numpy_helper

from bench_onnx.content import content_sha256
from bench_onnx.reader import read
from bench_quantize import harness_implementations
from bench_quantize.options import WeightOnlyInt4, WeightOnlyInt8
from bench_quantize.stored_weights import quantised, weights_of
from harness import BuildContext, UnsupportedError

onnxruntime = pytest.importorskip("onnxruntime")

APPLY = {found.technique: found.apply for found in harness_implementations()}
OPTIONS: dict[str, Any] = {"weight-only-int8": WeightOnlyInt8, "weight-only-int4": WeightOnlyInt4}
LARGEST_ERROR = {"weight-only-int8": 2e-2, "weight-only-int4": 0.2}
"""Relative to the norm of the float outputs, several times what was seen on this net (6e-3, 6e-2)."""

WORDS, WIDTH, CLASSES = 50, 40, 5
NOTES: dict[Path, list[str]] = {}


class Net:
    """Builds an ONNX file node by node; weights are seeded."""

    def __init__(self) -> None:
        self.nodes: list[Any] = []
        self.constants: list[Any] = []
        self.random = np.random.default_rng(0)

    def constant(self, value: object, dtype: str = "float32") -> str:
        name = f"c{len(self.constants)}"
        self.constants.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def weight(self, *shape: int, gain: float = 0.3) -> str:
        return self.constant(self.random.standard_normal(shape) * gain)

    def add(self, op: str, *inputs: str, **attributes: object) -> str:
        made = f"{op.lower()}{len(self.nodes)}"
        self.nodes.append(helper.make_node(op, inputs, [made], name=made, **attributes))
        return made

    def save(self, path: Path, value: Any, output: str) -> Path:
        made = [helper.make_tensor_value_info(output, TensorProto.FLOAT, None)]
        graph = helper.make_graph(self.nodes, "net", [value], made, self.constants)
        path.parent.mkdir(exist_ok=True, parents=True)
        onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
        return path


def text_net(path: Path) -> Path:
    """An embedding, a linear layer as MatMul, one as Gemm with transB, and a convolution over the words."""
    net = Net()
    x = net.add("Gather", net.weight(WORDS, WIDTH, gain=1.0), "words", axis=0)
    x = net.add("Relu", net.add("MatMul", x, net.weight(WIDTH, 64)))
    x = net.add("Transpose", x, perm=[0, 2, 1])
    x = net.add("Relu", net.add("Conv", x, net.weight(32, 64, 3), net.weight(32), pads=[1, 1]))
    x = net.add("ReduceMean", x, net.constant([2], "int64"), keepdims=0)
    x = net.add("Gemm", x, net.weight(CLASSES, 32), net.weight(CLASSES), transB=1)
    return net.save(path, helper.make_tensor_value_info("words", TensorProto.INT64, ["batch", 8]), x)


@pytest.fixture
def float_model(tmp_path: Path) -> Path:
    return text_net(tmp_path / "source" / "text.onnx")


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    return context_in(tmp_path / "work")


def context_in(workdir: Path) -> BuildContext:
    workdir.mkdir(exist_ok=True)
    NOTES[workdir] = []
    return BuildContext(
        workdir=workdir, seed=0, threads=1, data=None, example=(), inputs=(), outputs=(), note=NOTES[workdir].append
    )


def apply(technique: str, path: Path, context: BuildContext, **options: object) -> Path:
    return APPLY[technique](path, OPTIONS[technique](**options), context)


def run(path: Path, x: np.ndarray) -> np.ndarray:
    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"words": x})[0]


def run_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    openvino = pytest.importorskip("openvino")
    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


def words(rows: int = 6) -> np.ndarray:
    return np.random.default_rng(1).integers(0, WORDS, (rows, 8))


def optimised(path: Path, folder: Path) -> Counter[str]:
    """Operators of the graph as ONNX Runtime executes it."""
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(folder / "optimised.onnx")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(folder / "optimised.onnx").graph.node)


def stored(path: Path) -> list[tuple[str, str, str, str]]:
    """Kind, precision, scheme and precision of the weight of each operator that has one."""
    graph = read(path)
    return [(op.kind, op.precision, op.scheme, graph.weights_of(op)[0].precision) for op in graph.operators if op.macs]


@pytest.mark.parametrize("runtime", [run, run_openvino])
@pytest.mark.parametrize("technique", list(OPTIONS))
@pytest.mark.parametrize("symmetric", [True, False])
def test_every_form_runs_at_any_batch_stays_close_and_counts_the_same(
    technique, symmetric, runtime, float_model, context
):
    path = apply(technique, float_model, context, symmetric=symmetric)
    onnx.checker.check_model(path)
    wanted = run(float_model, words())
    error = np.linalg.norm(runtime(path, words()) - wanted) / np.linalg.norm(wanted)
    assert error < LARGEST_ERROR[technique]
    assert (read(path).macs, read(path).parameters) == (read(float_model).macs, read(float_model).parameters)
    assert read(path).int8_macs_share == 0.0


def test_eight_bits_reach_every_weight_and_the_file_is_a_third(float_model, context):
    path = apply("weight-only-int8", float_model, context)
    assert {found[2:] for found in stored(path)} == {("weight-only", "int8")}
    (gather,) = [op for op in read(path).operators if op.kind == "gather"]
    assert [t.precision for t in read(path).weights_of(gather)] == ["int8"]
    assert path.stat().st_size < 0.36 * float_model.stat().st_size
    sizes = f"file {float_model.stat().st_size / 1000:,.0f} kB before, {path.stat().st_size / 1000:,.0f} kB after"
    assert NOTES[context.workdir][0] == f"int8: 100.0% of the weights, 1 Conv, 1 Gather, 1 Gemm, 1 MatMul; {sizes}"


def test_eight_bits_are_expanded_when_the_file_is_opened_and_not_at_every_inference(float_model, context, tmp_path):
    assert optimised(apply("weight-only-int8", float_model, context), tmp_path) == optimised(float_model, tmp_path)


def test_four_bits_reach_linear_layers_and_run_as_one_kernel(float_model, context, tmp_path):
    path = apply("weight-only-int4", float_model, context)
    assert sorted(stored(path)) == [
        ("conv", "fp32", "weight-only", "int8"),
        ("fully_connected", "fp32", "weight-only", "int4"),
        ("fully_connected", "fp32", "weight-only", "int4"),
    ]
    found = optimised(path, tmp_path)
    assert found["MatMulNBits"] == 2
    assert not {"MatMul", "Gemm", "DequantizeLinear", "Cast"} & set(found)
    elements = {"MatMul": WIDTH * 64 + CLASSES * 32, "others": WORDS * WIDTH + 32 * 64 * 3}
    share = elements["MatMul"] / sum(elements.values())
    assert NOTES[context.workdir][0].startswith(
        f"int4: {share:.1%} of the weights in blocks of 32, 2 MatMul; int8: {1 - share:.1%}, 1 Conv, 1 Gather; file "
    )


def test_the_rest_stays_float_when_asked_for_and_is_named(float_model, context):
    path = apply("weight-only-int4", float_model, context, rest="float")
    assert {found[3] for found in stored(path)} == {"fp32", "int4"}
    assert NOTES[context.workdir][1].startswith("left in float: ")
    assert NOTES[context.workdir][1].endswith("1 Conv, 1 Gather")


def test_activations_that_may_be_rounded_make_a_dynamic_int8_product(float_model, context):
    path = apply("weight-only-int4", float_model, context, activations="int8")
    products = [found for found in stored(path) if found[0] == "fully_connected"]
    assert products == [("fully_connected", "int8", "dynamic", "int4")] * 2
    levels = {a.i for n in onnx.load(path).graph.node for a in n.attribute if a.name == "accuracy_level"}
    assert levels == {4}
    assert run(path, words()).dtype == np.float32


@pytest.mark.parametrize("options", [{"block": 16}, {"symmetric": False}, {"rest": "float"}, {"activations": "int8"}])
def test_every_option_gives_another_file(options, float_model, context, tmp_path):
    usual = apply("weight-only-int4", float_model, context)
    other = apply("weight-only-int4", float_model, context_in(tmp_path / "other"), **options)
    assert content_sha256(usual) != content_sha256(other)


def test_shorter_blocks_are_closer_to_float(tmp_path):
    net = Net()
    value = helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", 512])
    source = net.save(tmp_path / "net" / "net.onnx", value, net.add("MatMul", "words", net.weight(512, 32)))
    x = np.random.default_rng(1).standard_normal((20, 512)).astype(np.float32)
    paths = [apply("weight-only-int4", source, context_in(tmp_path / str(b)), block=b) for b in (256, 64, 16)]
    errors = [np.linalg.norm(run(path, x) - run(source, x)) for path in paths]
    assert errors == sorted(errors, reverse=True)


@pytest.mark.parametrize("technique", list(OPTIONS))
def test_the_same_seed_gives_the_same_content_and_leaves_only_the_result(
    technique, float_model, context, tmp_path, capfd
):
    before = hashlib.sha256(float_model.read_bytes()).hexdigest()
    first = apply(technique, float_model, context)
    second = apply(technique, float_model, context_in(tmp_path / "again"))
    assert content_sha256(first) == content_sha256(second)
    assert hashlib.sha256(float_model.read_bytes()).hexdigest() == before
    assert list(context.workdir.iterdir()) == [first]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("technique", list(OPTIONS))
@pytest.mark.parametrize("first", list(OPTIONS))
def test_a_file_that_is_quantised_already_is_refused(first, technique, float_model, context, tmp_path):
    path = apply(first, float_model, context)
    with pytest.raises(UnsupportedError, match="quantised already"):
        apply(technique, path, context_in(tmp_path / "second"))


@pytest.mark.parametrize(
    ("technique", "message"), [("weight-only-int8", "no weight"), ("weight-only-int4", "no linear")]
)
def test_a_model_without_anything_to_compress_is_refused(technique, message, context, tmp_path):
    net = Net()
    value = helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", 8])
    path = net.save(tmp_path / "relu" / "relu.onnx", value, net.add("Relu", "words"))
    with pytest.raises(UnsupportedError, match=message):
        apply(technique, path, context)


@pytest.mark.parametrize("block", [0, 8, 24, 512])
def test_a_block_length_without_a_kernel_is_refused_with_the_value(block, float_model, context):
    with pytest.raises(UnsupportedError, match=f"block={block}"):
        apply("weight-only-int4", float_model, context, block=block)


def test_a_weight_that_would_not_get_smaller_stays_and_one_that_several_read_is_stored_once(context, tmp_path):
    net = Net()
    shared = net.weight(8, 8)
    x = net.add("MatMul", net.add("MatMul", "words", shared), shared)
    x = net.add("Gemm", x, net.weight(8, 3), net.weight(3))
    x = net.add("MatMul", x, net.weight(3, 1000))
    value = helper.make_tensor_value_info("words", TensorProto.FLOAT, ["batch", 8])
    path = apply("weight-only-int8", net.save(tmp_path / "net" / "net.onnx", value, x), context)
    assert [found[3] for found in stored(path)] == ["int8", "int8", "int8", "fp32"]
    assert NOTES[context.workdir][1] == "left in float: 97.2% of the weights, 1 MatMul"
    assert len(weights_of(onnx.load(path))) == 1


@given(
    arrays.arrays(np.float32, st.tuples(st.integers(1, 5), st.integers(1, 6), st.integers(1, 3)),
                  elements=st.floats(-100, 100, width=32)),
    st.integers(0, 2),
    st.booleans(),
)  # fmt: skip
@example(np.array([[[1e-45]]], np.float32), 0, False)  # a range whose 255th part is no number any more
def test_levels_are_within_half_a_step_and_zeros_stay_zero(values, axis, symmetric):
    levels, scale, zero = quantised(values, axis, symmetric=symmetric)
    back = (levels.astype(np.float32) - (0 if zero is None else zero)) * scale
    assert levels.dtype == (np.int8 if symmetric else np.uint8)
    assert scale.shape == tuple(n if i == axis else 1 for i, n in enumerate(values.shape))
    assert np.all(np.abs(back - values) <= scale * (0.5001 if symmetric else 1.0001) + 1e-30)
    assert np.all(back[values == 0] == 0)
