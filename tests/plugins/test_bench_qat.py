"""Quantisation-aware training: what is trained is what is deployed, all of it int8, and nothing else is claimed."""

from __future__ import annotations

import copy
from collections import Counter
from dataclasses import replace
from types import SimpleNamespace

import numpy as np
import onnx
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from onnx import TensorProto, helper, numpy_helper
from torch import nn

from bench_onnx.reader import read
from bench_qat import harness_implementations, harness_techniques
from bench_qat.chatter import quiet
from bench_qat.options import QatInt8
from bench_torch import TorchOptions, harness_converters
from bench_torch.content import hash_pt2
from bench_torch.graph import read_pt2
from bench_torch.onnx_quantised import LARGEST_BIAS, finish
from bench_torch.session import open_program
from bench_torch.trainer import train
from harness import ArtifactError, BuildContext, Data, SessionOptions, Split, TensorSpec, UnsupportedError

with quiet():
    from torchao.quantization.pt2e.quantize_pt2e import prepare_qat_pt2e

    from bench_qat.capture import capture
    from bench_qat.folding import fold
    from bench_qat.network import SimulatedInt8
    from bench_qat.quantizer import Int8Quantizer

(IMPLEMENTATION,) = harness_implementations()
CONVERT = {(c.source, c.target): c for c in harness_converters()}

TRAINED = {"epochs": 15, "learning_rate": 1e-2}


