"""Quantised ONNX files: that they run, stay close to the float model, and are as integer as they claim."""

from __future__ import annotations

import hashlib
from collections import Counter
from dataclasses import replace
from typing import TYPE_CHECKING

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench_onnx.content import content_sha256
from bench_onnx.reader import read
from bench_quantize import harness_implementations, harness_techniques
from bench_quantize.bias_correction import _shift
from bench_quantize.calibration import rows_of
from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt4, WeightOnlyInt8
from harness import ArtifactError, BuildContext, Data, NoOptions, Split, TensorSpec, UnsupportedError

if TYPE_CHECKING:
    from pathlib import Path

APPLY = {found.technique: found.apply for found in harness_implementations()}
DEFAULTS = {"fp16": NoOptions(), "int8-dynamic": Int8Dynamic(), "int8-static": Int8Static()}
LARGEST_ERROR = {"fp16": 2e-3, "int8-dynamic": 3e-2, "int8-static": 5e-2}
"""Relative to the norm of the float outputs, several times what was seen on this net (3e-4, 3e-3, 6e-3)."""


def mobile_net(path: Path) -> Path:
    """Convolutions with folded normalisation and ReLU6, a depthwise one, a residual, a mean and a linear layer.

    This is how torch exports a mobile network: Clip, ReduceMean over pictures, Gemm with transB, a free batch.
    """
    random = np.random.default_rng(0)
    nodes: list[onnx.NodeProto] = []
    weights: list[onnx.TensorProto] = []

    def weight(name: str, value: object, dtype: str = "float32") -> str:
        weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def conv(x: str, y: str, shape: tuple[int, ...], *, clip: bool = True, **attributes: object) -> str:
        fan_in = shape[1] * shape[2] * shape[3]
        w = weight(f"{y}.w", random.standard_normal(shape) * (2 / fan_in) ** 0.5)
        b = weight(f"{y}.b", random.standard_normal(shape[0]) * 0.1)
        pads = [shape[2] // 2, shape[3] // 2] * 2
        nodes.append(helper.make_node("Conv", [x, w, b], [y], name=y, pads=pads, **attributes))
        if not clip:
            return y
        nodes.append(helper.make_node("Clip", [y, "low", "high"], [f"{y}.clip"], name=f"{y}.clip"))
        return f"{y}.clip"

    weight("low", 0.0)
    weight("high", 6.0)
    stem = conv("input", "stem", (8, 3, 3, 3), strides=[2, 2])
    y = conv(conv(stem, "expand", (24, 8, 1, 1)), "depth", (24, 1, 3, 3), group=24)
    y = conv(y, "project", (8, 24, 1, 1), clip=False)
    nodes.append(helper.make_node("Add", [stem, y], ["sum"], name="sum"))
    y = conv("sum", "last", (16, 8, 1, 1))
    nodes.append(
        helper.make_node("ReduceMean", [y, weight("axes", [2, 3], "int64")], ["mean"], keepdims=0, name="mean")
    )
    gemm = ["mean", weight("head.w", random.standard_normal((5, 16)) * 0.3), weight("head.b", np.zeros(5))]
    nodes.append(helper.make_node("Gemm", gemm, ["logits"], transB=1, name="head"))
    graph = helper.make_graph(
        nodes,
        "mobile",
        [helper.make_tensor_value_info("input", TensorProto.FLOAT, ["batch", 3, 16, 16])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 5])],
        weights,
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10), path)
    return path


@pytest.fixture
def float_model(tmp_path):
    folder = tmp_path / "source"
    folder.mkdir()
    return mobile_net(folder / "mobile.onnx")


@pytest.fixture
def context(tmp_path):
    rows = np.random.default_rng(1).standard_normal((40, 3, 16, 16)).astype(np.float32)
    data = Data(name="noise", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    return build_context(tmp_path / "work", data)


def build_context(workdir: Path, data: Data | None) -> BuildContext:
    workdir.mkdir(exist_ok=True)
    notes: list[str] = []
    context = BuildContext(
        workdir=workdir,
        seed=0,
        threads=1,
        data=data,
        example=(np.zeros((1, 3, 16, 16), np.float32),),
        inputs=(TensorSpec(name="input", shape=(None, 3, 16, 16), dtype="float32"),),
        outputs=("logits",),
        note=notes.append,
    )
    NOTES[workdir] = notes
    return context


NOTES: dict[Path, list[str]] = {}


def apply(technique: str, path: Path, context: BuildContext, **options: object) -> Path:
    return APPLY[technique](path, replace(DEFAULTS[technique], **options), context)


def run_onnxruntime(path: Path, x: np.ndarray) -> np.ndarray:
    import onnxruntime

    onnxruntime.set_default_logger_severity(3)
    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"input": x})[0]


