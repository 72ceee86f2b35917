"""Quantised IR: that it runs, stays close to the float model, and is as integer as it claims."""

from __future__ import annotations

import hashlib
import os
import subprocess
import sys
import textwrap
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from bench_nncf import harness_implementations
from bench_openvino import OpenVinoOptions, harness_backends, harness_graph_readers
from bench_quantize import harness_techniques
from bench_quantize.options import Int8Dynamic, Int8Static, WeightOnlyInt4, WeightOnlyInt8
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

pytest.importorskip("nncf")

from bench_nncf.grouped_bias import correct_grouped
from bench_nncf.quiet import quiet

with quiet():  # the first import warns and prints
    import nncf  # noqa: F401

import openvino as ov
from openvino import opset13 as ops

APPLY = {found.technique: found.apply for found in harness_implementations()}
(READER,) = harness_graph_readers()
(BACKEND,) = harness_backends()

DEFAULTS: dict[str, Any] = {
    "fp16": NoOptions(),
    "int8-dynamic": Int8Dynamic(),
    "int8-static": Int8Static(),
    "weight-only-int8": WeightOnlyInt8(),
    "weight-only-int4": WeightOnlyInt4(),
}
LARGEST_ERROR = {
    "fp16": 2e-3, "int8-dynamic": 3e-2, "int8-static": 5e-2, "weight-only-int8": 3e-2, "weight-only-int4": 0.25,
}  # fmt: skip
"""Relative to the norm of the float outputs, several times what was seen on this net."""

SHAPE = (3, 16, 16)
CLASSES = 5


def mobile_net(folder: Path, *, loud: float = 0.0) -> Path:
    """Convolution, depthwise and pointwise convolution, mean and a linear layer, with a free batch.

    Args:
        loud: Weights of one output channel of the pointwise convolution that its bias keeps silent at every input.
    """
    random = np.random.default_rng(0)

    def constant(*shape: int, gain: float = 1.0) -> np.ndarray:
        return (random.standard_normal(shape) * gain).astype(np.float32)

    x = ops.parameter([-1, *SHAPE], np.float32, name="image")
    first, second = constant(16, 3, 3, 3, gain=0.3), constant(64, 16, 1, 1, gain=0.3)
    silence = np.zeros((1, 64, 1, 1), np.float32)
    if loud:
        second[0], silence[0, 0] = loud, -1e3 * loud
    y = ops.convolution(x, ops.constant(first), [2, 2], [1, 1], [1, 1], [1, 1])
    y = ops.relu(ops.add(y, ops.constant(constant(1, 16, 1, 1, gain=0.1))))
    depth = ops.constant(constant(16, 1, 1, 3, 3, gain=0.4))
    y = ops.group_convolution(y, depth, [1, 1], [1, 1], [1, 1], [1, 1])
    y = ops.relu(ops.add(y, ops.constant(constant(1, 16, 1, 1, gain=0.1))))
    y = ops.convolution(y, ops.constant(second), [1, 1], [0, 0], [0, 0], [1, 1])
    y = ops.relu(ops.add(y, ops.constant(silence)))
    y = ops.reduce_mean(y, ops.constant(np.array([2, 3])), keep_dims=True)
    y = ops.reshape(y, ops.constant(np.array([-1, 64])), special_zero=False)
    y = ops.matmul(y, ops.constant(constant(CLASSES, 64, gain=0.3)), transpose_a=False, transpose_b=True)
    y = ops.add(y, ops.constant(constant(1, CLASSES, gain=0.1)))
    return saved(ov.Model([y], [x], "mobile"), folder)


def saved(model: Any, folder: Path) -> Path:
    folder.mkdir(parents=True, exist_ok=True)
    ov.save_model(model, folder / "model.xml", compress_to_fp16=False)
    return folder


def run(path: Path, x: np.ndarray) -> np.ndarray:
    """Outputs of all rows at once: the batch is as free as it was."""
    compiled = ov.Core().compile_model(path / "model.xml", "CPU", {"INFERENCE_PRECISION_HINT": "f32"})
    return np.array(compiled(x)[0])


