"""Verdicts on graphs that real quantisers made, against verdicts written by hand.

Each expectation was read off the published rules of edgetpu_compiler 16.0 (coral.ai/docs/edgetpu/models-intro), not off
the code: which operators are refused and why, how many of how many map before the first that is refused, which may not
map, and how many parameter bytes are streamed.
"""

from __future__ import annotations

import contextlib
import io
import logging
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import onnx
import pytest
from onnx import TensorProto, helper, numpy_helper

from bench_edgetpu.gate import batch, judge
from bench_edgetpu.partition import partition
from bench_edgetpu.session import CpuSession
from bench_edgetpu.simulation import simulate
from bench_onnx.reader import read

if TYPE_CHECKING:
    from pathlib import Path

FACTS = {"t0_ms": 1.0, "macs_per_s": 1.0e12, "link_bytes_per_s": 500e6, "cache_bytes": 6.0e6}
ROWS = 3


class Net:
    """A float network in the making; operators follow one another unless `after` names another tensor."""

    def __init__(self, *shape: int | str, opset: int = 18) -> None:
        self.shape, self.opset = shape, opset
        self.nodes: list[onnx.NodeProto] = []
        self.weights: list[onnx.TensorProto] = []
        self.random = np.random.default_rng(0)
        self.last = "x"
        self.channels = shape[1] if len(shape) > 1 else 1

    def const(self, name: str, value: object, dtype: str = "float32") -> str:
        self.weights.append(numpy_helper.from_array(np.asarray(value, dtype), name))
        return name

    def whole(self, name: str, *values: int) -> str:
        return self.const(name, values, "int64")

    def normal(self, name: str, *shape: int) -> str:
        return self.const(name, self.random.standard_normal(shape) * 0.2)

    def op(self, kind: str, name: str, *others: str, after: str = "", outs: int = 1, **attributes: Any) -> Net:
        outputs = [name] if outs == 1 else [f"{name}{i}" for i in range(outs)]
        inputs = [after or self.last, *others]
        self.nodes.append(helper.make_node(kind, inputs, outputs, name=name, **attributes))
        self.last = outputs[0]
        return self

    def conv(self, name: str, channels: int = 8, kernel: int = 3, inputs: int = 0, **attributes: Any) -> Net:
        group = attributes.get("group", 1)
        weight = self.normal(f"{name}.w", channels, (inputs or self.channels) // group, kernel, kernel)
        attributes = {"pads": [kernel // 2] * 4, **attributes}
        self.op("Conv", name, weight, self.normal(f"{name}.b", channels), **attributes)
        self.channels = channels
        return self

    def linear(self, name: str, inputs: int, outputs: int, **attributes: Any) -> Net:
        weight = self.normal(f"{name}.w", outputs, inputs)
        return self.op("Gemm", name, weight, self.normal(f"{name}.b", outputs), transB=1, **attributes)

    def save(self, path: Path) -> Path:
        source = helper.make_tensor_value_info("x", TensorProto.FLOAT, self.shape)
        result = helper.make_tensor_value_info(self.last, TensorProto.FLOAT, None)
        graph = helper.make_graph(self.nodes, "net", [source], [result], self.weights)
        model = helper.make_model(graph, opset_imports=[helper.make_opsetid("", self.opset)], ir_version=10)
        onnx.save(onnx.shape_inference.infer_shapes(model), path)
        return path

    def rows(self) -> list[dict[str, np.ndarray]]:
        shape = [size if isinstance(size, int) else 16 for size in self.shape]
        random = np.random.default_rng(1)
        return [{"x": random.standard_normal(shape).astype(np.float32)} for _ in range(ROWS)]


def image() -> Net:
    return Net(1, 3, 16, 16)


def between(*middle: Any, channels: int = 8, inputs: int = 8, **attributes: Any) -> Net:
    """A convolution `a`, an operator, a convolution `z`."""
    net = image().conv("a", channels)
    operands = [operand(net) if callable(operand) else operand for operand in middle]
    return net.op(*operands, **attributes).conv("z", 8, inputs=inputs)


def plain() -> Net:
    net = image().conv("a").op("Relu", "r").conv("b", 16, strides=[2, 2]).op("Relu", "s")
    return net.op("GlobalAveragePool", "g").op("Flatten", "f").linear("fc", 16, 10).op("Softmax", "sm", axis=1)


def headless() -> Net:
    net = image().conv("a").op("Relu", "r").op("GlobalAveragePool", "g").op("Flatten", "f")
    return net.linear("fc", 8, 10)


def depthwise() -> Net:
    net = image().conv("a").op("Relu", "r").conv("dw", group=8)
    return net.op("Clip", "c", net.const("lo", 0.0), net.const("hi", 6.0)).conv("z", 16, 1)


def residual() -> Net:
    return image().conv("a").op("Relu", "r").conv("b").op("Add", "add", "r").op("Relu", "s")


def branches() -> Net:
    net = image().conv("a").conv("b", 4, inputs=3, after="x")
    return net.op("Concat", "cat", "a", axis=1).conv("z", 8, inputs=12)


def squeeze_excite() -> Net:
    net = image().conv("a").op("GlobalAveragePool", "g").conv("down", 4, 1).op("Relu", "r").conv("up", 8, 1)
    return net.op("Sigmoid", "sig").op("Mul", "scale", "a").conv("z", 8)


def swish() -> Net:
    return image().conv("a").op("Sigmoid", "sig").op("Mul", "mul", "a").conv("z")


def transposed() -> Net:
    net = image().conv("a")
    return net.op("ConvTranspose", "up", net.normal("up.w", 8, 4, 2, 2), strides=[2, 2])


def resize(mode: str, place: str) -> Net:
    return between("Resize", "up", "", lambda n: n.const("scales", [1, 1, 2, 2]),
                   mode=mode, coordinate_transformation_mode=place, nearest_mode="floor")  # fmt: skip


def pad(*pads: int) -> Net:
    return between("Pad", "pad", lambda n: n.whole("pads", *pads))


def mean(channels: int) -> Net:
    return between("ReduceMean", "mean", lambda n: n.whole("axes", 1), channels=channels, inputs=1, keepdims=1)


def sliced(step: int) -> Net:
    bounds = (("starts", 0), ("ends", 16), ("axes", 2), ("steps", step))
    return between("Slice", "sl", *(lambda n, b=b: n.whole(*b) for b in bounds))


def large(width: int) -> Net:
    return Net(1, width).linear("fc1", width, width).op("Relu", "r").linear("fc2", width, width)


def wide_softmax(size: int) -> Net:
    return Net(1, 4).linear("fc", 4, size).op("Softmax", "sm", axis=1)


def attention() -> Net:
    net = Net(1, 8, 16)
    net.op("MatMul", "q", net.normal("q.w", 16, 16)).op("MatMul", "k", net.normal("k.w", 16, 16), after="x")
    return net.op("Transpose", "t", perm=[0, 2, 1]).op("MatMul", "qk", "t", after="q").op("Softmax", "sm")


def normalised() -> Net:
    net = Net(1, 32, opset=20)
    net.linear("fc1", 32, 16).op("LayerNormalization", "ln", net.const("s", np.ones(16)), net.const("o", np.zeros(16)))
    return net.op("Gelu", "g").linear("fc2", 16, 4)


def recurrent() -> Net:
    net = Net(1, 4, 8).op("Transpose", "t", perm=[1, 0, 2])
    return net.op("LSTM", "lstm", net.normal("w", 1, 32, 8), net.normal("rw", 1, 32, 8), hidden_size=8)


def generated_weight() -> Net:
    net = Net(1, 8, 1, 1).conv("a", 64, 1)
    net.op("Reshape", "w", net.whole("shape", 8, 8, 1, 1))
    return net.op("Conv", "hyper", "w", after="x")


def prelu() -> Net:
    return between("PRelu", "pr", lambda n: n.const("slope", np.full((8, 1, 1), 0.25)))


def split() -> Net:
    return image().conv("a").op("Split", "sp", outs=2, axis=1, num_outputs=2).op("Mul", "mul", "sp1")


def three_convs() -> Net:
    return image().conv("a").conv("skip").conv("z")


class Reader:
    """Calibration rows, as `onnxruntime.quantization` wants them."""

    def __init__(self, rows: list[dict[str, np.ndarray]]) -> None:
        self.rows = iter(rows)

    def get_next(self) -> dict[str, np.ndarray] | None:
        return next(self.rows, None)


def by_onnxruntime(source: Path, target: Path, rows: list[dict[str, np.ndarray]], **options: Any) -> None:
    from onnxruntime.quantization import QuantFormat, QuantType, quantize_static

    options = {"quant_format": QuantFormat.QDQ, "activation_type": QuantType.QUInt8, "weight_type": QuantType.QInt8,
               "per_channel": True, "nodes_to_exclude": ["skip"], **options}  # fmt: skip
    quantize_static(source, target, Reader(rows), **options)


def qdq(source: Path, target: Path, rows: Any) -> None:
    by_onnxruntime(source, target, rows)


def qdq_signed(source: Path, target: Path, rows: Any) -> None:
    from onnxruntime.quantization import QuantType

    by_onnxruntime(source, target, rows, activation_type=QuantType.QInt8, per_channel=False)


def qdq_asymmetric(source: Path, target: Path, rows: Any) -> None:
    by_onnxruntime(source, target, rows, per_channel=False, extra_options={"WeightSymmetric": False})


def qdq_unsigned(source: Path, target: Path, rows: Any) -> None:
    from onnxruntime.quantization import QuantType

    symmetric = {"WeightSymmetric": True}
    by_onnxruntime(source, target, rows, weight_type=QuantType.QUInt8, per_channel=False, extra_options=symmetric)


def qdq_sixteen(source: Path, target: Path, rows: Any) -> None:
    from onnxruntime.quantization import QuantType

    by_onnxruntime(source, target, rows, activation_type=QuantType.QUInt16, extra_options={"UseQDQContribOps": True})


def qoperator(source: Path, target: Path, rows: Any) -> None:
    from onnxruntime.quantization import QuantFormat

    by_onnxruntime(source, target, rows, quant_format=QuantFormat.QOperator)


def dynamic(source: Path, target: Path, rows: Any) -> None:
    from onnxruntime.quantization import QuantType, quantize_dynamic

    quantize_dynamic(source, target, weight_type=QuantType.QInt8)


def nncf(source: Path, target: Path, rows: Any) -> None:
    import nncf as library

    ignored = library.IgnoredScope(names=["skip"], validate=False)
    data = library.Dataset(rows)
    model = library.quantize(onnx.load(source), data, subset_size=len(rows), ignored_scope=ignored)
    onnx.save(model, target)


def nncf_weights(source: Path, target: Path, rows: Any) -> None:
    import nncf as library

    onnx.save(library.compress_weights(onnx.load(source), mode=library.CompressWeightsMode.INT8_SYM), target)


def pt2e(module: Callable[[], Any], *shape: int) -> Callable[[Path, Path, Any], None]:
    """A torch network through torchao's quantiser for x86 and torch's ONNX exporter."""

    def quantise(source: Path, target: Path, rows: Any) -> None:
        import torch
        from torchao.quantization.pt2e.quantize_pt2e import convert_pt2e, prepare_pt2e
        from torchao.quantization.pt2e.quantizer.x86_inductor_quantizer import (
            X86InductorQuantizer,
            get_default_x86_inductor_quantization_config,
        )

        torch.manual_seed(0)
        example = (torch.randn(*shape),)
        quantizer = X86InductorQuantizer().set_global(get_default_x86_inductor_quantization_config())
        prepared = prepare_pt2e(torch.export.export(module().eval(), example).module(), quantizer)
        prepared(*example)
        program = torch.onnx.export(convert_pt2e(prepared), example, dynamo=True, verbose=False, external_data=False)
        assert program is not None
        program.save(target)

    return quantise


def torch_chain() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 8, 3, padding=1), nn.ReLU(), nn.Conv2d(8, 16, 3, 2, 1, groups=8))


def torch_perceptron() -> Any:
    from torch import nn

    return nn.Sequential(nn.Linear(16, 32), nn.ReLU(), nn.Linear(32, 4))


def torch_hardswish() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.Hardswish(), nn.Conv2d(8, 8, 3))


