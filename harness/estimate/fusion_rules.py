"""Which operators the runtimes fuse: a table of rules for each kernel family, each with its reason and source."""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from harness.estimate.fusion_rule import Action, Condition, Rule

if TYPE_CHECKING:
    from collections.abc import Mapping


def _kinds(text: str) -> frozenset[str]:
    return frozenset(text.split())


WEIGHTED = _kinds("conv deconv fully_connected")
POOLS = _kinds("pool_max pool_avg")
BINARY = _kinds("add sub mul div")
POINTWISE = BINARY | _kinds("min max pow sqrt exp elementwise relu relu6 clip leaky_relu prelu sigmoid tanh "
                            "hardsigmoid hardswish swish gelu erf batch_norm")  # fmt: skip
ERF_GELU = (_kinds("div mul"), _kinds("erf"), _kinds("add"), _kinds("mul"), _kinds("mul"))
MEAN_VARIANCE = (
    _kinds("reduce"), _kinds("sub"), _kinds("pow mul"), _kinds("reduce"), _kinds("add"), _kinds("sqrt"), _kinds("div"),
    frozenset({"mul", ""}), frozenset({"add", ""}),
)  # fmt: skip
SHUFFLE = (_kinds("reshape"), _kinds("transpose"), _kinds("reshape"))


def _into(name: str, action: Action, anchors: frozenset[str], takes: str, when: tuple[Condition, ...] = (), *,
          why: tuple[str, str]) -> Rule:  # fmt: skip
    reason, source = why
    return Rule(name=name, action=action, anchors=anchors, takes=_kinds(takes), when=when, reason=reason, source=source)


def _merge(name: str, steps: tuple[frozenset[str], ...], becomes: str, when: tuple[Condition, ...] = (), *,
           why: tuple[str, str]) -> Rule:  # fmt: skip
    reason, source = why
    return Rule(name=name, action="merge", steps=steps, becomes=becomes, when=when, reason=reason, source=source)


VIEWS = (
    _into("views", "view", frozenset(), "reshape identity",
          why=("the same bytes under another shape; dropout does nothing at inference",
               "onnx/onnx docs/Operators.md: Reshape, Identity, Dropout")),
    _into("casts to the same type", "view", frozenset(), "cast", ("same precision",),
          why=("a conversion to what the tensor already is", "onnx/onnx docs/Operators.md: Cast")),
)  # fmt: skip
"""Rules of every family."""

_UNKNOWN = (
    _into("normalisation", "fold", WEIGHTED | {"matmul"}, "batch_norm", ("constant operands",),
          why=("scale and shift go into weights and bias", "Jacob et al., arXiv 1712.05877, section 3.2")),
    _into("bias", "fold", WEIGHTED | {"matmul"}, "add", ("constant vector",),
          why=("accumulators start from the bias", "Jacob et al., arXiv 1712.05877, section 2.4")),
    _into("activation", "activate", WEIGHTED | {"matmul"},
          "relu relu6 clip leaky_relu sigmoid tanh hardsigmoid hardswish swish", ("constant operands",),
          why=("what any of the known runtimes fuses, for want of knowing this one", "the tables below")),
    *VIEWS,
)  # fmt: skip

_NCNN = "Tencent/ncnn tools/ncnnoptimize.cpp"
_NCNN_ONNX = "Tencent/ncnn tools/onnx/onnx2ncnn.cpp"
_ncnn = (
    _into("normalisation", "fold", WEIGHTED, "batch_norm", ("constant operands",),
          why=("fuse_convolution_batchnorm and its like for depthwise, deconvolution and inner product", _NCNN)),
    _into("scale", "fold", _kinds("conv"), "mul", ("constant vector",),
          why=("fuse_convolution_mul", _NCNN)),
    _into("bias", "fold", WEIGHTED, "add", ("constant vector",),
          why=("fuse_convolution_add, fuse_innerproduct_add", _NCNN)),
    _into("activation", "activate", WEIGHTED, "relu relu6 clip leaky_relu sigmoid hardswish", ("constant operands",),
          why=("fuse_convolution_activation takes ReLU with its slope, Clip, Sigmoid, Mish and HardSwish", _NCNN)),
    _into("padding", "absorb", _kinds("conv"), "pad", ("zero padding",),
          why=("the convolution pads by itself", "Tencent/ncnn tools/pnnx/src/pass_level5/fuse_pad_conv2d.cpp")),
    _merge("hard swish", (_kinds("hardsigmoid"), _kinds("mul")), "hardswish", ("input read twice",),
           why=("fuse_hardswish makes one HardSwish layer", _NCNN_ONNX)),
    _merge("swish", (_kinds("sigmoid"), _kinds("mul")), "swish", ("input read twice",),
           why=("fuse_swish makes one Swish layer, which no convolution takes in", _NCNN_ONNX)),
    _merge("channel shuffle", SHUFFLE, "transpose",
           why=("fuse_shufflechannel makes one ShuffleChannel layer", _NCNN_ONNX)),
    *VIEWS,
)  # fmt: skip

