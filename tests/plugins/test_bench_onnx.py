"""The ONNX reader: exact counts, one normal form for every way to write quantisation, and a canonical hash."""

from __future__ import annotations

import os
import subprocess
import sys
import warnings
from contextlib import suppress
from pathlib import Path

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench_onnx import harness_graph_readers, harness_models
from bench_onnx.content import content_sha256
from bench_onnx.reader import read
from harness import ArtifactError, OpGraph

(READER,) = harness_graph_readers()
(SOURCE,) = harness_models()


class Net:
    """Builds an ONNX file node by node; weights are seeded."""

    def __init__(self, *inputs: tuple[str, list[int | str | None]], opset: int = 18, **types: int) -> None:
        self.inputs = [helper.make_tensor_value_info(n, types.get(n, TensorProto.FLOAT), s) for n, s in inputs]
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.opset = opset
        self.random = np.random.default_rng(0)

    def weight(self, name: str, value: object, dtype: str = "float32") -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype=dtype), name))
        return name

    def add(self, op: str, inputs: list[str], output: str, domain: str = "", **attributes: object) -> str:
        self.nodes.append(helper.make_node(op, inputs, [output], name=f"{op}:{output}", domain=domain, **attributes))
        return output

    def conv(self, x: str, y: str, shape: tuple[int, ...], **attributes: object) -> str:
        w = self.weight(f"{y}.w", np.full(shape, 0.5))
        b = self.weight(f"{y}.b", np.full(shape[0], 0.5))
        pads = [(k - 1) // 2 for k in shape[2:]] * 2
        return self.add("Conv", [x, w, b], y, pads=pads, **attributes)

    def quantise(self, x: str, y: str, scale: float = 0.1, zero: int = 128) -> str:
        s, z = self.weight(f"{y}.s", scale), self.weight(f"{y}.z", zero, "uint8")
        return self.add("QuantizeLinear", [x, s, z], y)

    def dequantise(self, x: str, y: str, scale: float = 0.1, zero: int = 128) -> str:
        s, z = self.weight(f"{y}.s", scale), self.weight(f"{y}.z", zero, "uint8")
        return self.add("DequantizeLinear", [x, s, z], y)

    def pair(self, x: str) -> str:
        return self.dequantise(self.quantise(x, f"{x}.q"), f"{x}.dq")

    def int8_weight(self, name: str, shape: tuple[int, ...]) -> str:
        values = self.random.integers(-127, 128, shape)
        w, s = self.weight(f"{name}.int8", values, "int8"), self.weight(f"{name}.scale", np.full(shape[0], 0.01))
        z = self.weight(f"{name}.zero", np.zeros(shape[0]), "int8")
        return self.add("DequantizeLinear", [w, s, z], name, axis=0)

    def model(self, *outputs: str) -> onnx.ModelProto:
        values = [helper.make_tensor_value_info(name, TensorProto.FLOAT, None) for name in outputs]
        graph = helper.make_graph(self.nodes, "net", self.inputs, values, self.weights)
        domains = sorted({node.domain for node in self.nodes if node.domain})
        imports = [helper.make_opsetid("", self.opset), *(helper.make_opsetid(d, 1) for d in domains)]
        return helper.make_model(graph, opset_imports=imports, ir_version=10)

    def save(self, folder: Path, *outputs: str) -> Path:
        path = folder / "net.onnx"
        onnx.save(self.model(*outputs), path)
        return path

    def read(self, folder: Path, *outputs: str) -> OpGraph:
        return read(self.save(folder, *outputs))


def kinds(graph: OpGraph) -> list[str]:
    return [op.kind for op in graph.operators]


# ---- counting -------------------------------------------------------------------------------------------------------


def mobilenet_v2(net: Net) -> str:
    """Sandler et al., arXiv:1801.04381, table 2, batch normalisation folded."""
    x, channels, index = net.conv("x", "stem", (32, 3, 3, 3), strides=[2, 2]), 32, 0
    layers = [(1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)]
    for expansion, width, repeats, first_stride in layers:
        for repeat in range(repeats):
            index += 1
            stride, hidden, y = (first_stride if repeat == 0 else 1), channels * expansion, x
            if expansion > 1:
                y = net.conv(y, f"{index}.expand", (hidden, channels, 1, 1))
            y = net.conv(y, f"{index}.depth", (hidden, 1, 3, 3), strides=[stride, stride], group=hidden)
            y = net.conv(y, f"{index}.project", (width, hidden, 1, 1))
            x = net.add("Add", [x, y], f"{index}.add") if stride == 1 and channels == width else y
            channels = width
    x = net.add("GlobalAveragePool", [net.conv(x, "last", (1280, channels, 1, 1))], "pool")
    x = net.add("Flatten", [x], "flat")
    return net.add(
        "Gemm", [x, net.weight("fc.w", np.ones((1000, 1280))), net.weight("fc.b", np.ones(1000))], "y", transB=1
    )


def resnet18(net: Net) -> str:
    """He et al., arXiv:1512.03385, table 1, batch normalisation folded."""
    x = net.conv("x", "stem", (64, 3, 7, 7), strides=[2, 2])
    x, channels = net.add("MaxPool", [x], "pool", kernel_shape=[3, 3], strides=[2, 2], pads=[1, 1, 1, 1]), 64
    for stage, width in enumerate((64, 128, 256, 512)):
        for block in range(2):
            name, stride = f"{stage}.{block}", (2 if stage and not block else 1)
            y = net.conv(x, f"{name}.a", (width, channels, 3, 3), strides=[stride, stride])
            y = net.conv(y, f"{name}.b", (width, width, 3, 3))
            if channels != width:
                x = net.conv(x, f"{name}.down", (width, channels, 1, 1), strides=[stride, stride])
            x, channels = net.add("Add", [x, y], f"{name}.add"), width
    x = net.add("ReduceMean", [x, net.weight("axes", [2, 3], "int64")], "mean", keepdims=0)
    return net.add("MatMul", [x, net.weight("fc.w", np.ones((512, 1000)))], "y")


@pytest.mark.parametrize(
    ("build", "macs", "parameters"),
    # torch's own definitions have 3,504,872 and 11,689,512 parameters; folding replaces the two of each normalised
    # channel (17,056 and 4,800 of them) by one bias, and the ResNet here has no bias in its last layer.
    [(mobilenet_v2, 300_774_272, 3_504_872 - 17_056), (resnet18, 1_814_073_344, 11_689_512 - 4_800 - 1_000)],
)
def test_known_networks_have_their_known_macs_and_parameters(build, macs, parameters, tmp_path):
    net = Net(("x", ["batch", 3, 224, 224]))
    graph = net.read(tmp_path, build(net))
    assert graph.macs == macs
    assert graph.parameters == parameters
    assert all(-1 not in tensor.shape for tensor in graph.tensors.values())


def test_a_torch_export_has_the_macs_that_torch_counts(tmp_path):
    import torch
    from torch import nn
    from torch.utils.flop_counter import FlopCounterMode

    class Small(nn.Module):
        def __init__(self):
            super().__init__()
            self.features = nn.Sequential(
                nn.Conv2d(3, 8, 3, 2, 1), nn.ReLU6(), nn.Conv2d(8, 8, 3, groups=8), nn.ConvTranspose2d(8, 6, 2, 2)
            )
            self.head = nn.Linear(6 * 10, 5)

        def forward(self, x):
            y = self.features(x).mean(3)
            y = torch.softmax(y @ y.transpose(1, 2), -1) @ y
            return self.head(y.flatten(1))

    module, x = Small().eval(), torch.randn(2, 3, 14, 14)
    with FlopCounterMode(display=False) as counter:
        module(x[:1])
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # the exporter's own
        program = torch.onnx.export(
            module, (x,), dynamo=True, dynamic_shapes=({0: torch.export.Dim.DYNAMIC},), verbose=False
        )
    program.save(tmp_path / "small.onnx")
    graph = read(tmp_path / "small.onnx")
    assert graph.macs == counter.get_total_flops() // 2
    assert graph.parameters == sum(p.numel() for p in module.parameters())
    assert {"conv", "deconv", "matmul", "fully_connected", "relu6", "softmax"} <= set(kinds(graph))


def test_a_depthwise_convolution_keeps_its_groups(tmp_path):
    net = Net(("x", [None, 8, 10, 10]))
    (op,) = net.read(tmp_path, net.conv("x", "y", (8, 1, 3, 3), group=8, strides=[2, 2])).operators
    assert op.kind == "conv"
    assert op.macs == 8 * 5 * 5 * 9
    assert dict(op.attributes) == {
        "kernel": (3, 3), "stride": (2, 2), "dilation": (1, 1), "pads": (1, 1, 1, 1), "groups": 8
    }  # fmt: skip


@pytest.mark.parametrize(
    ("mode", "pads"), [("SAME_UPPER", (0, 1, 1, 1)), ("SAME_LOWER", (1, 1, 0, 1)), ("VALID", (0, 0, 0, 0))]
)
def test_automatic_padding_is_resolved(mode, pads, tmp_path):
    net = Net(("x", [1, 1, 6, 5]))
    net.add("Conv", ["x", net.weight("w", np.ones((1, 1, 3, 3)))], "y", auto_pad=mode, strides=[2, 2])
    graph = net.read(tmp_path, "y")
    assert graph.operators[0].attributes["pads"] == pads
    assert graph.tensors["y"].shape == ((1, 1, 3, 3) if mode != "VALID" else (1, 1, 2, 2))


def test_a_transposed_convolution_counts_every_input_element(tmp_path):
    net = Net(("x", [1, 4, 5, 5]))
    net.add("ConvTranspose", ["x", net.weight("w", np.ones((4, 2, 3, 3)))], "y", group=2, strides=[2, 2])
    (op,) = net.read(tmp_path, "y").operators
    assert (op.kind, op.macs, op.attributes["groups"]) == ("deconv", 4 * 5 * 5 * 2 * 9, 2)


def test_two_activations_make_a_matmul_and_a_constant_makes_it_fully_connected(tmp_path):
    net = Net(("a", [None, 3, 4]), ("b", [None, 4, 5]))
    net.add("MatMul", ["a", "b"], "ab")
    net.add("MatMul", ["ab", net.weight("w", np.ones((5, 7)))], "y")
    graph = net.read(tmp_path, "y")
    assert [(op.kind, op.macs) for op in graph.operators] == [("matmul", 60), ("fully_connected", 105)]
    assert graph.operators[1].attributes == {"in_features": 5, "out_features": 7}


def test_einsum_counts_the_product_of_its_labels(tmp_path):
    net = Net(("a", [1, 2, 3, 4]), ("b", [1, 2, 5, 4]))
    net.add("Einsum", ["a", "b"], "y", equation="bhqd,bhkd->bhqk")
    (op,) = net.read(tmp_path, "y").operators
    assert (op.kind, op.macs) == ("matmul", 2 * 3 * 5 * 4)


def test_zeros_are_the_exact_share(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("MatMul", ["x", net.weight("w", [[0, 1], [0, 0], [2, 3], [4, 0]])], "y")
    assert net.read(tmp_path, "y").tensors["w"].zeros == 0.5


def test_running_statistics_scales_and_shapes_are_no_parameters(tmp_path):
    net = Net(("x", [1, 4, 3, 3]))
    net.add("BatchNormalization", ["x", *(net.weight(n, np.ones(4)) for n in ("scale", "shift", "mean", "var"))], "n")
    net.add("Clip", ["n", net.weight("low", 0.0), net.weight("high", 6.0)], "c")
    net.add("Reshape", ["c", net.weight("shape", [1, 36], "int64")], "y")
    graph = net.read(tmp_path, "y")
    assert graph.parameters == 8
    assert kinds(graph) == ["batch_norm", "relu6", "reshape"]


def test_a_weight_used_twice_counts_once(tmp_path):
    net = Net(("x", [1, 4]))
    w = net.weight("w", np.ones((4, 4)))
    net.add("MatMul", [net.add("MatMul", ["x", w], "h"), w], "y")
    graph = net.read(tmp_path, "y")
    assert (graph.parameters, graph.macs) == (16, 32)


# ---- shapes ---------------------------------------------------------------------------------------------------------


def test_a_shape_computed_at_run_time_folds_once_the_batch_is_bound(tmp_path):
    net = Net(("x", ["n", 3, 8]))
    net.add("Shape", ["x"], "s")
    net.add("Gather", ["s", net.weight("zero", 0, "int64")], "n0")
    net.add("Unsqueeze", ["n0", net.weight("axis", [0], "int64")], "n1")
    net.add("Concat", ["n1", net.weight("rest", [-1], "int64")], "target", axis=0)
    net.add("Reshape", ["x", "target"], "y")
    graph = net.read(tmp_path, "y")
    assert kinds(graph) == ["reshape"]
    assert graph.tensors["y"].shape == (1, 24)
    assert graph.operators[0].inputs == ("x",)


def test_a_batch_named_alike_in_two_inputs_is_bound_in_both(tmp_path):
    net = Net(("a", ["n", 4]), ("b", ["n", 4]))
    net.add("Add", ["a", "b"], "y")
    assert {t.shape for t in net.read(tmp_path, "y").tensors.values()} == {(1, 4)}


def test_a_dimension_that_stays_symbolic_is_minus_one(tmp_path):
    net = Net(("x", ["n", "length", 8]))
    net.add("MatMul", ["x", net.weight("w", np.ones((8, 2)))], "y")
    graph = net.read(tmp_path, "y")
    assert graph.tensors["y"].shape == (1, -1, 2)
    assert graph.macs == 16


def test_a_wrong_declared_shape_does_not_win_over_inference(tmp_path):
    net = Net(("x", ["n", 4]))
    net.add("Relu", ["x"], "h")
    net.add("Relu", ["h"], "y")
    model = net.model("y")
    model.graph.value_info.append(helper.make_tensor_value_info("h", TensorProto.FLOAT, [7, 4]))
    onnx.save(model, tmp_path / "net.onnx")
    assert read(tmp_path / "net.onnx").tensors["h"].shape == (1, 4)


def test_nodes_out_of_order_are_read_in_execution_order(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("Sigmoid", ["h"], "y")
    net.add("Relu", ["x"], "h")
    assert kinds(net.read(tmp_path, "y")) == ["relu", "sigmoid"]


def test_averaging_height_and_width_is_a_global_pool_and_other_reductions_are_not(tmp_path):
    net = Net(("x", [None, 3, 4, 4]))
    net.add("ReduceMean", ["x", net.weight("hw", [-1, -2], "int64")], "a", keepdims=1)
    net.add("ReduceMean", ["x", net.weight("c", [1], "int64")], "b")
    graph = net.read(tmp_path, "a", "b")
    assert kinds(graph) == ["global_pool", "reduce"]
    assert graph.operators[1].attributes["axes"] == (1,)


def test_an_operator_of_a_foreign_domain_is_unknown_and_keeps_its_name(tmp_path):
    net = Net(("x", [None, 4]))
    net.add("Relu", [net.add("Mystery", ["x"], "h", domain="org.example")], "y")
    graph = net.read(tmp_path, "y")
    assert [(op.kind, op.source) for op in graph.operators] == [("unknown", "org.example.Mystery"), ("relu", "Relu")]
    assert graph.tensors["h"].shape == (-1,)


def test_control_flow_is_unknown_and_reads_what_its_branches_read(tmp_path):
    net = Net(("x", [1, 4]), ("flag", []), flag=TensorProto.BOOL)
    h = net.add("Relu", ["x"], "h")
    branch = [
        helper.make_graph([helper.make_node(op, [h], [f"{op}.out"])], op, [],
                          [helper.make_tensor_value_info(f"{op}.out", TensorProto.FLOAT, [1, 4])])
        for op in ("Neg", "Abs")
    ]  # fmt: skip
    net.add("If", ["flag"], "y", then_branch=branch[0], else_branch=branch[1])
    graph = net.read(tmp_path, "y")
    assert kinds(graph) == ["relu", "unknown"]
    assert graph.operators[1].inputs == ("flag", "h")


# ---- quantised forms ------------------------------------------------------------------------------------------------


def qdq_net() -> Net:
    """Q → conv+relu → Q/DQ → max pool → Q/DQ → conv → Q/DQ → reshape → Q/DQ → gemm → Q → DQ."""
    net = Net(("x", ["n", 3, 8, 8]))
    bias = net.weight("a.bias", np.ones(4))
    net.add("Conv", [net.pair("x"), net.int8_weight("a.w", (4, 3, 3, 3)), bias], "a", pads=[1, 1, 1, 1])
    net.add("Relu", ["a"], "a.relu")
    net.add("MaxPool", [net.pair("a.relu")], "p", kernel_shape=[2, 2], strides=[2, 2])
    net.add("Conv", [net.pair("p"), net.int8_weight("b.w", (4, 4, 1, 1))], "b")
    net.add("Reshape", [net.pair("b"), net.weight("flat", [-1, 64], "int64")], "r")
    net.add("Gemm", [net.pair("r"), net.int8_weight("c.w", (5, 64))], "c", transB=1)
    net.pair("c")
    return net


def test_qdq_becomes_int8_operators_with_conversions_at_the_edges_only(tmp_path):
    graph = qdq_net().read(tmp_path, "c.dq")
    assert kinds(graph) == ["quantize", "conv", "pool_max", "conv", "reshape", "fully_connected", "dequantize"]
    inner = graph.operators[1:-1]
    assert {(op.precision, op.scheme) for op in inner} == {("int8", "static")}
    assert {t.precision for op in inner for t in graph.activations_of(op)} == {"uint8"}
    assert graph.int8_macs_share == 1.0
    assert graph.macs == 4 * 64 * 27 + 4 * 16 * 4 + 5 * 64


def test_an_activation_before_quantisation_is_fused(tmp_path):
    graph = qdq_net().read(tmp_path, "c.dq")
    assert [op.activation for op in graph.operators if op.kind == "conv"] == ["relu", ""]


def test_a_float_bias_of_an_int8_operator_is_int32(tmp_path):
    graph = qdq_net().read(tmp_path, "c.dq")
    assert [t.precision for t in graph.weights_of(graph.operators[1])] == ["int8", "int32"]


def test_int8_weights_count_once_and_scales_not_at_all(tmp_path):
    graph = qdq_net().read(tmp_path, "c.dq")
    assert graph.parameters == 4 * 3 * 9 + 4 + 4 * 4 + 5 * 64


def test_operators_are_connected_through_the_tensors_that_are_left(tmp_path):
    graph = qdq_net().read(tmp_path, "c.dq")
    made = set(graph.inputs)
    for op in graph.operators:
        assert all(graph.tensors[name].constant or name in made for name in op.inputs)
        made.update(op.outputs)
    assert set(graph.outputs) <= made


def test_a_float_operator_between_int8_ones_costs_both_conversions(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("Gemm", [net.pair("x"), net.int8_weight("a.w", (4, 4))], "a", transB=1)
    net.add("Softplus", [net.pair("a")], "s")
    net.add("Sin", ["s"], "t")
    net.add("Gemm", [net.pair("t"), net.int8_weight("b.w", (4, 4))], "b", transB=1)
    graph = net.read(tmp_path, net.pair("b"))
    assert kinds(graph) == [
        "quantize", "fully_connected", "dequantize", "elementwise", "elementwise", "quantize", "fully_connected",
        "dequantize",
    ]  # fmt: skip


def test_an_int8_product_whose_result_stays_float_is_dequantised(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("MatMul", [net.pair("x"), net.int8_weight("w", (4, 2))], "h")
    net.add("Add", ["h", net.weight("b", np.ones(2))], "y")
    graph = net.read(tmp_path, "y")
    assert kinds(graph) == ["quantize", "fully_connected", "dequantize"]
    assert graph.tensors[graph.operators[1].outputs[0]].precision == "int32"
    assert len(graph.operators[1].inputs) == 3


def test_data_movement_without_its_own_quantisation_stays_int8(tmp_path):
    net = Net(("x", [1, 3, 4, 4]))
    net.add("Conv", [net.pair("x"), net.int8_weight("a.w", (4, 3, 1, 1))], "a")
    net.add("Transpose", ["a"], "t", perm=[0, 2, 3, 1])
    net.add("Flatten", [net.pair("t")], "f")
    net.add("Gemm", ["f", net.int8_weight("b.w", (2, 64))], "b", transB=1)
    graph = net.read(tmp_path, net.pair("b"))
    assert kinds(graph) == ["quantize", "conv", "transpose", "reshape", "fully_connected", "dequantize"]
    assert {op.precision for op in graph.operators[1:-1]} == {"int8"}


def test_another_scale_in_between_is_a_requantisation(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("Gemm", [net.pair("x"), net.int8_weight("a.w", (4, 4))], "a", transB=1)
    again = net.dequantise(net.quantise(net.pair("a"), "q", scale=0.7), "dq", scale=0.7)
    net.add("Gemm", [again, net.int8_weight("b.w", (4, 4))], "b", transB=1)
    assert kinds(net.read(tmp_path, net.pair("b"))) == [
        "quantize", "fully_connected", "quantize", "fully_connected", "dequantize"
    ]  # fmt: skip


def test_concat_add_and_split_of_quantised_tensors_are_int8(tmp_path):
    net = Net(("x", [1, 4]), ("z", [1, 4]))
    x, z = net.pair("x"), net.pair("z")
    net.add("Concat", [net.pair(net.add("Add", [x, z], "sum")), z], "both", axis=1)
    net.nodes.append(helper.make_node("Split", [net.pair("both")], ["s", "t"], axis=1, num_outputs=2))
    graph = net.read(tmp_path, net.pair("s"), net.pair("t"))
    assert kinds(graph) == ["quantize", "quantize", "add", "concat", "split", "dequantize", "dequantize"]
    assert all(op.precision == "int8" for op in graph.operators[2:5])


def test_constants_beside_an_int8_tensor_that_are_not_quantised_keep_the_operator_float(tmp_path):
    net = Net(("x", [1, 4]))
    net.add("Mul", [net.pair("x"), net.weight("gain", np.ones(4))], "m")
    assert kinds(net.read(tmp_path, net.pair("m"))) == ["quantize", "dequantize", "mul", "quantize", "dequantize"]


def test_zeros_of_an_int8_weight_are_what_equals_its_zero_point(tmp_path):
    net = Net(("x", [1, 4]))
    w = net.weight("w", [[3, 3], [5, 0], [7, 5], [3, 3]], "uint8")
    scale, zero = net.weight("s", [0.1, 0.1]), net.weight("z", [3, 5], "uint8")
    net.add("MatMul", [net.pair("x"), net.add("DequantizeLinear", [w, scale, zero], "wf", axis=1)], "y")
    assert net.read(tmp_path, net.pair("y")).tensors["w"].zeros == 3 / 8


def test_weights_quantised_alone_leave_the_arithmetic_in_float(tmp_path):
    net = Net(("x", [None, 3, 4, 4]))
    net.add("Conv", ["x", net.int8_weight("w", (4, 3, 1, 1))], "y")
    graph = net.read(tmp_path, "y")
    (op,) = graph.operators
    assert (op.kind, op.precision, op.scheme) == ("conv", "fp32", "weight-only")
    assert graph.tensors[op.inputs[1]].precision == "int8"
    assert (graph.int8_macs_share, graph.parameters) == (0.0, 12)


def test_weights_dequantised_by_hand_are_weight_only(tmp_path):
    net = Net(("x", [None, 4]))
    net.add("Cast", [net.weight("w", np.arange(8).reshape(2, 4), "uint8")], "f", to=TensorProto.FLOAT)
    net.add("Sub", ["f", net.weight("z", 4.0)], "c")
    net.add("Mul", ["c", net.weight("s", 0.1)], "m")
    net.add("MatMul", ["x", net.add("Transpose", ["m"], "t", perm=[1, 0])], "y")
    graph = net.read(tmp_path, "y")
    (op,) = graph.operators
    weight = graph.tensors[op.inputs[1]]
    assert (op.kind, op.scheme, weight.precision, weight.zeros) == ("fully_connected", "weight-only", "uint8", 1 / 8)


def test_packed_four_bit_weights_are_unpacked(tmp_path):
    net = Net(("x", ["n", 32]))
    packed = net.weight("b", np.full((3, 1, 16), 0x18), "uint8")
    scales = net.weight("s", np.ones(3))
    net.add("MatMulNBits", ["x", packed, scales], "y", domain="com.microsoft", K=32, N=3, bits=4, block_size=32)
    graph = net.read(tmp_path, "y")
    (op,) = graph.operators
    weight = graph.tensors[op.inputs[1]]
    assert (op.kind, op.macs, op.scheme, op.precision) == ("fully_connected", 96, "weight-only", "fp32")
    assert (weight.precision, weight.shape, weight.zeros, weight.size_bytes) == ("int4", (32, 3), 0.5, 48)


def qoperator_net() -> Net:
    """The first half of `qdq_net` and an addition, in QOperator form."""
    net = Net(("x", ["n", 3, 8, 8]))
    s, z, zw = net.weight("s", 0.1), net.weight("z", 128, "uint8"), net.weight("zw", 0, "int8")
    q = net.add("QuantizeLinear", ["x", s, z], "q")
    w = net.weight("w", net.random.integers(-9, 9, (4, 3, 3, 3)), "int8")
    b = net.weight("bias", np.ones(4), "int32")
    net.add("QLinearConv", [q, s, z, w, s, zw, s, z, b], "c", pads=[1, 1, 1, 1])
    net.add("QLinearAdd", ["c", s, z, "c", s, z, s, z], "a", domain="com.microsoft")
    net.add("QLinearGlobalAveragePool", ["a", s, z, s, z], "g", domain="com.microsoft", channels_last=0)
    net.add("Flatten", ["g"], "f")
    g = net.weight("gw", net.random.integers(-9, 9, (5, 4)), "int8")
    net.add("QGemm", ["f", s, z, g, s, zw, "", s, z], "m", domain="com.microsoft", transB=1)
    net.add("DequantizeLinear", ["m", s, z], "y")
    return net


def test_qoperator_form_has_the_same_kinds_as_qdq(tmp_path):
    graph = qoperator_net().read(tmp_path, "y")
    assert kinds(graph) == ["quantize", "conv", "add", "global_pool", "reshape", "fully_connected", "dequantize"]
    assert graph.macs == 4 * 64 * 27 + 20
    assert graph.int8_macs_share == 1.0
    assert graph.parameters == 4 * 27 + 4 + 20
    assert {graph.tensors[op.outputs[0]].precision for op in graph.operators[:-1]} == {"uint8"}


def dynamic_net() -> Net:
    """What ONNX Runtime's dynamic quantisation writes for a linear layer with a bias."""
    net = Net(("x", ["n", 4]))
    net.nodes.append(helper.make_node("DynamicQuantizeLinear", ["x"], ["q", "s", "z"]))
    w = net.weight("w", [[0, 1], [2, 0], [3, 4], [0, 5]], "int8")
    net.add("MatMulInteger", ["q", w, "z", net.weight("zw", 0, "int8")], "acc")
    net.add("Cast", ["acc"], "f", to=TensorProto.FLOAT)
    net.add("Mul", ["s", net.weight("sw", 0.1)], "ss")
    net.add("Mul", ["f", "ss"], "m")
    net.add("Add", ["m", net.weight("b", np.ones(2))], "y")
    return net


def test_dynamic_quantisation_is_one_int8_operator_behind_its_quantiser(tmp_path):
    graph = dynamic_net().read(tmp_path, "y")
    assert kinds(graph) == ["dynamic_quantize", "fully_connected"]
    op = graph.operators[1]
    assert (op.precision, op.scheme, op.macs, op.outputs) == ("int8", "dynamic", 8, ("y",))
    assert [graph.tensors[name].precision for name in op.inputs] == ["uint8", "int8", "fp32"]
    assert graph.tensors["w"].zeros == 3 / 8


def test_half_precision_shows_in_tensors_and_in_casts_at_the_border(tmp_path):
    net = Net(("x", ["n", 4]))
    net.add("Cast", ["x"], "h", to=TensorProto.FLOAT16)
    net.add("MatMul", ["h", net.weight("w", np.ones((4, 4)), "float16")], "m")
    net.add("Cast", ["m"], "y", to=TensorProto.FLOAT)
    graph = net.read(tmp_path, "y")
    assert [(op.kind, op.precision) for op in graph.operators] == [
        ("cast", "fp32"), ("fully_connected", "fp16"), ("cast", "fp16")
    ]  # fmt: skip
    assert graph.tensors["w"].size_bytes == 32


# ---- content hash ---------------------------------------------------------------------------------------------------


def renamed(model: onnx.ModelProto) -> onnx.ModelProto:
    """The same network under other names, with other papers."""
    other = onnx.ModelProto()
    other.CopyFrom(model)
    for node in other.graph.node:
        node.name, node.doc_string = f"other {node.name}", "a doc string"
        for names in (node.input, node.output):
            names[:] = [f"t/{name}" if name else "" for name in names]
    for values in (other.graph.input, other.graph.output, other.graph.initializer):
        for value in values:
            value.name = f"t/{value.name}"
    other.producer_name, other.graph.name = "somebody else", "another name"
    helper.set_model_props(other, {"key": "value"})
    return other


def saved(model: onnx.ModelProto, path: Path, **options: object) -> Path:
    onnx.save(model, path, **options)
    return path


def test_names_and_papers_do_not_change_the_content_hash(tmp_path):
    model = qdq_net().model("c.dq")
    assert content_sha256(saved(renamed(model), tmp_path / "b.onnx")) == content_sha256(
        saved(model, tmp_path / "a.onnx")
    )


def test_weights_beside_the_file_have_the_same_content_hash(tmp_path):
    model = qdq_net().model("c.dq")
    inside = content_sha256(saved(model, tmp_path / "a.onnx"))
    outside = saved(model, tmp_path / "b.onnx", save_as_external_data=True, location="b.data", size_threshold=0)
    assert (tmp_path / "b.data").stat().st_size > 0
    assert content_sha256(outside) == inside
    assert read(outside).parameters == read(tmp_path / "a.onnx").parameters


def change_weight(model):
    tensor = next(t for t in model.graph.initializer if t.name == "a.w.int8")
    values = numpy_helper.to_array(tensor).copy()
    values.flat[0] += 1
    tensor.CopyFrom(numpy_helper.from_array(values, tensor.name))


def change_attribute(model):
    next(n for n in model.graph.node if n.op_type == "MaxPool").attribute[0].ints[0] = 3


def change_connection(model):
    next(n for n in model.graph.node if n.op_type == "Relu").input[0] = "p.dq"


def change_operator(model):
    next(n for n in model.graph.node if n.op_type == "Relu").op_type = "Sigmoid"


def change_opset(model):
    model.opset_import[0].version = 17


@pytest.mark.parametrize("change", [change_weight, change_attribute, change_connection, change_operator, change_opset])
def test_what_is_computed_changes_the_content_hash(change, tmp_path):
    model = qdq_net().model("c.dq")
    before = content_sha256(saved(model, tmp_path / "a.onnx"))
    change(model)
    assert content_sha256(saved(model, tmp_path / "b.onnx")) != before


def test_the_content_hash_is_the_same_in_every_process(tmp_path):
    path = qdq_net().save(tmp_path, "c.dq")
    code = (
        "import sys, pathlib; from bench_onnx.content import content_sha256 as h; print(h(pathlib.Path(sys.argv[1])))"
    )
    root = Path(__file__).parents[2]
    found = {
        subprocess.run(
            [sys.executable, "-c", code, str(path)], check=True, capture_output=True, text=True,
            env={**os.environ, "PYTHONHASHSEED": seed, "PYTHONPATH": f"{root}{os.pathsep}{root / 'plugins'}"},
        ).stdout.strip()
        for seed in ("1", "2")
    }  # fmt: skip
    assert found == {content_sha256(path)}


# ---- bad files ------------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("content", [b"", b"not a model at all", b"\x00" * 64, b"<html></html>"])
@pytest.mark.parametrize("use", [read, content_sha256])
def test_a_file_that_is_no_model_is_named_with_advice(content, use, tmp_path):
    path = tmp_path / "broken.onnx"
    path.write_bytes(content)
    with pytest.raises(ArtifactError, match=r"broken\.onnx") as caught:
        use(path)
    assert caught.value.hint


def test_a_missing_file_is_named(tmp_path):
    with pytest.raises(ArtifactError, match="no such file"):
        read(tmp_path / "nowhere.onnx")


def test_a_file_cut_anywhere_is_an_artifact_error(tmp_path):
    whole = qdq_net().save(tmp_path, "c.dq").read_bytes()
    path = tmp_path / "cut.onnx"
    for length in range(1, len(whole), len(whole) // 25):
        path.write_bytes(whole[:length])
        with pytest.raises(ArtifactError, match=r"cut\.onnx"):
            read(path)


def test_flipped_bytes_never_raise_anything_else(tmp_path):
    whole = qdq_net().save(tmp_path, "c.dq").read_bytes()
    random = np.random.default_rng(0)
    path = tmp_path / "flipped.onnx"
    for _ in range(60):
        broken = bytearray(whole)
        for position in random.integers(0, len(whole), 5):
            broken[position] = random.integers(0, 256)
        path.write_bytes(broken)
        for use in (read, content_sha256):
            with suppress(ArtifactError):
                use(path)


def test_missing_external_data_is_named(tmp_path):
    path = saved(
        qdq_net().model("c.dq"), tmp_path / "a.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    (tmp_path / "w").unlink()
    with pytest.raises(ArtifactError, match=r"a\.onnx"):
        read(path)


def test_a_tensor_that_nothing_makes_is_named(tmp_path):
    net = Net(("x", [1]))
    net.add("Add", ["x", "ghost"], "y")
    with pytest.raises(ArtifactError, match="ghost"):
        net.read(tmp_path, "y")


# ---- the model source -----------------------------------------------------------------------------------------------


def simple(folder: Path, shape: list[int | str | None], dtype: int = TensorProto.FLOAT) -> Path:
    net = Net(("x", shape), x=dtype)
    net.add("Cast", ["x"], "y", to=TensorProto.FLOAT)
    model = net.model("y")
    model.graph.output[0].CopyFrom(helper.make_tensor_value_info("y", TensorProto.FLOAT, shape))
    return saved(model, folder / "net.onnx")


def test_a_file_loads_with_its_specs_and_a_fixed_random_example(tmp_path):
    ref = str(simple(tmp_path, ["batch", 3, 8]))
    model, again = SOURCE.load(ref, tmp_path, 0), SOURCE.load(ref, tmp_path, 1)
    assert (model.name, model.format, model.payload, model.data) == ("net", "onnx", Path(ref), None)
    assert (model.inputs[0].name, model.inputs[0].shape, model.inputs[0].dtype) == ("x", (None, 3, 8), "float32")
    assert model.outputs == ("y",)
    assert model.example[0].shape == (1, 3, 8)
    assert model.example[0].dtype == np.float32
    assert np.array_equal(model.example[0], again.example[0])
    assert "random" in model.note
    assert model.sha256 == READER.content_sha256(Path(ref))


def test_whole_number_inputs_get_zeros_and_ones(tmp_path):
    model = SOURCE.load(str(simple(tmp_path, [1, 50], TensorProto.INT64)), tmp_path, 0)
    assert set(np.unique(model.example[0])) == {0, 1}


@pytest.mark.parametrize(
    ("shape", "dtype", "message"),
    [
        ([8, 3], TensorProto.FLOAT, "batch fixed to 8"),
        (["n", "length", 3], TensorProto.FLOAT, "n×length×3"),
        ([], TensorProto.FLOAT, "scalar"),
        (None, TensorProto.FLOAT, "unknown rank"),
        ([1], TensorProto.STRING, "not numbers"),
    ],
)
def test_inputs_that_cannot_be_measured_are_refused_with_advice(shape, dtype, message, tmp_path):
    with pytest.raises(ArtifactError, match=message) as caught:
        SOURCE.load(str(simple(tmp_path, shape, dtype)), tmp_path, 0)
    assert caught.value.hint


def test_a_model_that_breaks_the_specification_is_refused(tmp_path):
    net = Net(("x", [1, 3]))
    net.add("Relu", ["x", "x", "x"], "y")
    with pytest.raises(ArtifactError, match="not a valid ONNX model"):
        SOURCE.load(str(net.save(tmp_path, "y")), tmp_path, 0)


def test_the_source_claims_files_by_their_suffix():
    assert [SOURCE.claims(ref) for ref in ("a/b.onnx", "C.ONNX", "zoo:har-watch", "a.onnx.txt")] == [
        True, True, False, False
    ]  # fmt: skip


def test_identity_follows_the_bytes_and_is_unknown_with_weights_elsewhere(tmp_path):
    path = simple(tmp_path, [1, 3])
    before = SOURCE.identity(str(path))
    model = onnx.load(path)
    model.producer_name = "somebody else"
    onnx.save(model, path)
    assert before not in {None, SOURCE.identity(str(path))}
    assert SOURCE.identity(str(tmp_path / "none.onnx")) is None
    outside = saved(
        qdq_net().model("c.dq"), tmp_path / "b.onnx", save_as_external_data=True, location="w", size_threshold=0
    )
    assert SOURCE.identity(str(outside)) is None


def test_importing_the_plugin_imports_no_framework():
    code = (
        "import sys, bench_onnx, bench_quantize, bench_prune; list(bench_onnx.harness_graph_readers());"
        "list(bench_quantize.harness_techniques()); list(bench_prune.harness_techniques());"
        "assert not {'numpy', 'onnx', 'onnxruntime', 'torch'} & set(sys.modules)"
    )
    root = Path(__file__).parents[2]
    env = {**os.environ, "PYTHONPATH": f"{root}{os.pathsep}{root / 'plugins'}"}
    subprocess.run([sys.executable, "-c", code], check=True, env=env)
