"""One operator of an `OpGraph` as ONNX nodes in float arithmetic, by its kind, its attributes and its shapes."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING, Any

import numpy as np
from onnx import TensorProto, helper, numpy_helper

from harness import UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    import onnx

    from harness import Operator, OpGraph

ONNX_TYPES = {
    "fp32": TensorProto.FLOAT, "fp16": TensorProto.FLOAT16, "bf16": TensorProto.BFLOAT16, "fp64": TensorProto.DOUBLE,
    "int8": TensorProto.INT8, "uint8": TensorProto.UINT8, "int16": TensorProto.INT16, "int32": TensorProto.INT32,
    "int64": TensorProto.INT64, "bool": TensorProto.BOOL,
}  # fmt: skip

PLAIN = {
    "min": "Min", "max": "Max", "pow": "Pow", "sqrt": "Sqrt",
    "exp": "Exp", "compare": "Greater", "elementwise": "Abs", "relu": "Relu", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "hardsigmoid": "HardSigmoid", "hardswish": "HardSwish", "gelu": "Gelu", "erf": "Erf", "prelu": "PRelu",
    "batch_norm": "BatchNormalization", "matmul": "MatMul", "identity": "Identity",
    "leaky_relu": "LeakyRelu",
}  # fmt: skip
"""Kinds that are an ONNX operator without attributes that matter here."""

PAIRS = {"add": "Add", "sub": "Sub", "mul": "Mul", "div": "Div"}

KEPT = {"leaky_relu": ("alpha",), "hardsigmoid": ("alpha", "beta")}
"""Attributes that go into the file as they stand."""

Written = tuple[list["onnx.NodeProto"], list["onnx.TensorProto"]]


def nodes_of(op: Operator, graph: OpGraph, inputs: Sequence[str], outputs: Sequence[str]) -> Written:
    """Nodes and the constants that they need, reading and writing tensors of the given names.

    Raises:
        UnsupportedError: Nothing here writes the kind.
    """
    draw = _Drawing(op, graph, list(inputs), list(outputs))
    if op.activation:
        draw.outputs = [f"{outputs[0]}/before"]
    _draw(draw)
    if op.activation:
        draw.inputs, draw.outputs, draw.kind = [f"{outputs[0]}/before"], list(outputs), op.activation
        draw.attributes = {"min": 0.0, "max": 6.0} if op.activation == "relu6" else {}
        _draw(draw)
    return draw.nodes, draw.constants


def unwritable(op: Operator) -> UnsupportedError:
    """What is said of a kind that cannot be written."""
    return UnsupportedError(
        f"{op.name}: an operator of kind {op.kind!r} cannot be written", hint="Leave it out of the graph."
    )


class _Drawing:
    """The nodes of one operator as they come."""

    def __init__(self, op: Operator, graph: OpGraph, inputs: list[str], outputs: list[str]) -> None:
        self.op, self.inputs, self.outputs = op, inputs, outputs
        self.kind, self.attributes = op.kind, dict(op.attributes)
        self.shapes = [graph.tensors[name].shape for name in op.inputs if name in graph.tensors]
        self.results = [graph.tensors[name].shape for name in op.outputs]
        self.precision = graph.tensors[op.outputs[0]].precision
        self.nodes: list[onnx.NodeProto] = []
        self.constants: list[onnx.TensorProto] = []

    def node(self, kind: str, inputs: Sequence[str] | None = None, **attributes: Any) -> None:
        """Append a node that writes the outputs."""
        name = f"{self.op.name}/{kind}/{len(self.nodes)}"
        self.nodes.append(
            helper.make_node(kind, self.inputs if inputs is None else inputs, self.outputs, name=name, **attributes)
        )

    def before(self, kind: str, inputs: Sequence[str], place: int, **attributes: Any) -> None:
        """Append a node whose result takes the place of an input."""
        final, self.outputs = self.outputs, [f"{self.outputs[0]}/{kind}"]
        self.node(kind, inputs, **attributes)
        self.inputs[place], self.outputs = self.outputs[0], final

    def results_as(self, shape: tuple[int, ...]) -> Callable[[], None] | None:
        """When nodes make another shape than the operator says: redirect them, and return what reshapes in the end."""
        if shape == self.results[0]:
            return None
        final, made = self.outputs, [f"{self.outputs[0]}/made"]
        self.outputs = made

        def reshape() -> None:
            self.outputs = final
            self.node("Reshape", [made[0], self.constant(self.results[0])])

        return reshape

    def constant(self, values: Sequence[float], dtype: str = "int64", *, scalar: bool = False) -> str:
        """The name of a constant that is no tensor of the graph."""
        name = f"{self.op.name}/constant/{len(self.constants)}/{self.kind}"
        array = np.array(values[0] if scalar else values, dtype)
        self.constants.append(numpy_helper.from_array(array, name))
        return name


def _draw(draw: _Drawing) -> None:
    if draw.kind in PLAIN:
        kept = {k: draw.attributes[k] for k in KEPT.get(draw.kind, ()) if k in draw.attributes}
        draw.node(PLAIN[draw.kind], **kept)
    elif draw.kind in _WRITERS:
        _WRITERS[draw.kind](draw)
    else:
        raise unwritable(draw.op)


def _window(draw: _Drawing) -> dict[str, Any]:
    names = {"kernel": "kernel_shape", "stride": "strides", "dilation": "dilations", "pads": "pads"}
    found = {name: draw.attributes[key] for key, name in names.items() if key in draw.attributes}
    if set(found.get("dilations", ())) <= {1}:  # integer pools of ONNX Runtime refuse the attribute whatever it says
        found.pop("dilations", None)
    return found


def _conv(draw: _Drawing) -> None:
    draw.node("Conv", **_window(draw), group=draw.attributes.get("groups", 1))


def _deconv(draw: _Drawing) -> None:
    extra = {"output_padding": p} if any(p := draw.attributes.get("output_padding", ()) or ()) else {}
    draw.node("ConvTranspose", **_window(draw), group=draw.attributes.get("groups", 1), **extra)


def _fully_connected(draw: _Drawing) -> None:
    """Gemm with the weight as frameworks store it, (out, in), where there is a bias; else a product of matrices.

    A tensor whose last axis is not what the layer sums over is flattened first, as frameworks before ONNX did unsaid.
    """
    source, weight, result = draw.shapes[0], draw.shapes[1], draw.results[0]
    if source[-1] not in weight:
        draw.before("Flatten", draw.inputs[:1], 0, axis=1)
        source = (source[0], prod(source[1:]))
    shaped = draw.results_as((*source[:-1], weight[0] if weight[-1] == source[-1] else weight[-1]))
    if len(source) == 2 and len(draw.inputs) > 2:
        draw.node("Gemm", transB=int(weight[-1] == source[-1] and weight[0] * source[0] == prod(result)))
    elif len(draw.inputs) > 2:
        product = f"{draw.outputs[0]}/product"
        final, draw.outputs = draw.outputs, [product]
        draw.node("MatMul", draw.inputs[:2])
        draw.outputs = final
        draw.node("Add", [product, draw.inputs[2]])
    elif weight[-1] == source[-1] and weight[0] != source[-1]:
        draw.node("Gemm", transB=1)
    else:
        draw.node("MatMul")
    if shaped is not None:
        shaped()


def _pool(draw: _Drawing) -> None:
    flags = {k: int(bool(draw.attributes[k])) for k in ("ceil_mode", "count_include_pad") if k in draw.attributes}
    if draw.kind == "pool_max":
        flags.pop("count_include_pad", None)
    if "ceil_mode" not in flags and not _floors(draw):
        flags["ceil_mode"] = 1
    draw.node({"pool_max": "MaxPool", "pool_avg": "AveragePool"}[draw.kind], **_window(draw), **flags)


def _floors(draw: _Drawing) -> bool:
    """Whether windows that do not fit whole are left out, by the size of the result."""
    found = _window(draw)
    kernel, stride, pads = found.get("kernel_shape", ()), found.get("strides", ()), found.get("pads", ())
    sizes = zip(draw.shapes[0][2:], draw.results[0][2:], kernel, stride, pads, pads[len(kernel) :], strict=False)
    return all((i + p + q - k) // s + 1 == o for i, o, k, s, p, q in sizes)


def _global_pool(draw: _Drawing) -> None:
    shaped = draw.results_as((*draw.shapes[0][:2], *(1 for _ in draw.shapes[0][2:])))
    draw.node("GlobalAveragePool")
    if shaped is not None:
        shaped()


def _pair(draw: _Drawing) -> None:
    """A vector beside a picture is one number for each channel, with its batch or without."""
    rank = max(len(shape) for shape in draw.shapes)
    for place, shape in enumerate(draw.shapes):
        if rank > 2 and len(shape) in {1, 2} and prod(shape) > 1:
            axes = range(len(shape), rank - 2 + len(shape))  # behind the channels; a missing batch is broadcast
            draw.before("Unsqueeze", [draw.inputs[place], draw.constant(axes)], place)
    draw.node(PAIRS[draw.kind])


def _reduce(draw: _Drawing) -> None:
    axes = [a for a, (i, o) in enumerate(zip(draw.shapes[0], draw.results[0], strict=False)) if i != o]
    given = draw.attributes.get("axes")
    chosen = list(given) if isinstance(given, tuple) else axes or [len(draw.shapes[0]) - 1]
    keeps = int(len(draw.results[0]) == len(draw.shapes[0]))
    draw.node("ReduceMean", [draw.inputs[0], draw.constant(chosen)], keepdims=keeps)


def _clip(draw: _Drawing) -> None:
    dtype = {"fp64": "float64", "fp16": "float16"}.get(draw.precision, "float32")
    bounds = [draw.constant([float(draw.attributes.get(k, d))], dtype, scalar=True)
              for k, d in (("min", 0.0), ("max", 6.0))]  # fmt: skip
    draw.node("Clip", [draw.inputs[0], *bounds])


def _swish(draw: _Drawing) -> None:
    final, draw.outputs = draw.outputs, [f"{draw.outputs[0]}/gate"]
    draw.node("Sigmoid", draw.inputs[:1])
    gate, draw.outputs = draw.outputs[0], final
    draw.node("Mul", [draw.inputs[0], gate])


def _along_axis(draw: _Drawing) -> None:
    default = -1 if draw.kind == "softmax" else 1
    axis = int(draw.attributes.get("axis", default))
    if draw.kind == "split":
        sizes = draw.constant([shape[axis] for shape in draw.results])
        draw.node("Split", [draw.inputs[0], sizes], axis=axis)
    else:
        draw.node({"concat": "Concat", "softmax": "Softmax"}[draw.kind], axis=axis)


def _slice(draw: _Drawing) -> None:
    """From the beginning of every axis that gets shorter; where it starts costs the same."""
    axes = [a for a, (i, o) in enumerate(zip(draw.shapes[0], draw.results[0], strict=True)) if i != o] or [0]
    ends = [draw.results[0][a] for a in axes]
    given = [draw.constant([0] * len(axes)), draw.constant(ends), draw.constant(axes)]
    draw.node("Slice", [draw.inputs[0], *given])


def _pad(draw: _Drawing) -> None:
    """Half of what an axis grows by before it, the rest behind it."""
    grown = [o - i for i, o in zip(draw.shapes[0], draw.results[0], strict=True)]
    draw.node("Pad", [draw.inputs[0], draw.constant([g // 2 for g in grown] + [g - g // 2 for g in grown])])


def _resize(draw: _Drawing) -> None:
    mode = str(draw.attributes.get("mode", "nearest"))
    sizes = draw.constant(draw.results[0])
    more = {"coordinate_transformation_mode": "asymmetric", "nearest_mode": "floor"} if mode == "nearest" else {}
    draw.node("Resize", [draw.inputs[0], "", "", sizes], mode=mode, **more)


def _reshape(draw: _Drawing) -> None:
    draw.node("Reshape", [draw.inputs[0], draw.constant(draw.results[0])])


def _expand(draw: _Drawing) -> None:
    draw.node("Expand", [draw.inputs[0], draw.constant(draw.results[0])])


def _transpose(draw: _Drawing) -> None:
    groups = draw.attributes.get("groups")
    if isinstance(groups, int):
        _shuffle(draw, groups)
        return
    perm = draw.attributes.get("perm", tuple(reversed(range(len(draw.shapes[0])))))
    draw.node("Transpose", perm=perm)


def _shuffle(draw: _Drawing, groups: int) -> None:
    """Channels of groups interleaved, which graphs of layers count as one transposition."""
    batch, channels, *sides = draw.shapes[0]
    apart = draw.constant([batch, groups, channels // groups, *sides])
    draw.before("Reshape", [draw.inputs[0], apart], 0)
    draw.outputs, final = [f"{draw.outputs[0]}/apart"], draw.outputs
    draw.node("Transpose", perm=[0, 2, 1, *range(3, 3 + len(sides))])
    made, draw.outputs = draw.outputs[0], final
    draw.node("Reshape", [made, draw.constant(draw.results[0])])


def _layer_norm(draw: _Drawing) -> None:
    draw.node("LayerNormalization", axis=int(draw.attributes.get("axis", -1)))


def _norm(draw: _Drawing) -> None:
    draw.node("LRN", draw.inputs[:1], size=int(draw.attributes.get("size", 5)))


def _cast(draw: _Drawing) -> None:
    draw.node("Cast", to=ONNX_TYPES[draw.precision])


_WRITERS: dict[str, Callable[[_Drawing], None]] = {
    "conv": _conv, "deconv": _deconv, "fully_connected": _fully_connected, "pool_max": _pool, "pool_avg": _pool,
    "global_pool": _global_pool, **dict.fromkeys(PAIRS, _pair), "reduce": _reduce, "relu6": _clip, "clip": _clip,
    "swish": _swish, "concat": _along_axis, "split": _along_axis,
    "softmax": _along_axis, "slice": _slice, "pad": _pad, "resize": _resize, "reshape": _reshape, "expand": _expand,
    "transpose": _transpose, "layer_norm": _layer_norm, "norm": _norm, "cast": _cast,
}  # fmt: skip