_TFL = "tensorflow/tensorflow tensorflow/compiler/mlir/lite/transforms/optimize_patterns.td"
_CONVERTED = (
    _into("normalisation", "fold", WEIGHTED, "batch_norm", ("constant operands",),
          why=("the converter writes it as a multiplication and an addition of constants and folds both", _TFL)),
    _into("scale", "fold", WEIGHTED, "mul div", ("constant vector",),
          why=("FuseMulOrDivWithConv2dOrDepthwiseConv2d", _TFL)),
    _into("bias", "fold", WEIGHTED, "add sub", ("constant vector",),
          why=("FuseBinaryOpToPrecedingAffine", _TFL)),
    _merge("hard swish", (_kinds("hardsigmoid"), _kinds("mul")), "hardswish", ("input read twice",),
           why=("MatchHardSwishPattern makes one HARD_SWISH, a kernel of its own", _TFL)),
    _merge("hard swish from relu6", (_kinds("add"), _kinds("relu6 clip"), _kinds("mul div"), _kinds("mul div")),
           "hardswish", ("input read twice",), why=("MatchHardSwishPattern: x · relu6(x + 3) / 6", _TFL)),
)  # fmt: skip
_TFL_WHY = ("only what a clamp can do is fused: not tanh, sigmoid, hard swish", _TFL)
_ruy = (
    *_CONVERTED,
    _into("clamp", "activate", WEIGHTED | BINARY | POOLS, "relu relu6", why=_TFL_WHY),
    _into("clamp to -1..1", "activate", WEIGHTED | BINARY | POOLS, "clip", ("-1 to 1",), why=_TFL_WHY),
    *VIEWS,
)  # fmt: skip

_XNN = "google/XNNPACK src/subgraph.c, xnn_subgraph_fusion"
_xnnpack = (
    *_CONVERTED,
    _into("clamp", "activate", WEIGHTED | BINARY | POOLS, "relu relu6 clip", ("constant operands",),
          why=("a clamp of any bounds is fused into the node before it", _XNN)),
    _into("padding", "absorb", _kinds("conv"), "pad", ("zero padding",),
          why=("a constant padding is fused into the convolution after it", _XNN)),
    *VIEWS,
)  # fmt: skip
"""Concatenation and splits stay kernels: src/subgraph/concatenate.c makes one copy operator for each input."""

_ARM = "ARM-software/armnn src/backends/neon/NeonBackend.cpp, OptimizeSubgraphView"
_armnn = (
    _into("normalisation", "fold", _kinds("conv"), "batch_norm", ("constant operands", "float"),
          why=("FuseBatchNorm: convolution and depthwise, not quantised",
               "ARM-software/armnn src/armnn/optimizations/FuseBatchNorm.hpp")),
    _into("bias", "fold", WEIGHTED, "add", ("constant vector",),
          why=("the parsers give a layer its bias; converted networks carry it in the layer", _TFL)),
    _into("activation", "activate", _kinds("conv fully_connected batch_norm") | BINARY,
          "relu relu6 clip leaky_relu sigmoid tanh hardswish", ("constant operands",),
          why=("an ActivationLayer is fused wherever the kernel of Compute Library validates with it", _ARM)),
    _into("padding", "absorb", _kinds("conv") | POOLS, "pad", ("zero padding",),
          why=("FoldPadIntoConvolution2d, FoldPadIntoDepthwiseConvolution2d, FoldPadIntoPooling2d",
               "ARM-software/armnn src/armnn/optimizations/FoldPadIntoLayer2d.hpp")),
    _into("concatenation in place", "gather", frozenset(), "concat", ("along channels",),
          why=("inputs become sub-tensors of the output when nobody else reads them",
               "ARM-software/armnn src/armnn/layers/ConcatLayer.cpp, CreateTensors")),
    _into("transpositions that move nothing", "view", frozenset(), "transpose", ("order kept",),
          why=("PermuteAsReshape", "ARM-software/armnn src/armnn/Optimizer.cpp")),
    *VIEWS,
)  # fmt: skip

