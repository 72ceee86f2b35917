"""Limits of the operators that the compiler has, as its documentation lists them.

Source: coral.ai/docs/edgetpu/models-intro, supported operations, and the same table at developer.axis.com (ARTPEC-7),
for `code.COMPILER`. Weights around zero: LiteRT 8-bit quantization specification. Shapes are as in the file, channels
second; the compiler sees channels last.
"""

from __future__ import annotations

from types import MappingProxyType
from typing import TYPE_CHECKING

from harness import Operator, OpGraph, Tensor

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping

SOFTMAX_ELEMENTS = 16_000
WORDS: Mapping[str, str] = MappingProxyType({
    "SOFTMAX": "Softmax", "LOG_SOFTMAX": "LogSoftmax", "L2_NORMALIZATION": "LpNormalization", "L2_POOL_2D": "LpPool",
    "MEAN": "ReduceMean", "SUM": "ReduceSum", "REDUCE_MAX": "ReduceMax", "REDUCE_MIN": "ReduceMin",
    "REDUCE_PROD": "ReduceProd", "ARG_MAX": "ArgMax", "ARG_MIN": "ArgMin", "DEPTH_TO_SPACE": "DepthToSpace",
    "SPACE_TO_DEPTH": "SpaceToDepth", "UNIDIRECTIONAL_SEQUENCE_LSTM": "LSTM",
})  # fmt: skip
"""Operators of LiteRT files by the names that ONNX has for them; the limits below know those."""

REDUCTIONS = frozenset({"ReduceMean", "ReduceSum", "ReduceMax", "ReduceMin"})
CHANNEL_MULTIPLE = 4
ALSO_LISTED = frozenset({"LSTM"})
"""Operators of the compiler's list that have no kind of their own in the graph."""

CLIPS = ((0.0, 6.0), (0.0, float("inf")), (-1.0, 1.0))
"""Bounds of ReLU6, ReLU and ReLUN1To1."""


def limit(graph: OpGraph, op: Operator) -> str:
    """What about the operator the compiler refuses, or "" when nothing."""
    if word(op) in ALSO_LISTED:
        return _lstm(op)
    check = _CHECKS.get(op.kind)
    return check(graph, op) if check else ""


def word(op: Operator) -> str:
    """The operator's name as ONNX has it, without a domain and without the mark of a quantised form: `Softmax` for
    `com.microsoft.QLinearSoftmax` and for `SOFTMAX`."""
    if op.source == op.kind:  # a table of layers, which says no more than the kind
        return ""
    if op.source in WORDS:
        return WORDS[op.source]
    return op.source.rsplit(".", 1)[-1].removeprefix("QLinear")


def _weighted(graph: OpGraph, op: Operator) -> str:
    if op.attributes.get("weights_symmetric") is False:
        return "the weights have a zero point beside the middle of their range, only weights around zero are allowed"
    return _conv(graph, op) if op.kind in {"conv", "deconv"} else _fully_connected(graph, op)


def _conv(graph: OpGraph, op: Operator) -> str:
    del graph
    dilation = op.attributes.get("dilation", ())
    if isinstance(dilation, tuple) and len(set(dilation)) > 1:
        return f"dilation is {dilation}, equal in both directions is allowed"
    return ""


def _fully_connected(graph: OpGraph, op: Operator) -> str:
    shape = _first(graph, op.outputs).shape
    if sum(d > 1 for d in shape) > 1:
        return f"the output has shape {shape}, one dimension longer than 1 is allowed"
    return ""


def _pool(graph: OpGraph, op: Operator) -> str:
    del graph
    if op.activation:
        return f"a fused {op.activation}, none is allowed"
    return f"{op.source}, maximum and average are allowed" if "Lp" in word(op) else ""


def _concat(graph: OpGraph, op: Operator) -> str:
    if op.activation:
        return f"a fused {op.activation}, none is allowed"
    constants = graph.weights_of(op)
    data = [name for name in op.inputs if name in graph.tensors and not graph.tensors[name].constant]
    if any(t.elements > 1 and t.zeros != 1.0 for t in constants):
        return "a constant that is not all zeros, only zeros are allowed"
    return "" if not constants or len(data) <= 1 else f"{len(data)} inputs beside a constant, one is allowed"


