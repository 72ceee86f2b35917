"""ONNX operators as the kinds of an `OpGraph`."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_onnx.network import text

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_onnx.network import Constant, Network, Node

KIND = {
    "conv": "Conv", "deconv": "ConvTranspose", "fully_connected": "", "matmul": "Gemm MatMul Einsum",
    "pool_max": "MaxPool", "pool_avg": "AveragePool LpPool",
    "global_pool": "GlobalAveragePool GlobalMaxPool GlobalLpPool",
    "reduce": "ArgMax ArgMin CumSum ReduceL1 ReduceL2 ReduceLogSum ReduceLogSumExp ReduceMax ReduceMean ReduceMin "
              "ReduceProd ReduceSum ReduceSumSquare TopK",
    "add": "Add Sum", "sub": "Sub", "mul": "Mul", "div": "Div Mod", "min": "Min", "max": "Max", "pow": "Pow",
    "sqrt": "Sqrt", "exp": "Exp", "compare": "Equal Greater GreaterOrEqual Less LessOrEqual IsInf IsNaN",
    "elementwise": "Abs Acos Acosh And Asin Asinh Atan Atanh BitShift BitwiseAnd BitwiseNot BitwiseOr BitwiseXor Ceil "
                   "Celu Cos Cosh Elu Floor Log Mean Mish Neg Not Or Reciprocal Round Selu Shrink Sign Sin Sinh "
                   "Softplus Softsign Tan ThresholdedRelu Where Xor",
    "relu": "Relu", "clip": "Clip", "leaky_relu": "LeakyRelu", "prelu": "PRelu", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "hardsigmoid": "HardSigmoid", "hardswish": "HardSwish", "swish": "Swish",
    "gelu": "Gelu FastGelu BiasGelu QuickGelu", "erf": "Erf",
    "batch_norm": "BatchNormalization",
    "layer_norm": "LayerNormalization SkipLayerNormalization",
    "norm": "GroupNormalization InstanceNormalization LRN LpNormalization MeanVarianceNormalization RMSNormalization "
            "SimplifiedLayerNormalization SkipSimplifiedLayerNormalization",
    "softmax": "Softmax LogSoftmax Hardmax",
    "concat": "Concat", "split": "Split", "slice": "Slice", "pad": "Pad", "resize": "Resize Upsample",
    "transpose": "Transpose DepthToSpace SpaceToDepth",
    "gather": "Gather GatherElements GatherND OneHot Compress",
    "expand": "Expand Tile ConstantOfShape Range EyeLike",
    "copy": "Scatter ScatterElements ScatterND Trilu ReverseSequence Shape Size",
    "reshape": "Reshape Flatten Squeeze Unsqueeze", "identity": "Identity Dropout",
    "quantize": "QuantizeLinear", "dequantize": "DequantizeLinear", "cast": "Cast CastLike",
    "dynamic_quantize": "DynamicQuantizeLinear",
    "detection": "NonMaxSuppression NonZero RoiAlign MaxRoiPool Unique",
}  # fmt: skip

_OF = {op: kind for kind, ops in KIND.items() for op in ops.split()}

_CONTRIB = frozenset({"Gelu", "FastGelu", "BiasGelu", "QuickGelu", "SkipLayerNormalization",
                      "SimplifiedLayerNormalization", "SkipSimplifiedLayerNormalization"})  # fmt: skip
"""Operators of `com.microsoft` that are kinds of their own right."""


def kind_of(node: Node, network: Network) -> str:
    """Kind of a node; `unknown` for foreign domains, control flow, recurrent layers and attention."""
    if node.domain and not (node.domain == "com.microsoft" and node.op in _CONTRIB):
        return "unknown"
    kind = _OF.get(node.op, "unknown")
    if kind == "matmul":
        labelled = node.op != "Einsum" or (len(node.inputs) == 2 and "." not in text(node.attributes["equation"]))
        if len(node.inputs) < 2 or not labelled:
            return "unknown"
        return "fully_connected" if any(network.constant(name) for name in node.inputs[:2]) else "matmul"
    if node.op == "Clip":
        return activation_kind(node, network.constants)
    if node.op == "ReduceMean" and _averages_pictures(node, network):
        return "global_pool"
    return kind


def activation_kind(node: Node, constants: Mapping[str, Constant]) -> str:
    """`relu`, `relu6` or `clip`, by the bounds of a Relu or Clip."""
    if node.op == "Relu":
        return "relu"
    low, high = bounds(node, constants)
    if low == 0.0 and high == 6.0:
        return "relu6"
    return "relu" if low == 0.0 and high == float("inf") else "clip"


def bounds(node: Node, constants: Mapping[str, Constant]) -> tuple[float, float]:
    """Bounds of a Clip, from its inputs or (before operator set 11) its attributes; NaN when computed at run time."""
    found = []
    for position, (name, default) in enumerate((("min", float("-inf")), ("max", float("inf"))), start=1):
        source = node.inputs[position] if position < len(node.inputs) else ""
        if source:
            found.append(float(constants[source].reshape(())) if source in constants else float("nan"))
        else:
            value = float(node.attributes.get(name, default))
            found.append(default if abs(value) > 3.4e38 else value)  # operator set 6 writes the largest float
    return found[0], found[1]


def reduced_axes(node: Node, network: Network) -> tuple[int, ...] | None:
    """Axes that a reduction takes, none negative; None when they are not known or it takes all."""
    axes = node.attributes.get("axes")
    if axes is None and len(node.inputs) > 1 and node.inputs[1] in network.constants:
        axes = network.constants[node.inputs[1]].reshape(-1).tolist()
    source = network.types.get(node.inputs[0])
    if axes is None or source is None or source.shape is None:
        return None
    return tuple(sorted(int(axis) % max(1, len(source.shape)) for axis in axes))


def _averages_pictures(node: Node, network: Network) -> bool:
    """Whether a ReduceMean takes every axis after batch and channels: a global average pool by another name."""
    axes = reduced_axes(node, network)
    source = network.types.get(node.inputs[0])
    rank = len(source.shape) if source is not None and source.shape is not None else 0
    return rank > 2 and axes == tuple(range(2, rank))
