"""bench_litert: files that torch's networks become, quantised ones, the files of others, and what is read in them."""

from __future__ import annotations

import os
import subprocess
import sys
from dataclasses import replace
from pathlib import Path
from types import SimpleNamespace
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest

import bench_litert
from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt8
from harness import (
    ArtifactError,
    BuildContext,
    Data,
    NoOptions,
    OpGraph,
    SessionOptions,
    Split,
    TensorSpec,
    UnsupportedError,
)

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

torch = pytest.importorskip("torch")
for _module in ("ai_edge_litert", "litert_torch", "ai_edge_quantizer"):
    if bench_litert.if_installed(_module, install="")().ok is False:
        pytest.skip(f"{_module} is not installed", allow_module_level=True)

from ai_edge_litert import schema_py_generated as schema  # noqa: E402

from bench_litert.delegation import delegation  # noqa: E402
from bench_litert.schema_file import load as load_schema  # noqa: E402
from bench_litert.schema_file import operator_name  # noqa: E402

nn = torch.nn

(BACKEND,) = bench_litert.harness_backends()
(READER,) = bench_litert.harness_graph_readers()
(SOURCE,) = bench_litert.harness_models()
(CONVERTER,) = bench_litert.harness_converters()
IMPLEMENTED = {each.technique: each for each in bench_litert.harness_implementations()}

DEFAULTS: dict[str, Any] = {
    "fp16": NoOptions(),
    "int8-static": Int8Static(),
    "int8-dynamic": Int8Dynamic(operators="all"),
    "weight-only-int8": WeightOnlyInt8(),
}

SHAPE = (3, 16, 16)


