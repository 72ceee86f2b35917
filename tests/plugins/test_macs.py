"""Exact multiply-accumulates of well-known networks, through torch's exporter, ONNX, IR and a layer table.

The numbers are those of the definitions in the papers, as torchvision builds them, at 224 × 224 and batch 1:
convolutions and fully connected layers, one multiplication with its addition as one.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable
from math import prod
from pathlib import Path
from typing import Any

import pytest

from bench_onnx.reader import read as read_onnx
from harness.profile_file import builtin_folder
from harness.workload import read_workload

torch = pytest.importorskip("torch")
onnx = pytest.importorskip("onnx")

from onnx import TensorProto, helper  # noqa: E402

nn = torch.nn


def convolution(inputs: int, outputs: int, kernel: int, stride: int = 1, groups: int = 1) -> Any:
    """Convolution, normalisation, rectifier."""
    conv = nn.Conv2d(inputs, outputs, kernel, stride, (kernel - 1) // 2, groups=groups, bias=False)
    return nn.Sequential(conv, nn.BatchNorm2d(outputs), nn.ReLU())


def classifier(*features: Any, width: int, classes: int = 1000) -> Any:
    return nn.Sequential(*features, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(width, classes))


class Residual(nn.Module):  # type: ignore[misc, name-defined]
    """Adds its input, through a 1 × 1 convolution where channels or stride differ."""

    def __init__(self, body: Any, shortcut: Any = None) -> None:
        super().__init__()
        self.body = body
        self.shortcut = shortcut or nn.Identity()

    def forward(self, x: Any) -> Any:
        return self.body(x) + self.shortcut(x)


def resnet(blocks: tuple[int, ...], *, bottleneck: bool) -> Any:
    """He et al., arXiv 1512.03385, table 1; the stride of a bottleneck is in its 3 × 3, as in torchvision."""
    layers, channels = [convolution(3, 64, 7, 2), nn.MaxPool2d(3, 2, 1)], 64
    for stage, repeats in enumerate(blocks):
        for index in range(repeats):
            width, stride = 64 << stage, 2 if stage and not index else 1
            wide = 4 * width if bottleneck else width
            inner = [(channels, width, 1, 1), (width, width, 3, stride), (width, wide, 1, 1)]
            plain = [(channels, width, 3, stride), (width, width, 3, 1)]
            body = nn.Sequential(*(convolution(*each) for each in (inner if bottleneck else plain)))
            same = stride == 1 and channels == wide
            layers.append(Residual(body, None if same else convolution(channels, wide, 1, stride)))
            channels = wide
    return classifier(*layers, width=channels)


def mobilenet_v1() -> Any:
    """Howard et al., arXiv 1704.04861, table 1."""
    layers, channels = [convolution(3, 32, 3, 2)], 32
    for width, stride in (
        (64, 1), (128, 2), (128, 1), (256, 2), (256, 1), (512, 2), *[(512, 1)] * 5, (1024, 2), (1024, 1)
    ):  # fmt: skip
        layers += [convolution(channels, channels, 3, stride, channels), convolution(channels, width, 1)]
        channels = width
    return classifier(*layers, width=channels)


def mobilenet_v2() -> Any:
    """Sandler et al., arXiv 1801.04381, table 2."""
    layers, channels = [convolution(3, 32, 3, 2)], 32
    for expansion, width, repeats, first in (
        (1, 16, 1, 1), (6, 24, 2, 2), (6, 32, 3, 2), (6, 64, 4, 2), (6, 96, 3, 1), (6, 160, 3, 2), (6, 320, 1, 1)
    ):  # fmt: skip
        for index in range(repeats):
            stride, hidden = 1 if index else first, channels * expansion
            body = [convolution(channels, hidden, 1)] if expansion > 1 else []
            body += [convolution(hidden, hidden, 3, stride, hidden), convolution(hidden, width, 1)]
            block = nn.Sequential(*body)
            layers.append(Residual(block) if index else block)
            channels = width
    return classifier(*layers, convolution(channels, 1280, 1), width=1280)


NETWORKS: dict[str, tuple[Callable[[], Any], int]] = {
    "ResNet-18": (lambda: resnet((2, 2, 2, 2), bottleneck=False), 1_814_073_344),
    "ResNet-50": (lambda: resnet((3, 4, 6, 3), bottleneck=True), 4_089_184_256),
    "MobileNet v1": (mobilenet_v1, 568_740_352),
    "MobileNet v2": (mobilenet_v2, 300_774_272),
}


def empty(build: Callable[[], Any]) -> Any:
    """A network with zeros for weights, which costs less than to draw them."""
    with torch.device("meta"):
        module = build().eval()
    module = module.to_empty(device="cpu")
    with torch.no_grad():
        for tensor in (*module.parameters(), *module.buffers()):
            tensor.zero_()
    return module


@pytest.fixture(scope="module")
def export(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Export a network once; by tracing, which takes a quarter of the time of torch's other exporter."""
    made: dict[str, Path] = {}

    def call(name: str) -> Path:
        if name not in made:
            made[name] = tmp_path_factory.mktemp("onnx") / "net.onnx"
            with warnings.catch_warnings():
                warnings.simplefilter("ignore")  # the exporter's own
                module, x = empty(NETWORKS[name][0]), torch.zeros(1, 3, 224, 224)
                torch.onnx.export(module, (x,), made[name], dynamo=False, do_constant_folding=False, opset_version=17)
        return made[name]

    return call