def torch_residual() -> Any:
    import torch
    from torch import nn

    class Residual(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.a, self.b, self.c = (nn.Conv2d(i, 8, 3, padding=1) for i in (3, 8, 8))

        def forward(self, x: torch.Tensor) -> torch.Tensor:
            x = torch.relu(self.a(x))
            return self.c(torch.relu(x + self.b(x)))

    return Residual()


def torch_dilated() -> Any:
    from torch import nn

    return nn.Sequential(nn.Conv2d(3, 8, 3), nn.ReLU(), nn.Conv2d(8, 8, 3, dilation=(1, 2)))


@dataclass(frozen=True, slots=True, kw_only=True)
class Golden:
    """What the published rules say of a graph.

    Attributes:
        maps: Operators before the first that is refused, of how many; conversions of float inputs and outputs and
            views are none.
        refused: Code and operator of each refusal, in order.
        unsure: Code and operator of each remark that an operator may not map.
    """

    net: Callable[[], Net] | None
    by: Callable[[Path, Path, Any], None]
    maps: tuple[int, int]
    refused: tuple[str, ...] = ()
    unsure: tuple[str, ...] = ()
    streamed_bytes: int = 0


GOLDEN = {
    # ONNX Runtime, QDQ form: uint8 activations, int8 weights with a scale a channel, which conv layers have in every
    # version of the compiler's operators and fully connected ones had not at first
    "plain": Golden(net=plain, by=qdq, maps=(5, 5), unsure=("VERSION fc",)),
    "plain, int8, one scale a tensor": Golden(net=plain, by=qdq_signed, maps=(5, 5)),
    "plain, uint8 weights around 128": Golden(net=headless, by=qdq_unsigned, maps=(3, 3)),
    "plain, asymmetric weights": Golden(
        net=headless, by=qdq_asymmetric, maps=(0, 3), refused=("OP_LIMIT a", "OP_LIMIT fc")),
    "plain, 16-bit activations": Golden(
        net=headless, by=qdq_sixteen, maps=(0, 3), refused=("NOT_QUANTISED a", "NOT_QUANTISED g", "NOT_QUANTISED fc")),
    "depthwise": Golden(net=depthwise, by=qdq, maps=(3, 3)),
    "residual": Golden(net=residual, by=qdq, maps=(3, 3)),
    "concatenation": Golden(net=branches, by=qdq, maps=(4, 4)),
    "squeeze and excite": Golden(net=squeeze_excite, by=qdq, maps=(7, 7)),
    "swish as sigmoid and product": Golden(net=swish, by=qdq, maps=(4, 4)),
    "hardswish": Golden(
        net=lambda: between("HardSwish", "hs"), by=qdq, maps=(1, 3), refused=("UNSUPPORTED_OP hs",)),
    "leaky relu": Golden(net=lambda: between("LeakyRelu", "lr"), by=qdq, maps=(1, 3), refused=("UNSUPPORTED_OP lr",)),
    "prelu, which stays float": Golden(net=prelu, by=qdq, maps=(1, 3), refused=("NOT_QUANTISED pr",)),
    "gather": Golden(
        net=lambda: between("Gather", "ga", lambda n: n.whole("rows", 2, 0, 1), axis=2), by=qdq, maps=(1, 3),
        refused=("UNSUPPORTED_OP ga",)),
    "transposed convolution": Golden(net=transposed, by=qdq, maps=(2, 2)),
    "unequal dilation": Golden(
        net=lambda: image().conv("a").conv("d", dilations=[1, 2], pads=[1, 2, 1, 2]), by=qdq, maps=(1, 2),
        refused=("OP_LIMIT d",)),
    "equal dilation": Golden(
        net=lambda: image().conv("a").conv("d", dilations=[2, 2], pads=[2] * 4), by=qdq, maps=(2, 2)),
    "resize nearest, corners": Golden(
        net=lambda: resize("nearest", "asymmetric"), by=qdq, maps=(3, 3), unsure=("TOO_LARGE up",)),
    "resize bilinear, half pixels": Golden(
        net=lambda: resize("linear", "half_pixel"), by=qdq, maps=(3, 3), unsure=("VERSION up",)),
    "resize cubic": Golden(
        net=lambda: resize("cubic", "half_pixel"), by=qdq, maps=(1, 3), refused=("OP_LIMIT up",)),
    "padded picture": Golden(net=lambda: pad(0, 0, 1, 1, 0, 0, 1, 1), by=qdq, maps=(3, 3)),
    "padded batch": Golden(
        net=lambda: pad(1, 0, 0, 0, 0, 0, 0, 0), by=qdq, maps=(1, 3), refused=("OP_LIMIT pad", "RANK>3 z")),
    "mean over 6 channels": Golden(net=lambda: mean(6), by=qdq, maps=(1, 3), refused=("OP_LIMIT mean",)),
    "mean over 8 channels": Golden(net=lambda: mean(8), by=qdq, maps=(3, 3)),
    "batch of two": Golden(net=lambda: Net(2, 3, 16, 16).conv("a"), by=qdq, maps=(0, 1),
                           refused=("BATCH>1 x", "RANK>3 a")),
    "free picture size": Golden(
        net=lambda: Net(1, 3, "h", "w").conv("a"), by=qdq, maps=(0, 1), refused=("DYNAMIC_SHAPE a",)),
    "float layer in the middle": Golden(net=three_convs, by=qdq, maps=(1, 3), refused=("NOT_QUANTISED skip",)),
    "attention": Golden(
        net=attention, by=qdq, maps=(0, 5),
        refused=("OP_LIMIT q", "OP_LIMIT k", "UNSUPPORTED_OP qk", "OP_LIMIT sm")),
    "layer normalisation and gelu": Golden(
        net=normalised, by=qdq, maps=(1, 4), refused=("UNSUPPORTED_OP ln", "UNSUPPORTED_OP g"),
        unsure=("VERSION fc1", "VERSION fc2")),
    "LSTM, which stays float": Golden(
        net=recurrent, by=qdq, maps=(0, 2), refused=("NOT_QUANTISED t", "NOT_QUANTISED lstm")),
    "weight computed at run time": Golden(
        net=generated_weight, by=qdq, maps=(1, 2), refused=("NON_CONST_PARAM hyper",)),
    "softmax of 16 000": Golden(net=lambda: wide_softmax(16_000), by=qdq_signed, maps=(2, 2)),
    "softmax of 16 004": Golden(
        net=lambda: wide_softmax(16_004), by=qdq_signed, maps=(1, 2), refused=("OP_LIMIT sm",)),
    "softmax over channels of a picture": Golden(
        net=lambda: image().conv("a").op("Softmax", "sm", axis=1), by=qdq, maps=(1, 2), refused=("OP_LIMIT sm",)),
    "split channels": Golden(net=split, by=qdq, maps=(3, 3)),
    "slice, step 1": Golden(net=lambda: sliced(1), by=qdq, maps=(3, 3)),
    "slice, step 2": Golden(net=lambda: sliced(2), by=qdq, maps=(1, 3), refused=("OP_LIMIT sl",)),
    # 1800 × 1800 weights and 1800 biases of 4 bytes twice: 6.49 MB; the second matrix is beyond the 6.0 MB
    "more parameters than the cache": Golden(
        net=lambda: large(1800), by=qdq_signed, maps=(2, 2), streamed_bytes=1800 * 1800 + 4 * 1800),
    # ONNX Runtime, QOperator form
    "plain, QOperator": Golden(net=plain, by=qoperator, maps=(5, 5), unsure=("VERSION fc_quant",)),
    "squeeze and excite, QOperator": Golden(net=squeeze_excite, by=qoperator, maps=(7, 7)),
    "concatenation, QOperator": Golden(net=branches, by=qoperator, maps=(4, 4)),
    "leaky relu, QOperator": Golden(
        net=lambda: between("LeakyRelu", "lr"), by=qoperator, maps=(1, 3), refused=("UNSUPPORTED_OP lr_quant",)),
    "mean over 6 channels, QOperator": Golden(
        net=lambda: mean(6), by=qoperator, maps=(1, 3), refused=("OP_LIMIT mean",)),
    "transposed convolution, QOperator, which stays float": Golden(
        net=transposed, by=qoperator, maps=(1, 2), refused=("NOT_QUANTISED up",)),
    "softmax of 16 004, QOperator": Golden(
        net=lambda: wide_softmax(16_004), by=qoperator, maps=(1, 2), refused=("OP_LIMIT sm_quant",),
        unsure=("VERSION fc_quant",)),
    # ONNX Runtime, dynamic range; NNCF, weights alone
    "plain, dynamic": Golden(
        net=lambda: Net(1, 16).linear("fc1", 16, 16).op("Relu", "r").linear("fc2", 16, 4), by=dynamic, maps=(0, 5),
        refused=("DYNAMIC_RANGE_ONLY x_QuantizeLinear", "DYNAMIC_RANGE_ONLY fc1_MatMul_quant", "NOT_QUANTISED r",
                 "DYNAMIC_RANGE_ONLY r_QuantizeLinear", "DYNAMIC_RANGE_ONLY fc2_MatMul_quant")),
    "weights alone": Golden(
        net=lambda: large(32), by=nncf_weights, maps=(0, 3),
        refused=("DYNAMIC_RANGE_ONLY fc1", "NOT_QUANTISED r", "DYNAMIC_RANGE_ONLY fc2")),
    # NNCF on ONNX; it leaves the result of the last layer, and what only a float operator reads, in float
    "plain, NNCF": Golden(net=headless, by=nncf, maps=(3, 3), unsure=("VERSION fc",)),
    "depthwise, NNCF": Golden(net=depthwise, by=nncf, maps=(3, 3)),
    "transposed convolution, NNCF": Golden(net=transposed, by=nncf, maps=(2, 2)),
    "hardswish, NNCF": Golden(
        net=lambda: between("HardSwish", "hs"), by=nncf, maps=(0, 3), refused=("NOT_QUANTISED a", "UNSUPPORTED_OP hs")),
    "residual, NNCF": Golden(
        net=residual, by=nncf, maps=(2, 4), refused=("NOT_QUANTISED add", "NOT_QUANTISED s")),
    "mean over 6 channels, NNCF": Golden(net=lambda: mean(6), by=nncf, maps=(1, 3), refused=("OP_LIMIT mean",)),
    "resize bilinear, NNCF": Golden(
        net=lambda: resize("linear", "asymmetric"), by=nncf, maps=(3, 3), unsure=("TOO_LARGE up",)),
    "slice, step 2, NNCF": Golden(net=lambda: sliced(2), by=nncf, maps=(1, 3), refused=("OP_LIMIT sl",)),
    "float layer in the middle, NNCF": Golden(
        net=three_convs, by=nncf, maps=(0, 3), refused=("NOT_QUANTISED a", "NOT_QUANTISED skip")),
    # torchao PT2E, exported to ONNX; its quantiser for x86 leaves the same tensors in float
    "chain, PT2E": Golden(net=None, by=pt2e(torch_chain, 1, 3, 16, 16), maps=(2, 2)),
    "perceptron, PT2E": Golden(
        net=None, by=pt2e(torch_perceptron, 1, 16), maps=(2, 2),
        unsure=("VERSION node_linear", "VERSION node_linear_1")),
    "hardswish, PT2E": Golden(
        net=None, by=pt2e(torch_hardswish, 1, 3, 16, 16), maps=(0, 3),
        refused=("NOT_QUANTISED node_conv2d", "UNSUPPORTED_OP n0")),
    "residual, PT2E": Golden(
        net=None, by=pt2e(torch_residual, 1, 3, 16, 16), maps=(1, 5),
        refused=("NOT_QUANTISED node_conv2d_1", "NOT_QUANTISED node_add", "NOT_QUANTISED node_relu_1")),
    "unequal dilation, PT2E": Golden(
        net=None, by=pt2e(torch_dilated, 1, 3, 16, 16), maps=(1, 2), refused=("OP_LIMIT node_conv2d_1",)),
}  # fmt: skip


@pytest.fixture(scope="session")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str], Path]:
    """Makes the file of a golden graph, once a session."""
    folder = tmp_path_factory.mktemp("golden")
    made: dict[str, Path] = {}

    def make(name: str) -> Path:
        if name not in made:
            made[name] = _quantise(GOLDEN[name], folder / f"{len(made)}")
        return made[name]

    return make