class Mobile(nn.Module):  # type: ignore[misc, name-defined]
    """Convolution, depthwise and pointwise convolution, a sum, a window, a mean and a linear layer; a second input is
    added before the last."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Conv2d(3, 8, 3, 2, 1)
        self.depth = nn.Conv2d(8, 8, 3, 1, 1, groups=8)
        self.point = nn.Conv2d(8, 8, 1)
        self.wide = nn.Conv2d(8, 12, 3, 1, 1, groups=2)
        self.head = nn.Linear(12, 5)

    def forward(self, image: Any, extra: Any) -> Any:
        x = nn.functional.relu6(self.stem(image))
        x = x + self.point(nn.functional.relu(self.depth(x)))
        x = nn.functional.max_pool2d(nn.functional.relu(self.wide(x)), 2)
        return self.head(x.mean((2, 3)) + extra), extra.sum(1, keepdim=True)


def context_in(folder: Path, **given: Any) -> BuildContext:
    folder.mkdir(parents=True, exist_ok=True)
    defaults: dict[str, Any] = {
        "workdir": folder,
        "seed": 0,
        "threads": 1,
        "data": None,
        "outputs": ("logits",),
        "note": lambda line: None,
    }
    return BuildContext(**{**defaults, **given})


def program_of(module: Any, example: Sequence[np.ndarray], path: Path) -> Path:
    """An exported program with a free batch, as bench_torch writes them."""
    batch = torch.export.Dim("batch")
    doubled = tuple(torch.from_numpy(np.concatenate([each, each])) for each in example)
    torch.export.save(torch.export.export(module, doubled, dynamic_shapes=[{0: batch} for _ in example]), path)
    return path


def opened(path: Path, threads: int = 1, inputs: tuple[TensorSpec, ...] = ()) -> Any:
    return BACKEND.open(path, SessionOptions(threads=threads, options=BACKEND.options(), inputs=inputs))


def run(path: Path, *inputs: np.ndarray, threads: int = 1) -> tuple[np.ndarray, ...]:
    session = opened(path, threads)
    try:
        session.bind(inputs)()
        return tuple(session.outputs())
    finally:
        session.close()


def relative(got: np.ndarray, wanted: np.ndarray) -> float:
    """Error relative to how far the rows differ from each other."""
    return float(np.linalg.norm(got - wanted) / np.linalg.norm(wanted - wanted.mean(0)))


@pytest.fixture(scope="module")
def mobile(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """A small network of two inputs and two outputs with random weights, converted."""
    place = tmp_path_factory.mktemp("mobile")
    torch.manual_seed(0)
    module = Mobile().eval()
    draw = np.random.default_rng(0)
    rows = (
        draw.standard_normal((24, *SHAPE)).astype(np.float32),
        draw.standard_normal((24, 12)).astype(np.float32),
    )
    notes: list[str] = []
    inputs = (
        TensorSpec(name="image", shape=(None, *SHAPE), dtype="float32"),
        TensorSpec(name="extra", shape=(None, 12), dtype="float32"),
    )
    example = tuple(each[:1] for each in rows)
    data = Data(name="noise", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=rows)})
    context = context_in(place / "work", example=example, inputs=inputs, note=notes.append, data=data)
    file = CONVERTER.convert(program_of(module, example, place / "mobile.pt2"), context)
    with torch.no_grad():
        wanted = module(*(torch.from_numpy(each) for each in rows))[0].numpy()
    return SimpleNamespace(module=module, file=file, rows=rows, wanted=wanted, context=context, notes=tuple(notes))


@pytest.fixture(scope="module")
def quantised(mobile: SimpleNamespace, tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Any]:
    """The file that a technique makes of the small network, with its notes, each made once."""
    made: dict[str, Any] = {}

    def make(technique: str) -> Any:
        if technique not in made:
            notes: list[str] = []
            context = replace(mobile.context, workdir=tmp_path_factory.mktemp(technique), note=notes.append)
            file = IMPLEMENTED[technique].apply(mobile.file, DEFAULTS[technique], context)
            made[technique] = SimpleNamespace(file=file, notes=notes, graph=READER.read(file))
        return made[technique]

    return make


# --- conversion


def test_a_converted_network_gives_the_numbers_of_torch(mobile: SimpleNamespace) -> None:
    got = np.concatenate([run(mobile.file, *(each[row : row + 1] for each in mobile.rows))[0] for row in range(24)])
    assert relative(got, mobile.wanted) < 1e-3


def test_inputs_and_outputs_keep_the_order_and_the_layout_of_the_module(mobile: SimpleNamespace) -> None:
    first, second = run(mobile.file, *mobile.context.example)
    assert first.shape == (1, 5)
    np.testing.assert_allclose(second, mobile.context.example[1].sum(1, keepdims=True), rtol=1e-5)


def test_the_lineage_says_how_exact_the_file_is_and_what_xnnpack_takes(mobile: SimpleNamespace) -> None:
    exact, taken = mobile.notes
    assert exact.startswith("LiteRT: relative error")
    assert taken.startswith("batch 1 only; XNNPACK takes ")


def test_conversion_writes_nothing_to_the_streams_of_the_process(
    mobile: SimpleNamespace, tmp_path: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    program = program_of(nn.Linear(12, 2).eval(), mobile.context.example[1:], tmp_path / "linear.pt2")
    capfd.readouterr()
    context = replace(
        mobile.context, workdir=tmp_path, example=mobile.context.example[1:], inputs=mobile.context.inputs[1:]
    )
    run(CONVERTER.convert(program, context), *context.example)
    assert tuple(capfd.readouterr()) == ("", "")


def test_a_file_that_is_no_program_is_refused(mobile: SimpleNamespace, tmp_path: Path) -> None:
    (tmp_path / "model.pt2").write_bytes(b"nothing of the kind")
    with pytest.raises(ArtifactError, match="not an exported program"):
        CONVERTER.convert(tmp_path / "model.pt2", mobile.context)


# --- quantisation


@pytest.mark.parametrize(
    ("technique", "largest"), [("fp16", 1e-2), ("int8-static", 0.15), ("int8-dynamic", 0.15), ("weight-only-int8", 0.1)]
)
def test_a_quantised_file_stays_close_to_the_float_module(
    technique: str, largest: float, quantised: Callable[[str], Any], mobile: SimpleNamespace
) -> None:
    file = quantised(technique).file
    got = np.concatenate([run(file, *(each[row : row + 1] for each in mobile.rows))[0] for row in range(24)])
    assert got.dtype == np.float32
    assert relative(got, mobile.wanted) < largest


def test_a_fully_quantised_file_takes_and_gives_integers_that_the_host_sees_as_floats(
    quantised: Callable[[str], Any], mobile: SimpleNamespace
) -> None:
    model = load_schema(quantised("int8-static").file)
    graph = model.subgraphs[0]
    assert {graph.tensors[i].type for i in (*graph.inputs, *graph.outputs)} == {schema.TensorType.INT8}
    assert all(each.dtype == np.float32 for each in run(quantised("int8-static").file, *mobile.context.example))


@pytest.mark.parametrize(
    ("technique", "share", "scheme"),
    [("fp16", 0.0, ""), ("int8-static", 1.0, "static"), ("int8-dynamic", 1.0, "dynamic"),
     ("weight-only-int8", 0.0, "weight-only")],
)  # fmt: skip
def test_the_reader_sees_what_is_quantised_and_how(
    technique: str, share: float, scheme: str, quantised: Callable[[str], Any]
) -> None:
    graph = quantised(technique).graph
    assert graph.int8_macs_share == share
    assert {op.scheme for op in graph.operators if op.macs} == {scheme}
    assert not [op for op in graph.operators if op.kind == "dequantize"]


@pytest.mark.parametrize("technique", DEFAULTS)
def test_quantisation_changes_neither_multiply_accumulates_nor_parameters(
    technique: str, quantised: Callable[[str], Any], mobile: SimpleNamespace
) -> None:
    graph, before = quantised(technique).graph, READER.read(mobile.file)
    assert (graph.macs, graph.parameters) == (before.macs, before.parameters)


def test_dynamic_quantisation_says_which_operators_xnnpack_leaves(quantised: Callable[[str], Any]) -> None:
    found = delegation(quantised("int8-dynamic").file)
    assert found.left == {"DEPTHWISE_CONV_2D": 1}
    assert str(found) in quantised("int8-dynamic").notes


def test_dynamic_quantisation_of_linear_layers_leaves_convolutions_in_float(
    mobile: SimpleNamespace, tmp_path: Path
) -> None:
    context = replace(mobile.context, workdir=tmp_path)
    graph = READER.read(IMPLEMENTED["int8-dynamic"].apply(mobile.file, Int8Dynamic(), context))
    assert {op.kind: op.precision for op in graph.operators if op.macs} == {"conv": "fp32", "fully_connected": "int8"}


@pytest.mark.parametrize("technique", DEFAULTS)
def test_a_quantised_file_is_not_quantised_again(
    technique: str, quantised: Callable[[str], Any], mobile: SimpleNamespace, tmp_path: Path
) -> None:
    with pytest.raises(UnsupportedError, match="quantised already"):
        IMPLEMENTED[technique].apply(
            quantised("int8-static").file, DEFAULTS[technique], replace(mobile.context, workdir=tmp_path)
        )


def test_corrected_biases_take_back_what_rounding_of_weights_does_to_the_mean(tmp_path: Path) -> None:
    torch.manual_seed(1)
    layer = nn.Linear(64, 4).eval()
    with torch.no_grad():
        layer.weight[0, 0] = 8.0  # makes the one step of all weights coarse
    rows = np.random.default_rng(2).normal(5.0, 0.1, (32, 64)).astype(np.float32)
    data = Data(name="rows", sha256="0", metric="top1", splits={"calibration": lambda: Split(inputs=(rows,))})
    inputs = (TensorSpec(name="x", shape=(None, 64), dtype="float32"),)
    context = context_in(tmp_path / "float", example=(rows[:1],), inputs=inputs, data=data)
    file = CONVERTER.convert(program_of(layer, (rows[:1],), tmp_path / "layer.pt2"), context)
    with torch.no_grad():
        wanted = layer(torch.from_numpy(rows)).numpy()
    errors = []
    for corrects in (False, True):
        folder, options = tmp_path / str(corrects), Int8Static(per_channel=False, correct_biases=corrects)
        folder.mkdir()
        made = IMPLEMENTED["int8-static"].apply(file, options, replace(context, workdir=folder))
        got = np.concatenate([run(made, rows[at : at + 1])[0] for at in range(len(rows))])
        errors.append(np.abs((got - wanted).mean(axis=0)).max())
    assert errors[1] < errors[0] / 3


def test_static_quantisation_without_rows_says_what_needs_none(mobile: SimpleNamespace, tmp_path: Path) -> None:
    context = replace(mobile.context, workdir=tmp_path, data=None)
    with pytest.raises(ArtifactError, match="int8-dynamic, which needs none"):
        IMPLEMENTED["int8-static"].apply(mobile.file, Int8Static(), context)


def test_rows_of_another_shape_are_refused(mobile: SimpleNamespace, tmp_path: Path) -> None:
    rows = Split(inputs=(np.zeros((4, 3, 8, 8), np.float32), np.zeros((4, 12), np.float32)))
    data = Data(name="other", sha256="0", metric="top1", splits={"calibration": lambda: rows})
    with pytest.raises(ArtifactError, match="calibration rows have"):
        IMPLEMENTED["int8-static"].apply(
            mobile.file, Int8Static(), replace(mobile.context, workdir=tmp_path, data=data)
        )


def test_options_that_ai_edge_quantizer_does_not_have_are_refused_by_name() -> None:
    assert {"method", "percentile", "reduce_range", "max_drop"} == IMPLEMENTED["int8-static"].unsupported
    for technique, found in IMPLEMENTED.items():
        assert found.unsupported <= set(type(DEFAULTS[technique]).__dataclass_fields__)


@pytest.mark.parametrize("option", [{"per_channel": False}, {"symmetric_activations": True}])
def test_options_of_static_quantisation_reach_the_file(
    option: dict[str, bool], mobile: SimpleNamespace, tmp_path: Path
) -> None:
    context = replace(mobile.context, workdir=tmp_path)
    model = load_schema(IMPLEMENTED["int8-static"].apply(mobile.file, Int8Static(**option), context))
    graph = model.subgraphs[0]
    if "per_channel" in option:
        dense = [op for op in graph.operators if operator_name(model, op) == "CONV_2D"]
        assert {len(graph.tensors[op.inputs[1]].quantization.scale) for op in dense} == {1}
    else:
        assert {int(graph.tensors[i].quantization.zeroPoint[0]) for i in graph.inputs} == {0}


# --- a trained network


@pytest.fixture(scope="module")
def watch(tmp_path_factory: pytest.TempPathFactory) -> SimpleNamespace:
    """zoo:har-watch, trained, exported, and converted to both formats."""
    zoo = pytest.importorskip("bench_zoo")
    pytest.importorskip("seglearn")
    from bench_torch import harness_converters

    place = tmp_path_factory.mktemp("watch")
    (source,) = zoo.harness_models()
    model = source.load("zoo:har-watch", place, 0)
    context = context_in(place / "work", example=model.example, inputs=model.inputs, data=model.data)
    ways = {(c.source, c.target): c.convert for c in harness_converters()}
    checkpoint = ways["module", "checkpoint"](model.payload, context)
    program = ways["checkpoint", "pt2"](checkpoint, context)
    file = CONVERTER.convert(program, context)
    return SimpleNamespace(model=model, context=context, ways=ways, program=program, file=file, place=place)


def accuracy(path: Path, split: Split) -> float:
    session = opened(path)
    right = 0
    for row in range(len(split)):
        session.bind(tuple(np.array(each[row : row + 1]) for each in split.inputs))()
        right += int(session.outputs()[0].argmax() == split.labels[row])  # type: ignore[index]
    session.close()
    return right / len(split)


def test_a_trained_network_is_as_right_in_int8_as_in_float(watch: SimpleNamespace) -> None:
    split = watch.model.data.split("test")
    static = IMPLEMENTED["int8-static"].apply(watch.file, Int8Static(), replace(watch.context, workdir=watch.place))
    before, after = accuracy(watch.file, split), accuracy(static, split)
    assert before > 0.85
    assert abs(after - before) < 0.02


def test_multiply_accumulates_are_those_that_the_onnx_reader_counts(watch: SimpleNamespace) -> None:
    pytest.importorskip("onnxscript")
    from bench_onnx import harness_graph_readers

    (onnx_reader,) = harness_graph_readers()
    onnx_file = watch.ways["pt2", "onnx"](watch.program, replace(watch.context, workdir=watch.place))
    expected, found = onnx_reader.read(onnx_file), READER.read(watch.file)
    assert found.macs == expected.macs == 364_000
    assert found.parameters == expected.parameters

    def layers(graph: OpGraph) -> list[tuple[Any, ...]]:
        return [
            (op.kind, op.macs, op.attributes.get("kernel"), graph.tensors[op.outputs[0]].shape)
            for op in graph.operators
            if op.macs
        ]

    assert layers(found) == layers(expected)


def test_what_was_trained_in_simulated_int8_becomes_a_file_in_integers_throughout(watch: SimpleNamespace) -> None:
    from bench_qat import harness_implementations
    from bench_qat.options import QatInt8

    (qat,) = harness_implementations()
    folder, notes = watch.place / "qat", list[str]()
    context = replace(watch.context, workdir=folder, note=notes.append)
    folder.mkdir()
    program = qat.apply(watch.model.payload, QatInt8(epochs=0), context)
    graph = READER.read(CONVERTER.convert(program, context))
    assert graph.int8_macs_share == 1.0
    assert {graph.tensors[name].precision for name in (*graph.inputs, *graph.outputs)} == {"int8"}
    assert any(line.startswith("result of 1 layer in int8 too, range from ") for line in notes)
    assert accuracy(folder / "model.tflite", watch.model.data.split("test")) > 0.85


# --- the session


@pytest.mark.parametrize("threads", [1, 2, 3])
@pytest.mark.skipif(sys.platform != "linux", reason="threads are counted on Linux only")
def test_a_session_has_as_many_threads_as_it_was_given(threads: int, mobile: SimpleNamespace) -> None:
    session = opened(mobile.file, threads)
    assert session.threads() == threads
    session.close()


def test_numbers_do_not_depend_on_the_number_of_threads(mobile: SimpleNamespace) -> None:
    one, two = (run(mobile.file, *mobile.context.example, threads=n)[0] for n in (1, 2))
    np.testing.assert_allclose(one, two, rtol=1e-5, atol=1e-6)


def test_bound_inputs_and_outputs_are_copies(mobile: SimpleNamespace) -> None:
    session = opened(mobile.file)
    arrays = tuple(each.copy() for each in mobile.context.example)
    call = session.bind(arrays)
    arrays[0][:] = 0
    call()
    first = session.outputs()[0]
    np.testing.assert_allclose(first, mobile.wanted[:1], atol=1e-4)
    session.bind(tuple(each[1:2] for each in mobile.rows))()
    np.testing.assert_allclose(first, mobile.wanted[:1], atol=1e-4)
    session.close()


def test_wrong_inputs_are_refused_with_what_is_wanted(mobile: SimpleNamespace) -> None:
    session = opened(mobile.file)
    image, extra = mobile.context.example
    with pytest.raises(ArtifactError, match="takes 2 inputs, 1 were given"):
        session.bind((image,))
    with pytest.raises(ArtifactError, match=r"takes float32 \[1, 12\]"):
        session.bind((image, extra[:, :3]))
    session.close()


def test_a_closed_session_says_so_and_closes_twice(mobile: SimpleNamespace) -> None:
    session = opened(mobile.file)
    session.close()
    session.close()
    with pytest.raises(RuntimeError, match="closed"):
        session.bind(mobile.context.example)


def test_opening_writes_nothing_to_the_streams_of_the_process(
    mobile: SimpleNamespace, capfd: pytest.CaptureFixture[str]
) -> None:
    run(mobile.file, *mobile.context.example)
    assert tuple(capfd.readouterr()) == ("", "")


@pytest.mark.parametrize(
    ("content", "says"),
    [(None, "no such file"), (b"", "is empty"), (b"PK\3\4 no such thing", "not a LiteRT file"),
     (b"\x1c\0\0\0TFL3" + b"\xff" * 40, r"damaged")],
)  # fmt: skip
def test_a_wrong_file_is_refused_by_everybody_who_opens_it(content: bytes | None, says: str, tmp_path: Path) -> None:
    path = tmp_path / "net.tflite"
    if content is not None:
        path.write_bytes(content)
    for reads in (opened, READER.read, READER.content_sha256, lambda p: SOURCE.load(str(p), tmp_path, 0)):
        with pytest.raises(ArtifactError, match=says):
            reads(path)


def packed(model: Any, path: Path) -> Path:
    import flatbuffers

    builder = flatbuffers.Builder(1024)
    builder.Finish(model.Pack(builder), b"TFL3")
    path.write_bytes(bytes(builder.Output()))
    return path


def test_a_custom_operator_without_a_kernel_is_refused_with_its_name(mobile: SimpleNamespace, tmp_path: Path) -> None:
    model = load_schema(mobile.file)
    code = next(c for c in model.operatorCodes if c.builtinCode == schema.BuiltinOperator.DEPTHWISE_CONV_2D)
    code.builtinCode = code.deprecatedBuiltinCode = schema.BuiltinOperator.CUSTOM
    code.customCode = "FancyWindow"
    for operator in model.subgraphs[0].operators:
        if model.operatorCodes[operator.opcodeIndex] is code:
            operator.builtinOptions, operator.builtinOptionsType = None, 0
    path = packed(model, tmp_path / "custom.tflite")
    with pytest.raises(UnsupportedError, match="FancyWindow"):
        opened(path)
    assert [op.source for op in READER.read(path).operators if op.kind == "unknown"] == ["FancyWindow"]


def counting_file(path: Path) -> Path:
    """A file of `y = variable + x; variable = y`, the variable 0 at first."""
    model = schema.ModelT()
    model.version, model.buffers = 3, [schema.BufferT(), schema.BufferT()]
    model.buffers[1].data = np.zeros(8, np.uint8)
    names = ("VAR_HANDLE", "READ_VARIABLE", "ADD", "ASSIGN_VARIABLE", "CALL_ONCE")
    model.operatorCodes = []
    for name in names:
        code = schema.OperatorCodeT()
        code.builtinCode = getattr(schema.BuiltinOperator, name)
        code.deprecatedBuiltinCode = min(code.builtinCode, 127)
        code.version = 1
        model.operatorCodes.append(code)

    def tensor(name: str, buffer: int = 0, *, resource: bool = False) -> Any:
        made = schema.TensorT()
        made.name, made.buffer, made.shape = name, buffer, [] if resource else [1, 2]
        made.type = schema.TensorType.RESOURCE if resource else schema.TensorType.FLOAT32
        return made

    def operator(name: str, inputs: list[int], outputs: list[int], options: Any = None) -> Any:
        made = schema.OperatorT()
        made.opcodeIndex, made.inputs, made.outputs = names.index(name), inputs, outputs
        if options is not None:
            made.builtinOptions = options
            kind = type(options).__name__.removesuffix("T")
            made.builtinOptionsType = getattr(schema.BuiltinOptions, kind)
        return made

    handle = schema.VarHandleOptionsT()
    handle.container, handle.sharedName = "", "total"
    once = schema.CallOnceOptionsT()
    once.initSubgraphIndex = 1
    main, first = schema.SubGraphT(), schema.SubGraphT()
    main.name, first.name = "main", "first"
    main.tensors = [tensor("x"), tensor("handle", resource=True), tensor("before"), tensor("y")]
    main.inputs, main.outputs = [0], [3]
    main.operators = [
        operator("CALL_ONCE", [], [], once),
        operator("VAR_HANDLE", [], [1], handle),
        operator("READ_VARIABLE", [1], [2], schema.ReadVariableOptionsT()),
        operator("ADD", [2, 0], [3], schema.AddOptionsT()),
        operator("ASSIGN_VARIABLE", [1, 3], [], schema.AssignVariableOptionsT()),
    ]
    first.tensors, first.inputs, first.outputs = [tensor("handle", resource=True), tensor("zero", 1)], [], []
    first.operators = [
        operator("VAR_HANDLE", [], [0], handle),
        operator("ASSIGN_VARIABLE", [0, 1], [], schema.AssignVariableOptionsT()),
    ]
    model.subgraphs = [main, first]
    return packed(model, path)


def test_a_network_with_a_memory_forgets_when_inputs_are_bound(tmp_path: Path) -> None:
    session = opened(counting_file(tmp_path / "count.tflite"))
    ones = np.ones((1, 2), np.float32)
    for _ in range(2):
        call = session.bind((ones,))
        call()
        call()
        np.testing.assert_array_equal(session.outputs()[0], 2 * ones)
    session.close()


def test_variables_are_copies_of_the_graph(tmp_path: Path) -> None:
    graph = READER.read(counting_file(tmp_path / "count.tflite"))
    assert [op.kind for op in graph.operators] == ["copy", "add", "copy"]
    assert all(op.inputs and op.outputs for op in graph.operators)


# --- the reader


def test_windows_groups_and_layout_are_those_of_the_module(mobile: SimpleNamespace) -> None:
    graph = READER.read(mobile.file)
    found = [
        (op.attributes["kernel"], op.attributes["stride"], op.attributes["groups"], graph.weights_of(op)[0].shape)
        for op in graph.operators
        if op.kind == "conv"
    ]
    assert ((3, 3), (2, 2), 1, (8, 3, 3, 3)) in found
    assert ((3, 3), (1, 1), 8, (8, 1, 3, 3)) in found
    assert ((1, 1), (1, 1), 1, (8, 8, 1, 1)) in found
    assert graph.tensors[graph.inputs[0]].shape in {(1, *SHAPE), (1, 12)}
    stem = next(op for op in graph.operators if op.kind == "conv")
    assert graph.tensors[stem.outputs[0]].shape == (1, 8, 8, 8)
    assert stem.activation == "relu6"
    assert any(op.kind == "global_pool" for op in graph.operators)


def test_the_content_hash_follows_weights_and_not_names(mobile: SimpleNamespace, tmp_path: Path) -> None:
    known = READER.content_sha256(mobile.file)
    model = load_schema(mobile.file)
    model.description = "another"
    for tensor in model.subgraphs[0].tensors:
        tensor.name = f"renamed_{tensor.name!r}"
    assert READER.content_sha256(packed(model, tmp_path / "renamed.tflite")) == known
    index = next(op.inputs[1] for op in model.subgraphs[0].operators if operator_name(model, op) == "CONV_2D")
    buffer = model.buffers[model.subgraphs[0].tensors[index].buffer]
    buffer.data = np.array(buffer.data)
    buffer.data[0] ^= 1
    assert READER.content_sha256(packed(model, tmp_path / "changed.tflite")) != known


# --- a file of the user's


def test_a_users_file_is_a_model_whose_integer_inputs_are_floats(
    quantised: Callable[[str], Any], tmp_path: Path
) -> None:
    path = quantised("int8-static").file
    assert [SOURCE.claims(ref) for ref in ("a/b.tflite", "C.TFLITE", "net.onnx", "zoo:har-watch")] == [
        True,
        True,
        False,
        False,
    ]
    SOURCE.check(str(path))
    model = SOURCE.load(str(path), tmp_path, 0)
    assert {spec.dtype for spec in model.inputs} == {"float32"}
    assert {array.dtype for array in model.example} == {np.dtype("float32")}
    assert "XNNPACK takes" in model.note
    session = opened(path, inputs=model.inputs)
    assert model.sha256 == READER.content_sha256(path)
    session.close()


def test_a_file_with_a_fixed_batch_is_refused(mobile: SimpleNamespace, tmp_path: Path) -> None:
    model = load_schema(mobile.file)
    for index in model.subgraphs[0].inputs:
        tensor = model.subgraphs[0].tensors[index]
        tensor.shape = [4, *tensor.shape[1:]]
    with pytest.raises(ArtifactError, match="batch fixed to 4"):
        SOURCE.load(str(packed(model, tmp_path / "four.tflite")), tmp_path, 0)


# --- the Edge TPU


def test_the_edge_tpu_takes_a_fully_quantised_file_and_computes_it_on_the_cpu(
    watch: SimpleNamespace,
) -> None:
    import bench_edgetpu

    (edge,) = bench_edgetpu.harness_backends()
    assert "tflite" in edge.reads
    folder = watch.place / "edge"
    folder.mkdir()
    whole = Int8Static(per_channel=False)
    static = IMPLEMENTED["int8-static"].apply(watch.file, whole, replace(watch.context, workdir=folder))
    facts = {"t0_ms": 1.0, "macs_per_s": 1.1e12, "link_bytes_per_s": 512e6, "cache_bytes": 6.0e6, "power_w": 2.0}
    assert edge.simulate is not None
    assert edge.simulate(READER.read(static), facts).rejections == ()
    assert edge.simulate(READER.read(watch.file), facts).rejections
    session = edge.open(static, SessionOptions(threads=1, options=edge.options(), inputs=watch.model.inputs))
    session.bind(watch.model.example)()
    np.testing.assert_allclose(session.outputs()[0], run(static, *watch.model.example)[0], rtol=1e-6)
    session.close()


# --- lightness


def test_importing_the_plugin_imports_no_framework() -> None:
    code = (
        "import sys, bench_litert; print([m for m in ('ai_edge_litert', 'numpy', 'torch', 'jax') if m in sys.modules])"
    )
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, env=env)
    assert done.stdout.strip() == "[]"


def test_without_the_runtime_each_part_says_how_to_get_it(monkeypatch: pytest.MonkeyPatch) -> None:
    assert BACKEND.available().ok
    monkeypatch.setitem(sys.modules, "ai_edge_litert", None)
    assert BACKEND.available().install == "pip install 'edge-bench[litert]'"
    assert CONVERTER.available().install == "pip install 'edge-bench[litert-convert]'"