@pytest.mark.parametrize("name", NETWORKS)
def test_a_network_that_torch_exports_has_exactly_its_known_macs_and_parameters(name, export):
    build, macs = NETWORKS[name]
    graph = read_onnx(export(name))
    with torch.device("meta"):
        parameters = sum(p.numel() for p in build().parameters())
    assert (graph.macs, graph.parameters) == (macs, parameters)
    assert sum(op.macs for op in graph.operators if op.kind in {"conv", "fully_connected"}) == macs


@pytest.mark.parametrize("name", ["ResNet-18", "MobileNet v2"])
def test_the_same_network_as_ir_has_the_same_macs_layer_by_layer(name, export, tmp_path):
    pytest.importorskip("openvino")
    from bench_openvino.ir_reader import read as read_ir
    from bench_openvino.session import ov

    ov.save_model(ov.Core().read_model(export(name)), tmp_path / "model.xml", compress_to_fp16=False)
    layers = [op.macs for op in read_ir(tmp_path).operators if op.macs]
    assert layers == [op.macs for op in read_onnx(export(name)).operators if op.macs]
    assert sum(layers) == NETWORKS[name][1]


def test_vgg16_has_exactly_its_known_macs_and_parameters(tmp_path):
    """Simonyan and Zisserman, arXiv 1409.1556, table 1, column D, in half precision; 277 MB that are never written."""
    nodes, weights, x, channels = [], [], "x", 3

    def weight(*shape: int) -> str:
        tensor = TensorProto(name=f"w{len(weights)}", data_type=TensorProto.FLOAT16, dims=shape)
        tensor.data_location = TensorProto.EXTERNAL
        place = {"location": "zeros.bin", "offset": "0", "length": str(2 * prod(shape))}
        tensor.external_data.extend(onnx.StringStringEntryProto(key=key, value=value) for key, value in place.items())
        weights.append(tensor)
        return tensor.name

    def add(op: str, *inputs: str, **attributes: object) -> str:
        nodes.append(helper.make_node(op, inputs, [f"t{len(nodes)}"], **attributes))
        return f"t{len(nodes) - 1}"

    for repeats, width in ((2, 64), (2, 128), (3, 256), (3, 512), (3, 512)):
        for _ in range(repeats):
            x = add("Relu", add("Conv", x, weight(width, channels, 3, 3), weight(width), pads=[1, 1, 1, 1]))
            channels = width
        x = add("MaxPool", x, kernel_shape=[2, 2], strides=[2, 2])
    x, channels = add("Flatten", x), 512 * 7 * 7
    for width in (4096, 4096, 1000):
        x, channels = add("Gemm", x, weight(width, channels), weight(width), transB=1), width
    with (tmp_path / "zeros.bin").open("wb") as file:
        file.truncate(2 * 4096 * 512 * 7 * 7)  # a hole: it takes no room on the disk
    given = [helper.make_tensor_value_info("x", TensorProto.FLOAT16, ["batch", 3, 224, 224])]
    made = [helper.make_tensor_value_info(x, TensorProto.FLOAT16, None)]
    graph = helper.make_graph(nodes, "vgg16", given, made, weights)
    opset = helper.make_opsetid("", 18)
    path = tmp_path / "net.onnx"
    path.write_bytes(helper.make_model(graph, opset_imports=[opset], ir_version=10).SerializeToString())
    found = read_onnx(path)
    assert (found.macs, found.parameters) == (15_470_264_320, 138_357_544)


def test_a_layer_table_of_mobilenet_v2_has_the_macs_of_its_layers():
    """Its definition in Caffe expands the first block by 1 × 1 too: 32 × 32 × 112 × 112 multiplications more."""
    graph = read_workload(builtin_folder() / "published" / "workloads" / "ncnn-mobilenet_v2_1.0_224.json")
    assert graph.macs == 313_619_328
    assert graph.macs == NETWORKS["MobileNet v2"][1] + 32 * 32 * 112 * 112