def run_openvino(path: Path, x: np.ndarray) -> np.ndarray:
    import openvino

    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(x)[0]


@pytest.mark.parametrize("run", [run_onnxruntime, run_openvino])
@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_every_form_runs_at_any_batch_and_stays_close_to_float(technique, run, float_model, context):
    x = np.random.default_rng(2).standard_normal((4, 3, 16, 16)).astype(np.float32)
    wanted = run_onnxruntime(float_model, x)
    found = run(apply(technique, float_model, context), x)
    assert found.dtype == np.float32
    assert np.linalg.norm(found - wanted) / np.linalg.norm(wanted) < LARGEST_ERROR[technique]


@pytest.mark.parametrize(
    "options",
    [
        {"symmetric_activations": True},
        {"method": "entropy"},
        {"method": "percentile", "percentile": 99.9},
        {"per_channel": False, "reduce_range": True},
        {"samples": 3},
        {"correct_biases": False},
    ],
)
def test_every_option_of_static_quantisation_gives_another_file_that_is_close(options, float_model, context, tmp_path):
    x = np.random.default_rng(2).standard_normal((1, 3, 16, 16)).astype(np.float32)
    wanted = run_onnxruntime(float_model, x)
    usual = content_sha256(apply("int8-static", float_model, context))
    path = apply("int8-static", float_model, build_context(tmp_path / "other", context.data), **options)
    assert content_sha256(path) != usual
    assert np.linalg.norm(run_onnxruntime(path, x) - wanted) / np.linalg.norm(wanted) < 0.15
    assert read(path).int8_macs_share == 1.0


def test_static_quantisation_leaves_no_float_operator_inside(float_model, context):
    graph = read(apply("int8-static", float_model, context))
    assert [op.kind for op in graph.operators] == [
        "quantize", "conv", "conv", "conv", "conv", "add", "conv", "global_pool", "reshape", "fully_connected",
        "dequantize",
    ]  # fmt: skip
    assert {op.precision for op in graph.operators[1:-1]} == {"int8"}
    assert graph.int8_macs_share == 1.0
    assert graph.parameters == read(float_model).parameters
    assert graph.macs == read(float_model).macs


def test_onnxruntime_runs_the_static_form_with_integer_kernels_alone(float_model, context, tmp_path):
    import onnxruntime

    path = apply("int8-static", float_model, context)
    options = onnxruntime.SessionOptions()
    options.log_severity_level = 3
    options.optimized_model_filepath = str(tmp_path / "optimised.onnx")
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    found = Counter(node.op_type for node in onnx.load(tmp_path / "optimised.onnx").graph.node)
    assert (found["QuantizeLinear"], found["DequantizeLinear"]) == (1, 1)
    assert found["QLinearConv"] == 5
    assert not {"Conv", "Gemm", "MatMul", "Clip", "Add", "ReduceMean", "GlobalAveragePool"} & set(found)


def test_the_operator_form_of_a_quantised_file_reads_like_the_pair_form(float_model, context, tmp_path):
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    from bench_quantize.calibration import RowReader
    from bench_quantize.preparation import prepare, workplace

    pairs = read(apply("int8-static", float_model, context, per_channel=True))
    split = context.data.split("calibration")
    with workplace(tmp_path) as place:
        prepared = prepare(float_model, place)
        reader = RowReader(split, np.arange(8), ("input",))
        quantize_static(
            prepared, tmp_path / "q.onnx", reader, quant_format=QuantFormat.QOperator, per_channel=True,
            activation_type=QuantType.QUInt8, weight_type=QuantType.QInt8,
        )  # fmt: skip
    operators = read(tmp_path / "q.onnx")
    assert [op.macs for op in operators.operators if op.macs] == [op.macs for op in pairs.operators if op.macs]
    assert operators.parameters == pairs.parameters
    assert operators.int8_macs_share == 1.0