def as_the_bench_runs_it(path: Path, shape: tuple[int, ...] = SHAPE) -> Any:
    """The compiled model of a session, batch 1."""
    spec = TensorSpec(name="image", shape=(None, *shape), dtype="float32")
    session = BACKEND.open(path, SessionOptions(threads=1, options=OpenVinoOptions(), inputs=(spec,)))
    return session._compiled  # type: ignore[attr-defined]


def executed(path: Path, shape: tuple[int, ...] = SHAPE) -> list[tuple[str, str]]:
    """Layer types and precisions of the runtime's own graph."""
    infos = [node.get_rt_info() for node in as_the_bench_runs_it(path, shape).get_runtime_model().get_ordered_ops()]
    return [(str(i["layerType"].astype(str)), str(i["runtimePrecision"].astype(str))) for i in infos]


@pytest.fixture(scope="module")
def ir(tmp_path_factory: pytest.TempPathFactory) -> Path:
    return mobile_net(tmp_path_factory.mktemp("ir"))


@pytest.fixture(scope="module")
def images() -> np.ndarray:
    return np.random.default_rng(2).standard_normal((24, *SHAPE)).astype(np.float32)


NOTES: dict[Path, list[str]] = {}


def context_in(workdir: Path, **splits: Split) -> BuildContext:
    workdir.mkdir(exist_ok=True, parents=True)
    NOTES[workdir] = []
    made = {name: (lambda split=split: split) for name, split in splits.items()}
    return BuildContext(
        workdir=workdir,
        seed=0,
        threads=1,
        data=Data(name="noise", sha256="0", metric="top1", splits=made) if made else None,
        example=(np.zeros((1, *SHAPE), np.float32),),
        inputs=(TensorSpec(name="image", shape=(None, *SHAPE), dtype="float32"),),
        outputs=("logits",),
        note=NOTES[workdir].append,
    )


@pytest.fixture
def context(tmp_path: Path) -> BuildContext:
    rows = np.random.default_rng(1).standard_normal((20, *SHAPE)).astype(np.float32)
    return context_in(tmp_path / "work", calibration=Split(inputs=(rows,)))


def apply(technique: str, path: Path, context: BuildContext, **options: object) -> Path:
    return APPLY[technique](path, type(DEFAULTS[technique])(**options), context)


def error(path: Path, ir: Path, images: np.ndarray) -> float:
    wanted = run(ir, images)
    return float(np.linalg.norm(run(path, images) - wanted) / np.linalg.norm(wanted))


def products(graph: OpGraph) -> list[tuple[str, str, str, str]]:
    """Kind, precision, scheme and precision of the weight of each product."""
    return [(op.kind, op.precision, op.scheme, graph.weights_of(op)[0].precision) for op in graph.operators if op.macs]


@pytest.fixture(scope="module")
def quantised(ir: Path, images: np.ndarray, tmp_path_factory: pytest.TempPathFactory) -> dict[str, Path]:
    folder = tmp_path_factory.mktemp("quantised")
    names = ("int8-static", "weight-only-int8")
    return {n: apply(n, ir, context_in(folder / n, calibration=Split(inputs=(images,)))) for n in names}


@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_every_form_runs_at_any_batch_stays_close_and_counts_the_same(technique, ir, images, context):
    path = apply(technique, ir, context)
    assert error(path, ir, images) < LARGEST_ERROR[technique]
    graph, plain = READER.read(path), READER.read(ir)
    assert (graph.macs, graph.parameters) == (plain.macs, plain.parameters)
    assert [op.kind for op in graph.operators if op.macs] == [op.kind for op in plain.operators if op.macs]


