"""The gate: which operators of a normalised graph the compiler would map, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from bench_edgetpu.code import EXPLAINED, Code
from bench_edgetpu.limits import ALSO_LISTED, limit, word
from harness import Operator, OpGraph, Rejection

TRANSPARENT = frozenset({"reshape", "identity"})
CONVERSIONS = frozenset({"quantize", "dequantize"})
INTEGER = frozenset({"int8", "uint8"})
FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})

SUPPORTED = frozenset({
    "conv", "deconv", "fully_connected", "add", "sub", "mul", "min", "max", "pool_max", "pool_avg", "global_pool",
    "reduce", "relu", "relu6", "clip", "prelu", "sigmoid", "tanh", "softmax", "norm", "concat", "split", "slice", "pad",
    "resize", "transpose", "batch_norm",
})  # fmt: skip
"""Kinds with a counterpart in the compiler's list; `limits` looks closer. A batch normalisation that no convolution can
take up is a Mul and an Add: ResNet v2, which is full of them, maps (coral.ai/docs/edgetpu/benchmarks)."""

FUSABLE = frozenset({"", "relu", "relu6", "clip"})

ON_CHIP_BYTES = 8_000_000
"""Memory on the chip, about (applied-ee.github.io, Coral Edge TPU notes); an operator whose input and output do not
fit together is where size-dependent refusals were reported (google-coral/edgetpu issue 439)."""

FIRST_RESIZES = frozenset({"asymmetric"})
"""How the first versions of ResizeBilinear and ResizeNearestNeighbor place their points. The later versions, with half
pixels or aligned corners, were refused by compilers 14.1 and 15.0 (google-coral/edgetpu issues 187, 396 and 420)."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Verdict:
    """What the compiler would say of one operator; `code` is None when it maps without a remark."""

    operator: Operator
    code: Code | None = None
    detail: str = ""

    @property
    def rejected(self) -> bool:
        """Whether the operator stays off the accelerator."""
        return self.code is not None and EXPLAINED[self.code].rejects

    @property
    def unsure(self) -> bool:
        """Whether the operator may or may not map, by rules that nobody published."""
        return self.code in {Code.VERSION, Code.TOO_LARGE}

    @property
    def conversion(self) -> bool:
        """Whether it only converts between float and 8 bits, on the CPU."""
        return self.code is Code.FLOAT_IO and self.operator.kind in CONVERSIONS

    def rejection(self) -> Rejection:
        """The verdict for the host, with what helps."""
        code = self.code or Code.UNSUPPORTED_OP
        detail = f"{self.detail or EXPLAINED[code].meaning}; {EXPLAINED[code].fix}"
        return Rejection(code=code.value, operator=self.operator.name, detail=detail)


def judge(graph: OpGraph) -> tuple[Verdict, ...]:
    """A verdict for each operator that is one for the compiler, in execution order; views are none."""
    return tuple(
        _conversion(graph, op) if op.kind in CONVERSIONS else _operator(graph, op)
        for op in graph.operators
        if op.kind not in TRANSPARENT
    )


def batch(graph: OpGraph) -> tuple[Rejection, ...]:
    """Inputs of a batch of more than one, by the rank that pictures and sequences have with a batch."""
    return tuple(
        Rejection(
            code=Code.BATCH.value,
            operator=name,
            detail=f"input {name} has shape {graph.tensors[name].shape}; {EXPLAINED[Code.BATCH].fix}",
        )
        for name in graph.inputs
        if name in graph.tensors and len(graph.tensors[name].shape) > 1 and graph.tensors[name].shape[0] > 1
    )


def _conversion(graph: OpGraph, op: Operator) -> Verdict:
    """The CPU converts between float and 8 bits; a change of scale from 8 bits to 8 bits is the compiler's Quantize.
    What computes in float between two conversions is rejected as an operator of its own."""
    source = graph.tensors.get(op.inputs[0]) if op.inputs else None
    rescales = op.kind == "quantize" and source is not None and source.precision in INTEGER
    return Verdict(operator=op, code=None if rescales else Code.FLOAT_IO)


def _leaves(graph: OpGraph, names: tuple[str, ...]) -> bool:
    """Whether tensors go to outputs of the graph and nowhere else, seen through views and conversions."""
    passing = TRANSPARENT | {"dequantize"}
    open_names, outputs = list(names), set(graph.outputs)
    while open_names:
        name = open_names.pop()
        readers = [op for op in graph.operators if name in op.inputs]
        if any(op.kind not in passing for op in readers) or not (readers or name in outputs):
            return False
        open_names += [out for op in readers for out in op.outputs]
    return True