def _quantise(golden: Golden, stem: Path) -> Path:
    source, target = stem.with_suffix(".float.onnx"), stem.with_suffix(".onnx")
    rows: list[dict[str, np.ndarray]] = []
    if golden.net is not None:
        net = golden.net()
        net.save(source)
        rows = net.rows()
    disabled = logging.root.manager.disable
    logging.disable(logging.ERROR)  # quantisers advise, deprecate and count; none of it is under test
    try:
        with warnings.catch_warnings(), contextlib.redirect_stdout(io.StringIO()):
            warnings.simplefilter("ignore")
            golden.by(source, target, rows)
    finally:
        logging.disable(disabled)
    return target


@pytest.mark.parametrize("name", GOLDEN)
def test_the_verdict_is_the_one_that_the_published_rules_give(name: str, quantised: Callable[[str], Path]) -> None:
    golden, graph = GOLDEN[name], read(quantised(name))
    verdicts = judge(graph)
    cut = partition(graph, verdicts, FACTS["cache_bytes"])
    refused = [*batch(graph), *(v.rejection() for v in verdicts if v.rejected)]
    assert tuple(f"{each.code} {each.operator}" for each in refused) == golden.refused
    assert (cut.mapped_operators, cut.operators) == golden.maps
    assert tuple(f"{v.code} {v.operator.name}" for v in verdicts if v.unsure) == golden.unsure
    assert cut.streamed_bytes == golden.streamed_bytes
    assert (simulate(graph, FACTS).latency_ms is None) == bool(golden.refused)


