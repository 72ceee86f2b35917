"""Operators of OpenVINO's operation sets as the kinds of an `OpGraph`.

Source: "Available Operation Sets" in OpenVINO's documentation; types are written as the IR serialiser writes them.
"""

from __future__ import annotations

KIND = {
    "conv": "Convolution GroupConvolution",
    "deconv": "ConvolutionBackpropData GroupConvolutionBackpropData",
    "matmul": "MatMul ScaledDotProductAttention",
    "pool_max": "MaxPool AdaptiveMaxPool", "pool_avg": "AvgPool AdaptiveAvgPool",
    "reduce": "ReduceL1 ReduceL2 ReduceLogicalAnd ReduceLogicalOr ReduceMax ReduceMean ReduceMin ReduceProd "
              "ReduceSum CumSum TopK",
    "add": "Add", "sub": "Subtract", "mul": "Multiply", "div": "Divide Mod FloorMod", "min": "Minimum",
    "max": "Maximum", "pow": "Power", "sqrt": "Sqrt", "exp": "Exp",
    "compare": "Equal NotEqual Greater GreaterEqual Less LessEqual IsFinite IsInf IsNaN",
    "elementwise": "Abs Acos Acosh Asin Asinh Atan Atanh BitwiseAnd BitwiseNot BitwiseOr BitwiseXor BitwiseLeftShift "
                   "BitwiseRightShift Ceiling Cos Cosh Elu Floor Log LogicalAnd LogicalNot LogicalOr LogicalXor Mish "
                   "Negative Round Select Selu Sign Sin Sinh SoftPlus SoftSign SquaredDifference Tan",
    "relu": "ReLU", "clip": "Clamp", "prelu": "PReLU", "sigmoid": "Sigmoid", "tanh": "Tanh",
    "hardsigmoid": "HardSigmoid HSigmoid", "hardswish": "HSwish", "swish": "Swish", "gelu": "Gelu", "erf": "Erf",
    "batch_norm": "BatchNormInference",
    "norm": "MVN NormalizeL2 LRN GroupNormalization RMS",
    "softmax": "SoftMax LogSoftmax",
    "concat": "Concat", "split": "Split VariadicSplit", "slice": "StridedSlice Slice", "pad": "Pad",
    "resize": "Interpolate",
    "transpose": "Transpose DepthToSpace SpaceToDepth ShuffleChannels BatchToSpace SpaceToBatch ReorgYolo",
    "gather": "Gather GatherElements GatherND OneHot EmbeddingBagOffsetsSum EmbeddingBagPackedSum "
              "EmbeddingSegmentsSum",
    "expand": "Broadcast Tile Range Eye",
    "copy": "ScatterUpdate ScatterNDUpdate ScatterElementsUpdate ShapeOf Reverse ReverseSequence Roll ReadValue "
            "Assign",
    "reshape": "Reshape Squeeze Unsqueeze", "identity": "Identity",
    "cast": "Convert ConvertLike",
    "detection": "NonMaxSuppression MulticlassNms MatrixNms DetectionOutput Proposal PriorBox PriorBoxClustered "
                 "ROIAlign ROIPooling PSROIPooling DeformablePSROIPooling RegionYolo CTCGreedyDecoder NonZero Unique",
}  # fmt: skip

OF = {name.lower(): kind for kind, names in KIND.items() for name in names.split()}

CONVOLUTIONS = frozenset({"conv", "deconv"})
PRODUCTS = frozenset({"conv", "deconv", "fully_connected", "matmul"})
WINDOWS = frozenset({"conv", "deconv", "pool_max", "pool_avg"})

MOVERS = frozenset({"pool_max", "concat", "split", "slice", "pad", "transpose", "gather", "reshape", "identity"})
"""Kinds whose results are values of their inputs, so that one scale holds before and after."""

POINTWISE = frozenset({"relu", "relu6", "clip", "leaky_relu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish",
                       "gelu"})  # fmt: skip
"""Activations that oneDNN runs inside the kernel before them (its post-operations), in integers too."""

INTEGER = PRODUCTS | POINTWISE | frozenset({"add", "sub", "mul", "min", "max", "pool_avg", "global_pool", "reduce",
                                            "prelu", "norm", "resize"})  # fmt: skip
"""Kinds with int8 kernels where all that they read and write is quantised (low-precision transformations)."""

SEVERAL = frozenset({"add", "sub", "mul", "min", "max", "concat"})
"""Kinds all of whose inputs are data; of others the first is, of products the first two."""


def kind_of(layer_type: str) -> str:
    """Kind of a type by its name alone; `unknown` for what is not in the table."""
    return OF.get(layer_type.lower(), "unknown")


def clamp_kind(low: float, high: float) -> str:
    """`relu`, `relu6` or `clip`, by the bounds."""
    if low == 0.0 and high == 6.0:
        return "relu6"
    return "relu" if low == 0.0 and high > 3.4e38 else "clip"