def test_static_quantisation_is_executed_in_integers(ir, context):
    path = apply("int8-static", ir, context)
    assert set(products(READER.read(path))) == {
        ("conv", "int8", "static", "int8"),
        ("fully_connected", "int8", "static", "int8"),
    }
    assert READER.read(path).int8_macs_share == 1.0
    found = [precision for layer, precision in executed(path) if layer in {"Convolution", "FullyConnected"}]
    assert len(found) == 4
    assert set(found) <= {"u8", "i8"}


@pytest.mark.parametrize(
    "options",
    [
        {"symmetric_activations": True},
        {"method": "entropy"},
        {"method": "percentile", "percentile": 99.0},
        {"per_channel": False},
        {"reduce_range": True},
        {"samples": 3},
        {"correct_biases": False},
    ],
)
def test_every_option_of_static_quantisation_gives_another_file_that_is_close(options, ir, images, quantised, tmp_path):
    path = apply("int8-static", ir, context_in(tmp_path / "work", calibration=Split(inputs=(images,))), **options)
    assert READER.content_sha256(path) != READER.content_sha256(quantised["int8-static"])
    assert error(path, ir, images) < 0.15
    assert READER.read(path).int8_macs_share == 1.0


def test_dynamic_quantisation_reaches_linear_layers_and_stores_other_weights_only_when_asked(ir, context, tmp_path):
    linear = apply("int8-dynamic", ir, context)
    every = apply("int8-dynamic", ir, context_in(tmp_path / "all"), operators="all")
    assert products(READER.read(linear)) == [("conv", "fp32", "", "fp32")] * 3 + [
        ("fully_connected", "int8", "dynamic", "int8")
    ]
    assert products(READER.read(every)) == [("conv", "fp32", "weight-only", "int8")] * 3 + [
        ("fully_connected", "int8", "dynamic", "int8")
    ]
    assert any("no dynamic convolution" in note for note in NOTES[tmp_path / "all"])


@pytest.mark.parametrize(
    ("technique", "options", "group"),
    [
        ("int8-dynamic", {}, 32),
        ("weight-only-int8", {}, 0),
        ("weight-only-int4", {}, 0),
        ("weight-only-int4", {"activations": "int8", "block": 64}, 64),
    ],
)
def test_what_the_file_says_of_activations_arrives_in_the_compiled_model(technique, options, group, ir, context):
    compiled = as_the_bench_runs_it(apply(technique, ir, context, **options))
    assert int(compiled.get_property("DYNAMIC_QUANTIZATION_GROUP_SIZE")) == group


@pytest.mark.parametrize(("technique", "precision"), [("int8-dynamic", "i8"), ("weight-only-int4", "i4")])
def test_weights_of_linear_layers_stay_small_in_memory_and_those_of_convolutions_are_expanded_once(
    technique, precision, ir, context
):
    found = executed(apply(technique, ir, context))
    assert ("FullyConnected", precision) in found
    assert sum(layer == "Convolution" for layer, _ in found) == 3
    assert not {"Convert", "Subgraph"} & {layer for layer, _ in found}


def test_weights_alone_are_named_as_they_are_stored(ir, context, tmp_path):
    symmetric = products(READER.read(apply("weight-only-int8", ir, context)))
    shifted = products(READER.read(apply("weight-only-int8", ir, context_in(tmp_path / "a"), symmetric=False)))
    four = products(READER.read(apply("weight-only-int4", ir, context_in(tmp_path / "b"))))
    alone = products(READER.read(apply("weight-only-int4", ir, context_in(tmp_path / "c"), rest="float")))
    assert {p[1:] for p in symmetric} == {("fp32", "weight-only", "int8")}
    assert {p[1:] for p in shifted} == {("fp32", "weight-only", "uint8")}
    assert [p[1:] for p in four] == [("fp32", "weight-only", "int8")] * 3 + [("fp32", "weight-only", "int4")]
    assert [p[1:] for p in alone] == [("fp32", "", "fp32")] * 3 + [("fp32", "weight-only", "int4")]
    assert any("left in float: 2 Convolution, 1 GroupConvolution" in note for note in NOTES[tmp_path / "c"])
    assert any("16.7% int4, 83.3% int8" in note for note in NOTES[tmp_path / "b"])