def test_three_quantisers_made_the_golden_graphs() -> None:
    quantisers = {"by": 0, "nncf": 0, "pt2e": 0}
    for golden in GOLDEN.values():
        name = golden.by.__qualname__
        quantisers["nncf" if "nncf" in name else "pt2e" if "pt2e" in name else "by"] += 1
    assert sum(quantisers.values()) >= 24
    assert min(quantisers.values()) >= 5


def test_what_a_refused_graph_leaves_to_the_cpu_is_counted(quantised: Callable[[str], Path]) -> None:
    """a: 3 to 8 channels, z: 8 to 8, both 3 × 3 on 16 × 16; the picture goes in, what a makes comes out."""
    graph = read(quantised("hardswish"))
    cut = partition(graph, judge(graph), FACTS["cache_bytes"])
    assert cut.mapped_macs == 256 * 3 * 8 * 9
    assert cut.cpu_macs == 256 * 8 * 8 * 9
    assert cut.crossing_bytes == 256 * 3 + 256 * 8
    assert cut.cached_bytes == 3 * 8 * 9 + 4 * 8


def test_outputs_of_a_golden_graph_are_close_to_those_of_its_float_network(
    quantised: Callable[[str], Path],
) -> None:
    path = quantised("depthwise")
    (first, *_) = depthwise().rows()
    outputs = []
    for file in (path, path.with_suffix(".float.onnx")):
        session = CpuSession(file, threads=1)
        session.bind((first["x"],))()
        outputs.append(session.outputs()[0])
        session.close()
    assert np.linalg.norm(outputs[0] - outputs[1]) < 0.05 * np.linalg.norm(outputs[1])