def _operator(graph: OpGraph, op: Operator) -> Verdict:
    for check in (_shape, _precision, _kind, _parameter, _limit, _rank, _result, _size, _float_result):
        code, detail = check(graph, op)
        if code is not None:
            return Verdict(operator=op, code=code, detail=detail)
    return Verdict(operator=op)


Finding = tuple[Code | None, str]


def _shape(graph: OpGraph, op: Operator) -> Finding:
    for tensor in graph.activations_of(op):
        if any(d < 0 for d in tensor.shape):
            return Code.DYNAMIC_SHAPE, f"tensor {tensor.name} has shape {tensor.shape}"
    return None, ""


def _precision(graph: OpGraph, op: Operator) -> Finding:
    if op.kind == "dynamic_quantize" or op.scheme in {"dynamic", "weight-only"}:
        return Code.DYNAMIC_RANGE_ONLY, f"{word(op) or op.kind} is quantised {op.scheme or 'dynamic'}"
    if op.kind == "cast" and op.precision in FLOAT:
        return Code.NOT_QUANTISED, f"{word(op) or op.kind} converts {op.precision}"
    if op.precision not in INTEGER and _listed(op):
        small = [t.name for t in graph.weights_of(op) if t.precision in {"int8", "uint8", "int4"} and t.elements > 1]
        if small and op.macs and op.precision in FLOAT:
            return Code.DYNAMIC_RANGE_ONLY, f"{word(op) or op.kind} computes in {op.precision} with small weights"
        return Code.NOT_QUANTISED, f"{word(op) or op.kind} computes in {op.precision}"
    return None, ""


def _listed(op: Operator) -> bool:
    return op.kind in SUPPORTED or word(op) in ALSO_LISTED


def _kind(graph: OpGraph, op: Operator) -> Finding:
    del graph
    if not _listed(op):
        return Code.UNSUPPORTED_OP, f"{word(op) or op.kind} is not in the compiler's list"
    if op.activation not in FUSABLE:
        return Code.UNSUPPORTED_OP, f"{word(op) or op.kind} ends with {op.activation}, which is not in the list"
    return None, ""


def _parameter(graph: OpGraph, op: Operator) -> Finding:
    if op.kind in {"conv", "deconv", "fully_connected"} and not graph.weights_of(op):
        return Code.NON_CONST_PARAM, f"the weight of {word(op) or op.kind} is not constant"
    return None, ""


def _limit(graph: OpGraph, op: Operator) -> Finding:
    detail = limit(graph, op)
    return (Code.OP_LIMIT, detail) if detail else (None, "")


def _rank(graph: OpGraph, op: Operator) -> Finding:
    for tensor in graph.activations_of(op):
        if sum(d > 1 for d in tensor.shape) > 3:
            return Code.RANK, f"tensor {tensor.name} has shape {tensor.shape}"
    return None, ""


def _result(graph: OpGraph, op: Operator) -> Finding:
    """An integer operator whose sums go on as floats inside the graph has no scale for its result."""
    wide = _wide(graph, op)
    if wide and not _leaves(graph, wide):
        return Code.NOT_QUANTISED, f"the result of {word(op) or op.kind} is not quantised"
    return None, ""


def _float_result(graph: OpGraph, op: Operator) -> Finding:
    """At the end of a graph a converter adds the scale that is missing."""
    if _wide(graph, op):
        return Code.FLOAT_IO, f"the result of {word(op) or op.kind} leaves in float, without a scale for 8 bits"
    return None, ""


def _wide(graph: OpGraph, op: Operator) -> tuple[str, ...]:
    """Results of an operator that multiplies and accumulates which are not in 8 bits."""
    found = [name for name in op.outputs if name in graph.tensors and graph.tensors[name].precision not in INTEGER]
    return tuple(found) if op.macs else ()


def _size(graph: OpGraph, op: Operator) -> Finding:
    """What may or may not map. Fully connected weights with a scale a channel came with converters of 2024
    (tensorflow/tflite-micro pull request 2602), years after the compiler."""
    size = sum(t.elements for t in graph.activations_of(op))
    if size > ON_CHIP_BYTES:
        return Code.TOO_LARGE, f"input and output take {size / 1e6:.1f} MB"
    if op.kind == "resize":
        mode = str(op.attributes.get("coordinate_transformation_mode", "half_pixel"))
        if mode not in FIRST_RESIZES:
            return Code.VERSION, f"points are placed by {mode}, asymmetric is what every version has mapped"
        return Code.TOO_LARGE, "a resize is refused at some sizes, to avoid loss of precision"
    scales = op.attributes.get("weight_scales", 1)
    if op.kind == "fully_connected" and isinstance(scales, int) and scales > 1:
        return (
            Code.VERSION,
            f"the weights have {scales} scales, one for the whole matrix is what every version has mapped",
        )
    return None, ""