def test_half_precision_stores_halves_and_computes_in_float(ir, context):
    path = apply("fp16", ir, context)
    assert {p[1:] for p in products(READER.read(path))} == {("fp32", "", "fp16")}
    assert (path / "model.bin").stat().st_size < 0.6 * (ir / "model.bin").stat().st_size


def test_one_scale_for_the_whole_weight_is_clearly_worse_where_channels_differ(tmp_path, images):
    ir = mobile_net(tmp_path / "ir", loud=40.0)
    split = Split(inputs=(images[:8],))
    whole = apply("int8-static", ir, context_in(tmp_path / "a", calibration=split), per_channel=False)
    channels = apply("int8-static", ir, context_in(tmp_path / "b", calibration=split))
    assert error(whole, ir, images) > 3 * error(channels, ir, images)


def labelled(ir: Path, images: np.ndarray) -> Split:
    return Split(inputs=(images,), labels=run(ir, images).argmax(-1).astype(np.int64))


def test_accuracy_control_puts_layers_back_to_float_and_names_them(tmp_path):
    ir = mobile_net(tmp_path / "ir", loud=400.0)
    images = np.random.default_rng(3).standard_normal((60, *SHAPE)).astype(np.float32)
    context = context_in(tmp_path / "work", calibration=Split(inputs=(images,)), validation=labelled(ir, images))
    path = apply("int8-static", ir, context, per_channel=False, max_drop=2.0)
    (back,) = [note for note in NOTES[context.workdir] if note.startswith("back to float")]
    assert "Convolution" in back
    assert READER.read(path).int8_macs_share < 1.0
    assert np.mean(run(path, images).argmax(-1) == run(ir, images).argmax(-1)) >= 0.98
    assert any("100.00% in float" in note for note in NOTES[context.workdir])


def test_accuracy_control_that_has_nothing_to_do_says_so(ir, images, tmp_path):
    validation = labelled(ir, images)
    validation.labels[0] = (validation.labels[0] + 1) % CLASSES
    context = context_in(tmp_path / "work", calibration=Split(inputs=(images,)), validation=validation)
    path = apply("int8-static", ir, context, max_drop=50.0)
    assert any(f"on {len(images)} validation rows: 95.83% in float" in note for note in NOTES[context.workdir])
    assert "back to float for accuracy: none was needed" in NOTES[context.workdir]
    assert list(context.workdir.iterdir()) == [path]


def test_accuracy_control_needs_labelled_rows_to_validate_with(ir, images, tmp_path):
    (technique,) = [found for found in harness_techniques() if found.name == "int8-static"]
    assert technique.needs_with(Int8Static(max_drop=1.0)) == {"calibration", "validation", "labels"}
    bare = Split(inputs=(images,), labels=np.full(len(images), -1))
    context = context_in(tmp_path / "work", calibration=Split(inputs=(images,)), validation=bare)
    with pytest.raises(UnsupportedError, match="no validation row has a label"):
        apply("int8-static", ir, context, max_drop=1.0)


def test_a_corrected_bias_of_a_grouped_convolution_brings_the_mean_of_its_output_back():
    random = np.random.default_rng(0)
    weight, rounding = (random.standard_normal((4, 2, 3, 1, 1)).astype(np.float32) for _ in range(2))

    def grouped(values: np.ndarray) -> Any:
        x = ops.parameter([-1, 12, 5, 5], np.float32, name="x")
        y = ops.group_convolution(x, ops.constant(values), [1, 1], [0, 0], [0, 0], [1, 1])
        y.set_friendly_name("layer")
        return ov.Model([ops.add(y, ops.constant(np.ones((1, 8, 1, 1), np.float32)))], [x])

    def means(model: Any) -> np.ndarray:
        return np.array(ov.Core().compile_model(model, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})(rows)[0]).mean(
            axis=(0, 2, 3)
        )

    rows = random.standard_normal((6, 12, 5, 5)).astype(np.float32) + 1
    plain, rounded = grouped(weight), grouped(weight + 0.1 * rounding)
    assert np.abs(means(rounded) - means(plain)).max() > 0.1
    assert correct_grouped(rounded, plain, [row[None] for row in rows], threads=1) == 1
    np.testing.assert_allclose(means(rounded), means(plain), atol=1e-4)