def test_dynamic_quantisation_takes_linear_operators_only_unless_told(float_model, context, tmp_path):
    linear = read(apply("int8-dynamic", float_model, context))
    every = read(apply("int8-dynamic", float_model, build_context(tmp_path / "all", None), operators="all"))
    assert [op.kind for op in linear.operators if op.precision == "int8"] == ["fully_connected"]
    assert {op.scheme for op in every.operators if op.macs} == {"dynamic"}
    assert linear.int8_macs_share == 80 / linear.macs
    assert every.int8_macs_share == 1.0
    assert NOTES[context.workdir] == ["int8: 0 of 5 Conv, 1 of 1 Gemm/MatMul"]


def test_dynamic_quantisation_that_finds_nothing_says_so(tmp_path, context):
    node = helper.make_node("Relu", ["input"], ["logits"])
    value = [helper.make_tensor_value_info(name, TensorProto.FLOAT, ["n", 3]) for name in ("input", "logits")]
    model = helper.make_model(helper.make_graph([node], "relu", value[:1], value[1:]))
    onnx.save(model, tmp_path / "relu.onnx")
    with pytest.raises(UnsupportedError, match="nothing to quantise") as caught:
        apply("int8-dynamic", tmp_path / "relu.onnx", context)
    assert "int8-static" in caught.value.hint


def test_half_precision_halves_the_file_and_is_valid_onnx(float_model, context):
    path = apply("fp16", float_model, context)
    onnx.checker.check_model(path, full_check=True)
    graph = read(path)
    assert [graph.operators[0].kind, graph.operators[-1].kind] == ["cast", "cast"]
    assert {op.precision for op in graph.operators if op.macs} == {"fp16"}
    weights = [t for t in graph.tensors.values() if t.constant]
    assert {t.precision for t in weights} == {"fp16"}


def test_half_precision_notes_weights_that_are_too_large_for_it(float_model, context):
    model = onnx.load(float_model)
    tensor = next(t for t in model.graph.initializer if t.name == "head.w")
    values = numpy_helper.to_array(tensor).copy()
    values[0, :3] = [1e6, -1e6, 1e-9]
    tensor.CopyFrom(numpy_helper.from_array(values, "head.w"))
    onnx.save(model, float_model)
    apply("fp16", float_model, context)
    assert NOTES[context.workdir] == ["2 weights were too large for fp16 and were cut to ±65504"]


@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_the_same_seed_gives_the_same_content(technique, float_model, context, tmp_path):
    first = apply(technique, float_model, context)
    second = apply(technique, float_model, build_context(tmp_path / "again", context.data))
    assert content_sha256(first) == content_sha256(second)
    assert content_sha256(first) != content_sha256(float_model)


@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_the_input_stays_and_only_the_result_is_left(technique, float_model, context, tmp_path, monkeypatch, capfd):
    elsewhere = tmp_path / "elsewhere"
    elsewhere.mkdir()
    monkeypatch.chdir(elsewhere)
    monkeypatch.setattr("tempfile.tempdir", str(elsewhere))
    before = hashlib.sha256(float_model.read_bytes()).hexdigest()
    result = apply(technique, float_model, context)
    assert hashlib.sha256(float_model.read_bytes()).hexdigest() == before
    assert list(context.workdir.iterdir()) == [result]
    assert list(float_model.parent.iterdir()) == [float_model]
    assert list(elsewhere.iterdir()) == []
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_a_file_that_is_quantised_already_is_refused(technique, float_model, context, tmp_path):
    quantised = apply("int8-static", float_model, context)
    with pytest.raises(UnsupportedError, match="quantised already"):
        apply(technique, quantised, build_context(tmp_path / "second", context.data))


@pytest.mark.parametrize("data", [None, Data(name="bare", sha256="0", metric="top1", splits={})])
def test_static_quantisation_without_calibration_rows_asks_for_data(data, float_model, tmp_path):
    with pytest.raises(ArtifactError, match="calibrate") as caught:
        apply("int8-static", float_model, build_context(tmp_path / "work", data))
    assert "--data" in caught.value.hint