def _reduce(graph: OpGraph, op: Operator) -> str:
    source = word(op)
    if source and source not in REDUCTIONS:
        return f"{source}, mean, sum, maximum and minimum are allowed"
    tensor = _first(graph, op.inputs)
    axes = op.attributes.get("axes", ())
    axes = axes if isinstance(axes, tuple) else ()
    if 0 in axes and len(tensor.shape) > 1:
        return "the batch is reduced"
    if 1 in axes and len(tensor.shape) > 2 and tensor.shape[1] % CHANNEL_MULTIPLE:
        return f"{tensor.shape[1]} channels are reduced, multiples of {CHANNEL_MULTIPLE} are allowed"
    return ""


def _clip(graph: OpGraph, op: Operator) -> str:
    del graph
    low, high = op.attributes.get("min"), op.attributes.get("max")
    if not isinstance(low, int | float) or not isinstance(high, int | float):
        return "its bounds are not known, 0 to 6, 0 and up, and -1 to 1 are allowed"
    return (
        "" if (float(low), float(high)) in CLIPS else f"bounds {low} and {high}, 0 to 6, 0 and up, -1 to 1 are allowed"
    )


def _prelu(graph: OpGraph, op: Operator) -> str:
    slopes = graph.weights_of(op)
    if not slopes or sum(d > 1 for d in slopes[0].shape) > 1:
        return "the slope is not a constant vector, one a channel is allowed"
    return ""


def _softmax(graph: OpGraph, op: Operator) -> str:
    if word(op) not in {"", "Softmax"}:
        return f"{word(op)}, softmax is allowed"
    tensor = _first(graph, op.inputs)
    if sum(d > 1 for d in tensor.shape) > 1:
        return f"the input has shape {tensor.shape}, one dimension longer than 1 is allowed"
    over = tensor.elements > SOFTMAX_ELEMENTS
    return f"{tensor.elements} elements, {SOFTMAX_ELEMENTS} are allowed" if over else ""


def _norm(graph: OpGraph, op: Operator) -> str:
    del graph
    return "" if word(op) == "LpNormalization" else f"{word(op) or op.kind}, L2 normalisation is allowed"


def _pad(graph: OpGraph, op: Operator) -> str:
    pads = op.attributes.get("pads", ())
    rank = len(_first(graph, op.inputs).shape)
    if not isinstance(pads, tuple) or rank < 2:
        return ""
    axes = op.attributes.get("axes")
    axes = axes if isinstance(axes, tuple) else tuple(range(rank))
    if len(pads) != 2 * len(axes):
        return ""
    padded = {
        axis % rank for axis, before, after in zip(axes, pads, pads[len(axes) :], strict=False) if before or after
    }
    return "the batch is padded" if 0 in padded else ""


def _split(graph: OpGraph, op: Operator) -> str:
    axis = op.attributes.get("axis", 0)  # ONNX splits the first axis unless told otherwise
    rank = len(_first(graph, op.inputs).shape)
    return "the batch is split" if isinstance(axis, int) and rank and axis % rank == 0 else ""


def _slice(graph: OpGraph, op: Operator) -> str:
    del graph
    steps = op.attributes.get("steps", ())
    return f"steps {steps}, 1 is allowed" if isinstance(steps, tuple) and set(steps) - {1} else ""


def _resize(graph: OpGraph, op: Operator) -> str:
    del graph
    mode = str(op.attributes.get("mode", ""))
    return "mode cubic, nearest and linear are allowed" if mode == "cubic" else ""


def _transpose(graph: OpGraph, op: Operator) -> str:
    del graph
    return "DepthToSpace, SpaceToDepth and transposition are allowed" if word(op) == "DepthToSpace" else ""


def _lstm(op: Operator) -> str:
    direction = str(op.attributes.get("direction", "forward"))
    return "" if direction == "forward" else f"direction {direction}, one direction is allowed"


def _first(graph: OpGraph, names: tuple[str, ...]) -> Tensor:
    found = next((graph.tensors[name] for name in names if name in graph.tensors), None)
    return found or Tensor(name="", shape=(), precision="int8")


_CHECKS: Mapping[str, Callable[[OpGraph, Operator], str]] = MappingProxyType({
    "conv": _weighted, "deconv": _weighted, "fully_connected": _weighted, "pool_max": _pool, "pool_avg": _pool,
    "global_pool": _pool, "concat": _concat, "reduce": _reduce, "clip": _clip, "prelu": _prelu, "softmax": _softmax,
    "norm": _norm, "pad": _pad, "split": _split, "slice": _slice, "resize": _resize, "transpose": _transpose,
})  # fmt: skip
