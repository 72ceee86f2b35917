"""Operators of LiteRT's schema as the kinds of an `OpGraph`."""

from __future__ import annotations

KIND = {
    "conv": "CONV_2D DEPTHWISE_CONV_2D", "deconv": "TRANSPOSE_CONV", "fully_connected": "FULLY_CONNECTED",
    "matmul": "BATCH_MATMUL",
    "pool_max": "MAX_POOL_2D", "pool_avg": "AVERAGE_POOL_2D L2_POOL_2D",
    "reduce": "MEAN SUM REDUCE_MAX REDUCE_MIN REDUCE_PROD REDUCE_ANY REDUCE_ALL ARG_MAX ARG_MIN CUMSUM TOPK_V2 "
              "SEGMENT_SUM UNSORTED_SEGMENT_SUM UNSORTED_SEGMENT_MAX UNSORTED_SEGMENT_MIN UNSORTED_SEGMENT_PROD",
    "add": "ADD ADD_N", "sub": "SUB", "mul": "MUL", "div": "DIV FLOOR_DIV FLOOR_MOD", "min": "MINIMUM",
    "max": "MAXIMUM", "pow": "POW", "sqrt": "SQRT", "exp": "EXP",
    "compare": "EQUAL NOT_EQUAL GREATER GREATER_EQUAL LESS LESS_EQUAL",
    "elementwise": "ABS ATAN2 BITWISE_XOR CEIL COS ELU FLOOR LOG LOGICAL_AND LOGICAL_NOT LOGICAL_OR NEG RIGHT_SHIFT "
                   "ROUND RSQRT SELECT SELECT_V2 SIGN SIN SQUARE SQUARED_DIFFERENCE",
    "relu": "RELU", "relu6": "RELU6", "clip": "RELU_N1_TO_1 RELU_0_TO_1", "leaky_relu": "LEAKY_RELU",
    "prelu": "PRELU", "sigmoid": "LOGISTIC", "tanh": "TANH", "hardswish": "HARD_SWISH", "gelu": "GELU",
    "norm": "L2_NORMALIZATION LOCAL_RESPONSE_NORMALIZATION",
    "softmax": "SOFTMAX LOG_SOFTMAX",
    "concat": "CONCATENATION PACK", "split": "SPLIT SPLIT_V UNPACK", "slice": "SLICE STRIDED_SLICE",
    "pad": "PAD PADV2 MIRROR_PAD DILATE", "resize": "RESIZE_BILINEAR RESIZE_NEAREST_NEIGHBOR",
    "transpose": "TRANSPOSE DEPTH_TO_SPACE SPACE_TO_DEPTH SPACE_TO_BATCH_ND BATCH_TO_SPACE_ND REVERSE_V2",
    "gather": "GATHER GATHER_ND EMBEDDING_LOOKUP ONE_HOT",
    "expand": "TILE BROADCAST_TO FILL RANGE ZEROS_LIKE",
    "copy": "SCATTER_ND REVERSE_SEQUENCE SHAPE RANK BROADCAST_ARGS DYNAMIC_UPDATE_SLICE MATRIX_DIAG MATRIX_SET_DIAG",
    "reshape": "RESHAPE SQUEEZE EXPAND_DIMS BITCAST",
    "quantize": "QUANTIZE", "dequantize": "DEQUANTIZE", "cast": "CAST",
    "detection": "NON_MAX_SUPPRESSION_V4 NON_MAX_SUPPRESSION_V5 TFLite_Detection_PostProcess WHERE UNIQUE",
}  # fmt: skip
"""What is not here becomes `unknown`: recurrent layers, control flow, custom operators, composites."""

_OF = {name: kind for kind, names in KIND.items() for name in names.split()}

ACTIVATION = {"NONE": "", "RELU": "relu", "RELU6": "relu6", "RELU_N1_TO_1": "clip", "TANH": "tanh",
              "SIGN_BIT": "elementwise"}  # fmt: skip
"""Fused activations by kind."""

BOUNDS = {"RELU_N1_TO_1": (-1.0, 1.0), "RELU_0_TO_1": (0.0, 1.0)}
"""Limits of clamps."""

PRODUCTS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
"""Kinds that carry multiply-accumulates."""

PRECISION = {
    "FLOAT32": "fp32", "FLOAT16": "fp16", "BFLOAT16": "bf16", "FLOAT64": "fp64",
    "INT8": "int8", "UINT8": "uint8", "INT4": "int4", "UINT4": "int4", "INT2": "int4",
    "INT16": "int16", "UINT16": "int16", "INT32": "int32", "UINT32": "int32", "INT64": "int64", "UINT64": "int64",
    "BOOL": "bool",
    # not numbers that any kernel here computes with; each by the nearest size in memory
    "FLOAT8_E4M3FN": "uint8", "FLOAT8_E5M2": "uint8", "COMPLEX64": "fp64", "COMPLEX128": "fp64", "STRING": "int64",
    "RESOURCE": "int64", "VARIANT": "int64",
}  # fmt: skip
"""Types of tensors by the precisions of graphs."""

FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})
EIGHT_BIT = frozenset({"int8", "uint8"})
NARROW = frozenset({"int8", "uint8", "int4", "int16"})


def kind_of(source: str) -> str:
    """Kind of an operator by its name; `unknown` for what shapes and types do not describe."""
    return _OF.get(source, "unknown")