class Small(nn.Module):
    """Everything that integer kernels do: layers of several kinds, a residual, concat, pools."""

    def __init__(self) -> None:
        super().__init__()
        self.stem = nn.Sequential(
            nn.Conv2d(3, 8, 3, padding=1, bias=False), nn.BatchNorm2d(8, eps=1e-2, momentum=0.3), nn.ReLU(inplace=True)
        )
        self.depthwise = nn.Conv2d(8, 8, 3, padding="same", groups=8)
        self.norm = nn.BatchNorm2d(8)
        self.branch = nn.Conv2d(8, 8, 1)
        self.dropout = nn.Dropout(0.3)
        self.head = nn.Linear(16, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        x = nn.functional.max_pool2d(self.stem(x), 2)
        y = self.norm(self.depthwise(x))
        y += x
        y = nn.functional.relu6(y)
        y = nn.functional.avg_pool2d(torch.cat([y, self.branch(y)], 1), 2)
        return self.head(self.dropout(y.mean((2, 3))))


def rows(count: int, seed: int) -> Split:
    random = np.random.default_rng(seed)
    labels = random.integers(0, 4, count)
    x = random.standard_normal((count, 3, 12, 12)).astype(np.float32)
    x[np.arange(count), labels % 3] += 1.0 + labels[:, None, None] / 4
    return Split(inputs=(x,), labels=labels)


DATA = Data(
    name="noise",
    sha256="0",
    metric="top1",
    splits={"train": lambda: rows(192, 0), "calibration": lambda: rows(48, 1), "validation": lambda: rows(64, 2)},
)


def small() -> Small:
    """A network whose statistics are those of the data, with some weights pruned away."""
    torch.manual_seed(0)
    network = Small().train()
    for seed in range(3):
        network(torch.from_numpy(rows(64, seed).inputs[0]))
    with torch.no_grad():
        for layer in (network.stem[0], network.head):
            layer.weight[layer.weight.abs() < layer.weight.abs().median()] = 0.0
    return network.eval()


def context(workdir, notes, data=DATA, example=None):
    workdir.mkdir(exist_ok=True)
    given_example = (rows(1, 3).inputs[0],) if example is None else example
    bare = BuildContext(
        workdir=workdir,
        seed=0,
        threads=1,
        data=data,
        example=given_example,
        inputs=tuple(TensorSpec(name="x", shape=(None, *a.shape[1:]), dtype=str(a.dtype)) for a in given_example),
        outputs=("logits",),
        note=notes.append,
    )
    return replace(bare, train=lambda module, training: train(module, training, bare))


def quantise(module, workdir, notes, *, data=DATA, example=None, **options):
    return IMPLEMENTATION.apply(module, QatInt8(**options), context(workdir, notes, data, example))


def prepared(module):
    graph = capture(module, (torch.from_numpy(rows(1, 3).inputs[0]),))
    folded = fold(graph)
    network = SimulatedInt8(prepare_qat_pt2e(graph, Int8Quantizer(per_channel=True)), folded)
    network.calibrate([(torch.from_numpy(rows(32, 1).inputs[0]),)])
    return network


@pytest.fixture(scope="module")
def built(tmp_path_factory):
    """The network before, and the program and ONNX file after a few steps."""
    place, notes = tmp_path_factory.mktemp("qat"), []
    module = small()
    before = copy.deepcopy(module.state_dict())
    program = quantise(module, place, notes, **TRAINED)
    converting = []
    file = CONVERT["pt2", "onnx"].convert(program, context(place, converting))
    return SimpleNamespace(
        module=module, before=before, program=program, file=file, notes=notes, converting=converting, place=place
    )


def run_torch(path, x):
    session = open_program(path, SessionOptions(threads=1, options=TorchOptions(), inputs=()))
    session.bind((x,))()
    (found,) = session.outputs()
    session.close()
    return found


def run_onnxruntime(path, x):
    import onnxruntime

    return onnxruntime.InferenceSession(path, providers=["CPUExecutionProvider"]).run(None, {"x": x})[0]


def compiled_openvino(path):
    import openvino

    return openvino.Core().compile_model(path, "CPU", {"INFERENCE_PRECISION_HINT": "f32"})


def executed_by_onnxruntime(path):
    import onnxruntime

    options = onnxruntime.SessionOptions()
    options.graph_optimization_level = onnxruntime.GraphOptimizationLevel.ORT_ENABLE_EXTENDED
    options.optimized_model_filepath = str(path.with_suffix(".optimised.onnx"))
    options.log_severity_level = 3
    onnxruntime.InferenceSession(path, options, providers=["CPUExecutionProvider"])
    return Counter(node.op_type for node in onnx.load(options.optimized_model_filepath).graph.node)


def test_every_layer_is_int8_and_the_lineage_says_so(built):
    assert "int8: 4 of 4 layers, 100.0% of the multiply-accumulates" in built.notes


def test_onnxruntime_computes_everything_between_input_and_output_in_integers(built):
    executed = executed_by_onnxruntime(built.file)
    assert executed.pop("QuantizeLinear") == 1
    assert executed == {
        "QLinearConv": 3, "MaxPool": 1, "QLinearAdd": 1, "QLinearConcat": 1, "QLinearAveragePool": 1,
        "QLinearGlobalAveragePool": 1, "Flatten": 1, "QGemm": 1,
    }  # fmt: skip


def test_openvino_computes_the_layers_in_int8(built):
    layers = [n.get_rt_info() for n in compiled_openvino(built.file).get_runtime_model().get_ops()]
    kinds = [
        (info["layerType"].astype(str), info["runtimePrecision"].astype(str))
        for info in layers
        if info["layerType"].astype(str) in {"Convolution", "FullyConnected"}
    ]
    assert Counter(kinds) == {("Convolution", "u8"): 3, ("FullyConnected", "u8"): 1}


def test_all_runtimes_agree_at_every_batch_up_to_a_few_steps(built):
    for batch in (1, 5):
        x = rows(batch, 4).inputs[0]
        wanted = run_torch(built.program, x)
        assert wanted.shape == (batch, 4)
        step = np.ptp(wanted) / 255
        assert np.abs(run_onnxruntime(built.file, x) - wanted).max() <= 8 * step
        assert np.abs(compiled_openvino(built.file)(x)[0] - wanted).max() <= 8 * step


def test_the_quantised_network_still_classifies_what_it_was_trained_for(built):
    split = rows(256, 5)
    right = (run_onnxruntime(built.file, split.inputs[0]).argmax(1) == split.labels).mean()
    assert right > 0.6  # a quarter by chance


def test_the_program_is_read_as_simulated_in_float_with_the_network_s_work(built):
    graph, integer = read_pt2(built.program), read(built.file)
    assert graph.macs == integer.macs == 8 * 27 * 144 + 8 * 9 * 36 + 64 * 36 + 64
    assert (graph.int8_macs_share, integer.int8_macs_share) == (0.0, 1.0)
    assert graph.parameters == integer.parameters == 8 * 27 + 8 + 8 * 9 + 8 + 64 + 8 + 64 + 4
    assert {op.kind for op in graph.operators if op.macs} == {"conv", "fully_connected"}
    assert "unknown" not in {op.kind for op in graph.operators}
    assert {tensor.precision for key, tensor in graph.tensors.items() if key.startswith("quantize")} == {"uint8"}


def test_zeros_of_earlier_pruning_are_zeros_in_both_files(built):
    zeros = np.sort([float((built.before[f"{name}.weight"] == 0).double().mean()) for name in ("stem.0", "head")])
    stored = {t.name: numpy_helper.to_array(t) for t in onnx.load(built.file).graph.initializer}
    found = [(w == 0).mean() for w in stored.values() if w.dtype == np.int8 and w.ndim > 1 and w.shape[-1] in (3, 16)]
    assert np.all(np.sort(found)[-2:] >= zeros)
    read_back = [op for op in read_pt2(built.program).operators if op.macs]
    shares = [t.zeros for op in read_back for t in read_pt2(built.program).weights_of(op) if t.zeros is not None]
    assert sum(share >= 0.45 for share in shares) >= 2


def test_the_file_stores_weights_as_int8_and_biases_as_int32(built):
    graph = onnx.load(built.file).graph
    stored = {tensor.name: tensor.data_type for tensor in graph.initializer}
    producer = {name: node for node in graph.node for name in node.output}
    layers = [node for node in graph.node if node.op_type in {"Conv", "Gemm"}]
    for layer in layers:
        _, weight, bias = (producer[name] for name in layer.input)
        assert stored[weight.input[0]] == TensorProto.INT8
        assert stored[bias.input[0]] == TensorProto.INT32
    assert len(layers) == 4
    assert not any(node.input[0] in stored for node in graph.node if node.op_type == "QuantizeLinear")


def test_the_module_given_is_left_untouched(built):
    assert not any(part.training for part in built.module.modules())
    after = built.module.state_dict()
    assert all(torch.equal(after[name], value) for name, value in built.before.items())


def test_the_same_seed_gives_the_same_program(built, tmp_path):
    assert hash_pt2(quantise(small(), tmp_path, [], **TRAINED)) == hash_pt2(built.program)


def test_the_lineage_says_how_it_was_calibrated_trained_and_what_torch_makes_of_it(built):
    assert built.notes[0] == "first ranges of activations from 48 of 48 calibration rows"
    assert built.notes[1].startswith("trained with simulated int8: 45 steps over 192 training rows")
    assert any("torch runs this program as simulated int8, in float" in note for note in built.notes)
    assert any(note.startswith("QDQ ONNX: max abs error") for note in built.converting)


def test_with_quantisation_off_the_captured_network_is_the_module():
    module = small()
    x = torch.from_numpy(rows(16, 6).inputs[0])
    assert torch.allclose(prepared(module).run_in_float((x,)), module(x), atol=1e-5)


def test_dropout_acts_in_training_only():
    network = prepared(small())
    x = torch.from_numpy(rows(16, 6).inputs[0])
    assert torch.equal(network.eval()(x), network(x))
    network.train()
    network.freeze()
    assert not torch.equal(network(x), network(x))


def test_ranges_and_statistics_follow_training_until_they_are_frozen_and_never_evaluation():
    network = prepared(small())
    x = 3 * torch.from_numpy(rows(16, 6).inputs[0])

    def state():
        kept = ("mean", "variance", "min_val", "max_val")
        return {n: b.clone() for n, b in network.named_buffers() if n.endswith(kept)}

    def moved(before):
        return {name.rpartition(".")[2] for name, value in state().items() if not torch.equal(value, before[name])}

    start = state()
    network.eval()(x)
    assert not moved(start)
    network.train()(x)
    assert moved(start) == {"mean", "variance", "min_val", "max_val"}
    network.freeze()
    network(x)  # weights are folded by the statistics as they are now
    frozen = state()
    network.train()(x)
    network.eval()(x)
    assert not moved(frozen)


def test_ranges_of_weights_follow_the_weights_even_when_frozen():
    network = prepared(small())
    network.freeze()
    x = torch.from_numpy(rows(4, 6).inputs[0])
    scales = [item.scale for item in network.modules() if hasattr(item, "scale") and item.ch_axis == 0]
    network(x)
    before = [scale.clone() for scale in scales]
    with torch.no_grad():
        for parameter in network.parameters():
            if parameter.ndim > 1:
                parameter.mul_(2)
    network(x)
    assert len(scales) == 4
    assert all(torch.allclose(scale, 2 * old) for scale, old in zip(scales, before, strict=True))


def test_one_scale_for_a_whole_weight_when_asked(tmp_path):
    program = torch.export.load(quantise(small(), tmp_path, [], epochs=0, per_channel=False))
    int8 = [t for t in program.state_dict.values() if t.dtype == torch.int8 and t.ndim > 1]
    assert len(int8) == 4
    assert not any("per_channel" in str(node.target) for node in program.graph.nodes)


class Mixed(nn.Module):
    """A deconvolution, which no integer kernel of ONNX Runtime does, and a normalisation before its layer."""

    def __init__(self) -> None:
        super().__init__()
        self.norm, self.up, self.head = nn.BatchNorm2d(3), nn.ConvTranspose2d(3, 4, 2, stride=2), nn.Linear(4, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(self.up(self.norm(x)).mean((2, 3)))


def test_layers_left_in_float_are_named_with_their_share(tmp_path):
    notes = []
    path = quantise(Mixed().eval(), tmp_path, notes, epochs=0)
    share = 16 / (16 + 12 * 12 * 3 * 16)
    assert f"int8: 1 of 2 layers, {share:.1%} of the multiply-accumulates; in float: up" in notes
    assert "batch normalisation: 0 folded into the layer before, 1 with no such layer left in float" in notes
    assert "epochs=0: not trained, static quantisation of the network as it was" in notes
    assert "batch_norm" in {op.kind for op in read_pt2(path).operators}


class Branching(nn.Module):
    """Asks for the value of a tensor, which torch.export cannot."""

    def __init__(self) -> None:
        super().__init__()
        self.head = nn.Linear(12, 4)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        return self.head(x) if x.sum() > 0 else x


@pytest.mark.parametrize(
    ("module", "error", "message"),
    [
        (Branching(), UnsupportedError, "torch.export cannot export Branching with a free batch: GuardOnDataDependent"),
        (nn.ReLU(), ArtifactError, "ReLU has no convolution or linear layer in float32"),
        (nn.Conv2d(3, 4, 3).double(), ArtifactError, "Conv2d has no convolution or linear layer in float32"),
    ],
)
def test_a_network_that_cannot_be_taken_is_refused_in_one_line(module, error, message, tmp_path, capfd):
    example = (rows(1, 3).inputs[0].astype("float64" if isinstance(module, nn.Conv2d) else "float32"),)
    with pytest.raises(error) as caught:
        quantise(module, tmp_path, [], example=example)
    assert str(caught.value).startswith(message)
    assert capfd.readouterr() == ("", "")


@pytest.mark.parametrize(
    "options",
    [
        {"epochs": -1.0},
        {"learning_rate": 0.0},
        {"learning_rate": float("nan")},
        {"calibration_samples": 0},
        {"freeze_after": 1.5},
    ],
)
def test_an_option_out_of_its_range_is_refused_with_its_value(options, tmp_path):
    ((name, value),) = options.items()
    with pytest.raises(UnsupportedError, match=f"{name}={value}: "):
        quantise(small(), tmp_path, [], **options)


def test_without_rows_nothing_is_calibrated(tmp_path):
    with pytest.raises(UnsupportedError, match="needs rows to train with"):
        quantise(small(), tmp_path, [], data=None)


def test_training_rows_calibrate_where_there_are_no_others(tmp_path):
    notes = []
    data = replace(DATA, splits={"train": DATA.splits["train"]})
    quantise(small(), tmp_path, notes, data=data, epochs=0, calibration_samples=10)
    assert notes[0] == "first ranges of activations from 10 of 192 train rows"


def test_the_float_way_to_onnx_stays_the_cheapest():
    through = CONVERT["checkpoint", "pt2"].cost + CONVERT["pt2", "onnx"].cost
    assert CONVERT["checkpoint", "onnx"].cost < through


def test_a_float_program_becomes_onnx_too(tmp_path):
    module, notes = small(), []
    place = context(tmp_path, notes)
    program = torch.export.export(module, (torch.from_numpy(place.example[0]),))
    torch.export.save(program, tmp_path / "model.pt2")
    file = CONVERT["pt2", "onnx"].convert(tmp_path / "model.pt2", place)
    assert any(note.startswith("ONNX: max abs error") for note in notes)
    assert np.allclose(
        run_onnxruntime(file, place.example[0]), module(torch.from_numpy(place.example[0])).detach(), atol=1e-4
    )


def qdq_conv(weights, scales, bias, step):
    """A 1×1 convolution between a dequantised input and an output."""
    stored = {
        "w": weights.astype(np.int8)[:, :, None, None], "s": scales, "z": np.zeros(len(scales), np.int8), "b": bias,
        "step": np.float32(step), "zero": np.uint8(128),
    }  # fmt: skip
    nodes = [
        helper.make_node("QuantizeLinear", ["x", "step", "zero"], ["q"]),
        helper.make_node("DequantizeLinear", ["q", "step", "zero"], ["dq"]),
        helper.make_node("DequantizeLinear", ["w", "s", "z"], ["dw"], axis=0),
        helper.make_node("Conv", ["dq", "dw", "b"], ["y"], name="conv"),
    ]
    graph = helper.make_graph(
        nodes,
        "conv",
        [helper.make_tensor_value_info("x", TensorProto.FLOAT, ["batch", weights.shape[1], 2, 2])],
        [helper.make_tensor_value_info("y", TensorProto.FLOAT, ["batch", len(bias), 2, 2])],
        [numpy_helper.from_array(np.asarray(value), name) for name, value in stored.items()],
    )
    return helper.make_model(graph, opset_imports=[helper.make_opsetid("", 18)], ir_version=10)


@settings(max_examples=50, deadline=None)
@given(
    magnitude=st.floats(1e-12, 1e2), offset=st.floats(-1e4, 1e4), step=st.floats(1e-4, 1.0), seed=st.integers(0, 1000)
)
def test_a_bias_is_kept_to_half_a_step_of_the_sums_and_always_fits(magnitude, offset, step, seed):
    random = np.random.default_rng(seed)
    scales = (magnitude * random.uniform(0.5, 1.0, 3)).astype(np.float32)
    bias = (offset * random.uniform(0.5, 1.0, 3)).astype(np.float32)
    weights, notes = random.integers(-127, 128, (3, 5)), []
    model = qdq_conv(weights, scales, bias, step)
    finish(model, notes.append)
    onnx.checker.check_model(model, full_check=True)
    stored = {tensor.name: numpy_helper.to_array(tensor) for tensor in model.graph.initializer}
    assert np.abs(stored["b_int32"].astype(np.float64)).max() <= LARGEST_BIAS + 128
    sums = stored["b_int32_scale"].astype(np.float64)
    assert np.all(np.abs(stored["b_int32"] * sums - bias) <= 0.5 * sums + 2.0**-22 * np.abs(bias))
    used = stored.get("w_coarser", stored.get("w"))[:, :, 0, 0]
    steps = stored.get("w_coarser_scale", stored.get("s")).astype(np.float64)[:, None]
    assert np.all(np.abs(used * steps - weights * scales.astype(np.float64)[:, None]) <= 0.5 * steps * (1 + 1e-6))
    assert bool(notes) == ("w_coarser" in stored)


def test_the_technique_says_what_it_needs_and_where_it_stands():
    (technique,) = harness_techniques()
    assert (technique.stage, technique.excludes) == ("lowering", "precision")
    assert technique.needs_with(QatInt8()) == {"train", "labels"}
    assert (IMPLEMENTATION.format, IMPLEMENTATION.produces) == ("module", "pt2")