_ORT = "microsoft/onnxruntime onnxruntime/core/optimizer/"
_mlas = (
    _into("normalisation", "fold", _kinds("conv"), "batch_norm", ("constant operands", "float"),
          why=("ConvBNFusion", f"{_ORT}conv_bn_fusion.cc")),
    _into("scale", "fold", _kinds("conv"), "mul", ("constant vector", "float"),
          why=("ConvMulFusion", f"{_ORT}conv_mul_fusion.cc")),
    _into("bias", "fold", _kinds("conv fully_connected"), "add", ("constant vector",),
          why=("ConvAddFusion; MatMulAddFusion makes a Gemm", f"{_ORT}conv_add_fusion.cc, {_ORT}matmul_add_fusion.cc")),
    _into("residual", "sum", _kinds("conv"), "add", ("same shape", "float"),
          why=("ConvAddActivationFusion: the other tensor is an input of FusedConv", f"{_ORT}conv_add_act_fusion.cc")),
    _into("activation of a convolution", "activate", _kinds("conv"),
          "relu relu6 clip leaky_relu sigmoid tanh hardsigmoid", ("constant operands", "float"),
          why=("ConvActivationFusion on the CPU: Relu, Sigmoid, Tanh, LeakyRelu, constant Clip, HardSigmoid",
               f"{_ORT}conv_activation_fusion.cc")),
    _into("activation of a matrix product", "activate", _kinds("fully_connected"),
          "relu leaky_relu sigmoid tanh hardsigmoid", ("constant operands", "float"),
          why=("GemmActivationFusion has no Clip", f"{_ORT}gemm_activation_fusion.cc")),
    _into("clamp of a quantised kernel", "activate", WEIGHTED | BINARY, "relu relu6 clip", ("int8",),
          why=("a Relu or Clip before a quantisation that saturates there is removed",
               f"{_ORT}qdq_transformer/relu_quantizelinear.cc, clip_quantizelinear.cc")),
    _into("padding", "absorb", _kinds("conv") | POOLS, "pad", ("zero padding",),
          why=("PadFusion: Conv, AveragePool, MaxPool", f"{_ORT}pad_fusion.cc")),
    _merge("layer normalisation", MEAN_VARIANCE, "layer_norm", ("input read twice",),
           why=("LayerNormFusion", f"{_ORT}layer_norm_fusion.cc")),
    _merge("sum before layer normalisation", (_kinds("add"), _kinds("layer_norm")), "layer_norm", ("several inputs",),
           why=("SkipLayerNormFusion", f"{_ORT}skip_layer_norm_fusion.cc")),
    _merge("gelu", ERF_GELU, "gelu", ("input read twice",), why=("GeluFusion", f"{_ORT}gelu_fusion.cc")),
    _merge("swish", (_kinds("sigmoid"), _kinds("mul")), "swish", ("input read twice",),
           why=("QuickGeluFusion, enabled for the CPU", f"{_ORT}graph_transformer_utils.cc")),
    _merge("masked attention", (_kinds("matmul"), _kinds("mul div"), _kinds("add"), _kinds("softmax"),
                                _kinds("matmul")), "matmul", ("several inputs",),
           why=("AttentionFusion wants the scale and the mask", f"{_ORT}attention_fusion.cc")),
    _into("transpositions that move nothing", "view", frozenset(), "transpose", ("order kept",),
          why=("IsTransposeReshape", "microsoft/onnxruntime onnxruntime/core/providers/cpu/tensor/transpose.cc")),
    *VIEWS,
)  # fmt: skip