def test_correcting_grouped_convolutions_is_noted_and_can_be_left_out(ir, images, quantised, tmp_path):
    context = context_in(tmp_path / "work", calibration=Split(inputs=(images,)))
    apply("int8-static", ir, context, correct_biases=False)
    assert not any("biases" in note for note in NOTES[context.workdir])
    noted = NOTES[quantised["int8-static"].parent]
    assert "biases of 1 grouped convolutions corrected too, which NNCF passes over" in noted


def test_attention_is_quantised_as_a_transformer(tmp_path):
    random = np.random.default_rng(0)
    x = ops.parameter([-1, 8, 32], np.float32, name="image")
    query, key, value = (
        ops.matmul(x, ops.constant(random.standard_normal((32, 32)).astype(np.float32)), False, False) for _ in range(3)
    )
    shares = ops.softmax(ops.matmul(query, key, False, True), -1)
    ir = saved(ov.Model([ops.matmul(shares, value, False, False)], [x]), tmp_path / "ir")
    rows = random.standard_normal((8, 8, 32)).astype(np.float32)
    apply("int8-static", ir, context_in(tmp_path / "work", calibration=Split(inputs=(rows,))))
    assert any("transformer" in note for note in NOTES[tmp_path / "work"])


def test_a_model_of_several_inputs_is_calibrated_on_all_of_them(tmp_path):
    weight = np.random.default_rng(0).standard_normal((8, 8)).astype(np.float32)
    first, second = (ops.parameter([-1, 8], np.float32, name=name) for name in ("a", "b"))
    y = ops.matmul(ops.add(first, second), ops.constant(weight), False, False)
    ir = saved(ov.Model([y], [first, second]), tmp_path / "ir")
    rows = np.random.default_rng(1).standard_normal((2, 8, 8)).astype(np.float32)
    context = context_in(tmp_path / "work", calibration=Split(inputs=(rows[0], rows[1])))
    assert READER.read(apply("int8-static", ir, context)).int8_macs_share == 1.0


def test_forms_that_differ_in_what_happens_to_activations_alone_have_different_content(ir, context, tmp_path):
    dynamic = apply("int8-dynamic", ir, context, operators="all")
    stored = apply("weight-only-int8", ir, context_in(tmp_path / "other"))
    assert (dynamic / "model.bin").read_bytes() == (stored / "model.bin").read_bytes()
    assert READER.content_sha256(dynamic) != READER.content_sha256(stored)


def test_another_process_gives_the_same_content(ir, context, tmp_path):
    here = {name: READER.content_sha256(apply(name, ir, context)) for name in DEFAULTS}
    np.save(tmp_path / "rows.npy", context.data.split("calibration").inputs[0])
    code = f"""
        import sys
        reached = []
        network = ("socket.", "urllib.")
        sys.addaudithook(lambda event, args: reached.append(event) if event.startswith(network) else None)
        from pathlib import Path
        import numpy as np
        from bench_nncf import harness_implementations
        from bench_openvino import harness_graph_readers
        from bench_quantize import harness_techniques
        from harness import BuildContext, Data, Split
        rows = Split(inputs=(np.load({str(tmp_path / "rows.npy")!r}),))
        data = Data(name="noise", sha256="0", metric="top1", splits={{"calibration": lambda: rows}})
        work = Path({str(tmp_path / "there")!r})
        work.mkdir()
        context = BuildContext(workdir=work, seed=0, threads=2, data=data, example=(), inputs=(), outputs=(),
                               note=lambda line: None)
        options = {{found.name: found.options() for found in harness_techniques()}}
        (reader,) = harness_graph_readers()
        for found in harness_implementations():
            path = found.apply(Path({str(ir)!r}), options[found.technique], context)
            print(found.technique, reader.content_sha256(path))
        print(reached, [name for name in sys.modules if name.startswith("openvino_telemetry.")])
    """
    env = {**os.environ, "PYTHONPATH": os.pathsep.join(p for p in sys.path if p)}
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(code)], capture_output=True, text=True, check=True, env=env
    )
    *lines, reached = done.stdout.splitlines()
    assert dict(line.split() for line in lines) == here
    assert reached == "[] []"
    assert done.stderr == ""