def test_calibration_rows_of_another_shape_are_refused(float_model, tmp_path):
    rows = np.zeros((4, 3, 8, 8), np.float32)
    data = Data(name="small", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    with pytest.raises(ArtifactError, match=r"\[3, 16, 16\].*\[3, 8, 8\]"):
        apply("int8-static", float_model, build_context(tmp_path / "work", data))


@pytest.mark.parametrize("options", [{"samples": 0}, {"percentile": 20.0}, {"percentile": 100.5}])
def test_options_out_of_range_are_refused_with_the_value(options, float_model, context):
    ((name, value),) = options.items()
    with pytest.raises(UnsupportedError, match=f"{name}={value}"):
        apply("int8-static", float_model, context, **options)


def test_calibration_rows_are_spread_evenly_and_come_in_whole_chunks_for_histograms():
    split = Split(inputs=(np.zeros((101, 1)),))
    assert rows_of(split, 5, chunked=False).tolist() == [0, 25, 50, 75, 100]
    assert len(rows_of(split, 40, chunked=True)) == 32
    assert len(rows_of(split, 7, chunked=True)) == 7
    assert len(rows_of(split, 1000, chunked=False)) == 101


def test_static_quantisation_notes_what_it_calibrated_on(float_model, context):
    apply("int8-static", float_model, context, samples=10)
    assert NOTES[context.workdir] == [
        "calibrated on 10 of 40 rows, method minmax",
        "int8: 5 of 5 Conv, 1 of 1 Gemm/MatMul",
        "biases corrected: 6",
    ]


def attention_net(path: Path) -> Path:
    """Words embedded, one attention over them, and a mean; a mask makes the last word invisible."""
    random = np.random.default_rng(0)
    mask = np.zeros((1, 1, 8), np.float32)
    mask[..., -1] = -1e9
    values = {name: random.standard_normal((32, 32)) * 0.3 for name in ("q", "k", "v")}
    values |= {"table": random.standard_normal((40, 32)), "mask": mask}
    nodes = [helper.make_node("Gather", ["table", "input"], ["x"])]
    nodes += [helper.make_node("MatMul", ["x", name], [f"{name}x"]) for name in ("q", "k", "v")]
    nodes += [
        helper.make_node("Transpose", ["kx"], ["kt"], perm=[0, 2, 1]),
        helper.make_node("MatMul", ["qx", "kt"], ["scores"]),
        helper.make_node("Add", ["scores", "mask"], ["masked"]),
        helper.make_node("Softmax", ["masked"], ["shares"], axis=-1),
        helper.make_node("MatMul", ["shares", "vx"], ["mixed"]),
        helper.make_node("ReduceMean", ["mixed"], ["logits"], axes=[1], keepdims=0),
    ]
    graph = helper.make_graph(
        nodes,
        "attention",
        [helper.make_tensor_value_info("input", TensorProto.INT64, ["batch", 8])],
        [helper.make_tensor_value_info("logits", TensorProto.FLOAT, ["batch", 32])],
        [numpy_helper.from_array(np.asarray(value, np.float32), name) for name, value in values.items()],
    )
    onnx.save(helper.make_model(graph, opset_imports=[helper.make_opsetid("", 17)], ir_version=10), path)
    return path


def test_of_a_network_with_attention_products_alone_are_integer_and_embeddings_are_stored_so(tmp_path):
    source = attention_net(tmp_path / "attention.onnx")
    rows = np.random.default_rng(1).integers(0, 40, (30, 8))
    data = Data(name="words", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    path = apply("int8-static", source, build_context(tmp_path / "work", data))
    wanted = run_onnxruntime(source, rows)
    assert np.linalg.norm(run_onnxruntime(path, rows) - wanted) / np.linalg.norm(wanted) < 0.05
    graph = read(path)
    assert graph.int8_macs_share == 1.0
    assert {op.precision for op in graph.operators if op.kind in {"softmax", "add"}} == {"fp32"}
    (gather,) = [op for op in graph.operators if op.kind == "gather"]
    assert [t.precision for t in graph.weights_of(gather)] == ["int8"]
    assert (graph.macs, graph.parameters) == (read(source).macs, read(source).parameters)
    assert any("transformer" in note and "1 embeddings" in note for note in NOTES[tmp_path / "work"])


def test_an_embedding_that_is_quantised_counts_as_much_as_a_float_one(tmp_path):
    source = attention_net(tmp_path / "attention.onnx")
    path = apply("int8-dynamic", source, build_context(tmp_path / "work", None), operators="all")
    assert read(path).parameters == read(source).parameters


def test_a_corrected_bias_brings_the_mean_of_each_output_back(float_model, context, tmp_path):
    rows = context.data.split("calibration").inputs[0]
    wanted = run_onnxruntime(float_model, rows).mean(axis=0)
    moved = []
    for name, corrected in (("with", True), ("without", False)):
        other = build_context(tmp_path / name, context.data)
        path = apply("int8-static", float_model, other, correct_biases=corrected, per_channel=False)
        moved.append(np.abs(run_onnxruntime(path, rows).mean(axis=0) - wanted).max())
    assert moved[0] < 0.5 * moved[1]


@pytest.mark.parametrize("transposed", [0, 1])
def test_the_shift_of_a_bias_is_that_of_the_mean_for_products_of_every_layout(transposed):
    random = np.random.default_rng(0)
    error, inputs = random.standard_normal((4, 6)), random.standard_normal((50, 6))
    node = helper.make_node("Gemm", ["x", "w", "b"], ["y"], transB=transposed)
    found = _shift(error if transposed else error.T, inputs.mean(axis=0), node)
    np.testing.assert_allclose(found, (inputs @ error.T).mean(axis=0))


@pytest.mark.parametrize("groups", [1, 2, 6])
def test_the_shift_of_a_bias_is_that_of_the_mean_for_convolutions_of_every_grouping(groups):
    torch = pytest.importorskip("torch")
    random = np.random.default_rng(0)
    error = random.standard_normal((6, 6 // groups, 1, 1)).astype(np.float32)
    inputs = random.standard_normal((5, 6, 4, 4)).astype(np.float32)
    made = torch.nn.functional.conv2d(torch.from_numpy(inputs), torch.from_numpy(error), groups=groups).numpy()
    node = helper.make_node("Conv", ["x", "w", "b"], ["y"], group=groups)
    found = _shift(error, inputs.mean(axis=(0, 2, 3)), node)
    np.testing.assert_allclose(found, made.mean(axis=(0, 2, 3)), atol=1e-6)


def test_three_techniques_are_in_the_default_run():
    assert {t.name: t.default for t in harness_techniques()} == {
        "fp16": "", "int8-dynamic": "", "int8-static": "", "weight-only-int8": None, "weight-only-int4": None
    }  # fmt: skip


def test_two_techniques_that_decide_the_precision_do_not_go_into_one_recipe():
    assert {t.excludes for t in harness_techniques()} == {"precision"}


def test_accuracy_control_is_refused_by_name_on_onnx_and_needs_labels_elsewhere():
    (static,) = [t for t in harness_techniques() if t.name == "int8-static"]
    (here,) = [found for found in harness_implementations() if found.technique == "int8-static"]
    assert here.unsupported == {"max_drop"}
    assert static.needs_with(Int8Static()) == {"calibration"}
    assert static.needs_with(Int8Static(max_drop=1.0)) == {"calibration", "validation", "labels"}


@pytest.mark.parametrize(
    ("first", "tries"),
    [
        (Int8Static(per_channel=False), 4),
        (Int8Static(), 3),
        (Int8Static(method="percentile"), 1),
        (Int8Dynamic(operators="all"), 3),
        (Int8Dynamic(per_channel=True), 1),
        (WeightOnlyInt8(), 2),
        (WeightOnlyInt4(block=64, activations="int8"), 5),
        (WeightOnlyInt4(block=16, symmetric=False), 1),
    ],
)
def test_gentler_tries_come_to_an_end_and_keep_what_was_gentle_already(first, tries):
    (technique,) = [t for t in harness_techniques() if t.options is type(first)]
    seen = [first]
    while (following := technique.gentler(seen[-1])) is not None:
        assert following not in seen
        seen.append(following)
    assert len(seen) == tries
    if isinstance(first, Int8Static):
        assert all(options.per_channel for options in seen[1:])
        order = ["minmax", "entropy", "percentile"]
        assert [order.index(options.method) for options in seen] == sorted(order.index(o.method) for o in seen)