_OV = "openvinotoolkit/openvino src/plugins/intel_cpu/src/graph_optimizer.cpp"
_OV_COMMON = "openvinotoolkit/openvino src/common/transformations/src/transformations/common_optimizations/"
_OV_AFTER = WEIGHTED | {"matmul", "reduce", "resize"} | POINTWISE
_openvino = (
    _into("normalisation", "chain", _OV_AFTER, "batch_norm", ("constant operands",),
          why=("BatchNormDecomposition makes a multiplication and an addition, folded or post-operations",
               f"{_OV_COMMON}common_optimizations.cpp, conv_mul_fusion.cpp")),
    _into("post-operations", "chain", _OV_AFTER,
          "relu relu6 clip leaky_relu prelu sigmoid tanh hardsigmoid hardswish swish gelu add sub mul div",
          ("constant operands",),
          why=("bias, scale and any number of steps follow in the kernel: Fuse…AndBias, Fuse…AndSimpleOperation", _OV)),
    _into("quantisation", "chain", _OV_AFTER | POOLS, "quantize dequantize", ("constant operands",),
          why=("FakeQuantize is one of the post-operations, and the only one of pooling", _OV)),
    _into("residual", "sum", _kinds("conv fully_connected"), "add", ("same shape",),
          why=("FuseConvolutionSumAndConvolutionSumActivation adds in the residual's own memory", _OV)),
    _into("padding", "absorb", _kinds("conv deconv pool_avg"), "pad", ("zero padding",),
          why=("PadFusion: convolutions and average pooling", f"{_OV_COMMON}pad_fusion.cpp")),
    _into("concatenation in place", "gather", frozenset(), "concat", ("along channels",),
          why=("a concatenation of channels that is optimised away is not executed",
               "openvinotoolkit/openvino src/plugins/intel_cpu/src/nodes/concat.cpp, isOptimized")),
    _merge("hard swish", (_kinds("hardsigmoid"), _kinds("mul")), "hardswish", ("input read twice",),
           why=("HSwishFusion", f"{_OV_COMMON}hswish_fusion.cpp")),
    _merge("hard swish from relu6", (_kinds("add"), _kinds("relu6 clip"), _kinds("mul div"), _kinds("mul div")),
           "hardswish", ("input read twice",),
           why=("HSwishFusion: x · relu6(x + 3) / 6", f"{_OV_COMMON}hswish_fusion.cpp")),
    _merge("swish", (_kinds("sigmoid"), _kinds("mul")), "swish", ("input read twice",),
           why=("SwishFusion", f"{_OV_COMMON}swish_fusion.cpp")),
    _merge("gelu", ERF_GELU, "gelu", ("input read twice",), why=("GeluFusion", f"{_OV_COMMON}gelu_fusion.cpp")),
    _merge("layer normalisation", MEAN_VARIANCE, "layer_norm", ("input read twice",),
           why=("MVNFusion, scale and shift as post-operations", f"{_OV_COMMON}mvn_fusion.cpp")),
    _merge("attention", (_kinds("matmul"), frozenset({"mul", "div", ""}), frozenset({"add", ""}), _kinds("softmax"),
                         _kinds("matmul")), "matmul", ("several inputs",),
           why=("SDPAFusion", f"{_OV_COMMON}sdpa_fusion.cpp")),
    _merge("channel shuffle", SHUFFLE, "transpose",
           why=("ShuffleChannelsFusion", f"{_OV_COMMON}shuffle_channels_fusion.cpp")),
    *VIEWS,
)  # fmt: skip

_TORCH = "pytorch/pytorch docs/source/tensor_view.rst"
_torch = (
    _into("slices", "view", frozenset(), "split slice",
          why=("split, chunk, select and slices of a tensor are views", _TORCH)),
    _into("permutations", "view", frozenset(), "transpose", ("permuted",),
          why=("permute and transpose change strides only", _TORCH)),
    _into("expansions", "view", frozenset(), "expand", ("broadcast",),
          why=("expand sets strides to 0", _TORCH)),
    *VIEWS,
)  # fmt: skip
"""An exported program is called operator by operator: nothing is fused that the export has not folded."""

_CORAL = "Edge TPU compiler 16, table of supported operations (coral.ai/docs/edgetpu/models-intro)"
_edgetpu = (
    *_CONVERTED,
    _into("clamp", "activate", WEIGHTED | BINARY, "relu relu6", why=_TFL_WHY),
    _into("activation of the accelerator", "activate", WEIGHTED, "sigmoid tanh",
          why=("an assumption: supported operations follow each other on the chip", _CORAL)),
    _into("clamp to -1..1", "activate", WEIGHTED | BINARY, "clip", ("-1 to 1",),
          why=("ReLUN1To1 is fused; pooling and concatenation take no activation", _CORAL)),
    *VIEWS,
)  # fmt: skip

RULES: Mapping[str, tuple[Rule, ...]] = MappingProxyType({
    "ncnn": _ncnn,
    "tflite-ruy": _ruy,
    "tflite-xnnpack": _xnnpack,
    "xnnpack": _xnnpack,
    "armnn": _armnn,
    "mlas": _mlas,
    "openvino": _openvino,
    "torch": _torch,
    "edgetpu": _edgetpu,
    "x-cube-ai": _ruy,
    "tflite-micro": _ruy,
    "": _UNKNOWN,
})  # fmt: skip
"""By kernel family; "" is for every family that is not named."""


def rules_of(family: str) -> tuple[Rule, ...]:
    """Rules of a kernel family, those of an unknown one when it is not named."""
    return RULES.get(family, RULES[""])


def rules_table(family: str) -> str:
    """The rules of a family as a Markdown table."""
    lines = ["| rule | takes | into | when | why | source |", "|---|---|---|---|---|---|"]
    for rule in rules_of(family):
        takes = " → ".join(_words(step) for step in rule.steps) or _words(rule.takes)
        into = {"view": "a view", "gather": "its inputs' kernels", "merge": f"one `{rule.becomes}`"}.get(
            rule.action, _words(rule.anchors)
        )
        cells = (rule.name, takes, into, ", ".join(rule.when), rule.reason, rule.source)
        lines.append("| " + " | ".join(cell or "–" for cell in cells) + " |")
    return "\n".join(lines) + "\n"


def _words(kinds: frozenset[str]) -> str:
    return ", ".join(sorted(kinds - {""})) + (" (may be missing)" if "" in kinds else "")