@pytest.mark.parametrize("technique", list(DEFAULTS))
def test_the_input_stays_only_the_result_is_left_and_nothing_is_printed(technique, ir, context, capfd):
    before = {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in ir.iterdir()}
    result = apply(technique, ir, context)
    assert {p.name: hashlib.sha256(p.read_bytes()).hexdigest() for p in ir.iterdir()} == before
    assert list(context.workdir.iterdir()) == [result]
    assert sorted(p.name for p in result.iterdir()) == ["model.bin", "model.xml"]
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize("technique", list(DEFAULTS))
@pytest.mark.parametrize("first", ["int8-static", "weight-only-int8"])
def test_a_file_that_is_quantised_already_is_refused(first, technique, quantised, context):
    with pytest.raises(UnsupportedError, match="quantised already"):
        apply(technique, quantised[first], context)


NOTHING = [
    ("fp16", "no weight"),
    ("int8-dynamic", "no linear layer"),
    ("weight-only-int8", "no weight"),
    ("weight-only-int4", "no linear layer"),
]


@pytest.mark.parametrize(("technique", "message"), NOTHING)
def test_a_model_without_weights_is_refused(technique, message, context, tmp_path):
    x = ops.parameter([-1, *SHAPE], np.float32, name="image")
    with pytest.raises(UnsupportedError, match=message):
        apply(technique, saved(ov.Model([ops.relu(x)], [x]), tmp_path / "relu"), context)


@pytest.mark.parametrize(
    ("technique", "options"),
    [
        ("int8-static", {"samples": 0}),
        ("int8-static", {"percentile": 20.0}),
        ("int8-static", {"max_drop": -1.0}),
        ("weight-only-int4", {"block": 24}),
        ("weight-only-int4", {"block": 8}),
    ],
)
def test_options_out_of_range_are_refused_with_the_value(technique, options, ir, context):
    ((name, value),) = options.items()
    with pytest.raises(UnsupportedError, match=f"{name}={value}"):
        apply(technique, ir, context, **options)


def test_static_quantisation_asks_for_rows_that_fit(ir, tmp_path):
    with pytest.raises(ArtifactError, match="the model has no data"):
        apply("int8-static", ir, context_in(tmp_path / "none"))
    small = Split(inputs=(np.zeros((4, 3, 8, 8), np.float32),))
    with pytest.raises(ArtifactError, match=r"\[3, 16, 16\].*\[3, 8, 8\]"):
        apply("int8-static", ir, context_in(tmp_path / "small", calibration=small))
    with pytest.raises(ArtifactError, match="1 inputs, but a calibration row has 2"):
        apply("int8-static", ir, context_in(tmp_path / "two", calibration=Split(inputs=(small.inputs[0],) * 2)))


def test_a_damaged_file_is_an_artifact_error(tmp_path, context):
    (tmp_path / "model.xml").write_text("<net", encoding="utf-8")
    with pytest.raises(ArtifactError, match="cannot read"):
        apply("fp16", tmp_path, context)


def test_without_nncf_every_technique_says_how_to_get_it(monkeypatch):
    for found in harness_implementations():
        assert found.available().ok
    monkeypatch.setitem(sys.modules, "nncf", None)
    for found in harness_implementations():
        assert found.available().install == "pip install 'edge-bench[openvino]'"
