"""Operators of XNNPACK's graphs and of ExecuTorch's kernels as the kinds of an `OpGraph`."""

from __future__ import annotations

from math import inf

DELEGATED = {
    "conv": "XNNConv2d XNNDepthwiseConv2d", "deconv": "XNNConvTranspose2d", "fully_connected": "XNNFullyConnected",
    "matmul": "XNNBatchMatrixMultiply XNNScaledDotProductAttention",
    "pool_max": "XNNMaxPooling2d XNNArgMaxPooling2d", "pool_avg": "XNNAvgPooling2d",
    "global_pool": "XNNGlobalAvgPooling2d",
    "add": "XNNAdd", "sub": "XNNSubtract", "mul": "XNNMultiply", "div": "XNNDiv", "min": "XNNMinimum",
    "max": "XNNMaximum", "sqrt": "XNNSquareRoot", "exp": "XNNExp",
    "elementwise": "XNNAbs XNNCeiling XNNCos XNNELU XNNFloor XNNLog XNNNegate XNNReciprocalSquareRoot XNNSin "
                   "XNNSquare",
    "clip": "XNNClamp", "leaky_relu": "XNNLeakyReLU", "prelu": "XNNPReLU", "sigmoid": "XNNSigmoid", "tanh": "XNNTanh",
    "hardswish": "XNNHardswish", "gelu": "XNNGelu", "softmax": "XNNSoftmax",
    "concat": "XNNConcatenate2 XNNConcatenate3 XNNConcatenate4 XNNConcatenate5", "slice": "XNNStaticSlice",
    "pad": "XNNStaticConstantPad", "resize": "XNNStaticResizeBilinear2D", "transpose": "XNNStaticTranspose",
    "reshape": "XNNStaticReshape", "copy": "XNNCopy", "cast": "XNNConvert",
}  # fmt: skip
"""Nodes of XNNPACK's schema."""

PORTABLE = {
    "conv": "convolution", "fully_connected": "linear", "matmul": "addmm mm bmm",
    "pool_max": "max_pool2d_with_indices", "pool_avg": "avg_pool2d",
    "global_pool": "_adaptive_avg_pool2d",
    "reduce": "mean sum amax amin argmax argmin prod any all cumsum var max.dim min.dim topk",
    "add": "add", "sub": "sub rsub", "mul": "mul", "div": "div remainder fmod", "min": "minimum", "max": "maximum",
    "pow": "pow", "sqrt": "sqrt", "exp": "exp", "compare": "eq ne lt le gt ge isnan isinf",
    "elementwise": "abs neg log log2 log10 log1p expm1 sin cos tan floor ceil round trunc sign reciprocal rsqrt elu "
                   "where masked_fill logical_and logical_or logical_not bitwise_and bitwise_or bitwise_not",
    "relu": "relu", "clip": "hardtanh clamp", "leaky_relu": "leaky_relu", "sigmoid": "sigmoid", "tanh": "tanh",
    "gelu": "gelu", "erf": "erf", "batch_norm": "_native_batch_norm_legit_no_training",
    "layer_norm": "native_layer_norm", "norm": "native_group_norm", "softmax": "_softmax _log_softmax",
    "resize": "upsample_nearest2d upsample_bilinear2d",
    "quantize": "quantize_per_tensor quantize_per_channel quantize_per_token",
    "dequantize": "dequantize_per_tensor dequantize_per_channel dequantize_per_token",
    "concat": "cat stack", "split": "split_copy split_with_sizes_copy unbind_copy", "slice": "slice_copy select_copy "
    "narrow_copy", "pad": "constant_pad_nd", "transpose": "permute_copy transpose_copy t_copy pixel_shuffle",
    "gather": "index index_select embedding gather", "expand": "expand_copy repeat full full_like zeros ones arange",
    "copy": "clone _clone_dim_order copy scatter index_put flip roll tril triu",
    "reshape": "view_copy squeeze_copy unsqueeze_copy view as_strided_copy", "identity": "alias_copy detach_copy",
    "cast": "_to_copy _to_dim_order_copy",
}  # fmt: skip
"""Operators of the edge dialect, by their names without namespace and overload."""

MOVES = frozenset({"concat", "split", "slice", "pad", "transpose", "gather", "expand", "copy", "reshape", "identity",
                   "cast"})  # fmt: skip
"""Kinds that move data or change its type, and compute nothing."""

PRODUCTS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
"""Kinds that carry multiply-accumulates."""

_OF_NODE = {name: kind for kind, names in DELEGATED.items() for name in names.split()}
_OF_KERNEL = {name: kind for kind, names in PORTABLE.items() for name in names.split()}

DATATYPE = {
    "fp32": "fp32", "fp16": "fp16", "qint8": "int8", "quint8": "uint8", "qint32": "int32", "qcint8": "int8",
    "qcint32": "int32", "qcint4": "int4", "qdint8": "int8", "qbint4": "int4", "qpint8": "int8", "int32": "int32",
    "pfp32": "fp32", "bf16": "bf16",
}  # fmt: skip
"""XNNPACK's types of values, without their prefix, by the precisions of graphs."""

DYNAMIC = frozenset({"qdint8", "qpint8"})
"""Types whose scales follow from the values at every inference."""

SCALAR_TYPE = {
    "BYTE": "uint8", "CHAR": "int8", "SHORT": "int16", "INT": "int32", "LONG": "int64", "HALF": "fp16", "FLOAT": "fp32",
    "DOUBLE": "fp64", "BOOL": "bool", "BFLOAT16": "bf16", "UINT16": "int16", "UINT32": "int32", "UINT64": "int64",
    "QINT8": "int8", "QUINT8": "uint8", "QINT32": "int32",
}  # fmt: skip
"""Types of ExecuTorch's tensors by the precisions of graphs; others, which no kernel computes with, are bytes."""

FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})
NARROW = frozenset({"int8", "uint8", "int4", "int16"})


def kind_of_node(name: str) -> str:
    """Kind of a node of XNNPACK's graph; `unknown` for what shapes and types do not describe."""
    return _OF_NODE.get(name, "unknown")


def kind_of_kernel(name: str) -> str:
    """Kind of an operator such as `aten::addmm.out`."""
    bare = name.partition("::")[2] or name
    operator, _, overload = bare.partition(".")
    return _OF_KERNEL.get(f"{operator}.{overload}", _OF_KERNEL.get(operator, "unknown"))


def kind_of_bounds(low: float, high: float) -> str:
    """Kind of a clamp; an empty text for one that lets everything pass."""
    if low == -inf and high == inf:
        return ""
    if low == 0.0 and high in {6.0, inf}:
        return "relu6" if high == 6.0 else "relu"
    return "clip"
