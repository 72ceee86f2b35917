"""The gate: which operators of a normalised graph the compiler would map, and why not."""

from __future__ import annotations

from dataclasses import dataclass

from bench_edgetpu.code import EXPLAINED, Code
from bench_edgetpu.limits import limit
from harness import Operator, OpGraph, Rejection

TRANSPARENT = frozenset({"reshape", "identity"})
CONVERSIONS = frozenset({"quantize", "dequantize"})
INTEGER = frozenset({"int8", "uint8"})
FLOAT = frozenset({"fp32", "fp16", "bf16", "fp64"})

SUPPORTED = frozenset({
    "conv", "deconv", "fully_connected", "add", "sub", "mul", "min", "max", "pool_max", "pool_avg", "global_pool",
    "reduce", "relu", "relu6", "clip", "prelu", "sigmoid", "tanh", "softmax", "norm", "concat", "split", "slice", "pad",
    "resize", "transpose",
})  # fmt: skip
"""Kinds with a counterpart in the compiler's list; `limits` looks closer."""

FUSABLE = frozenset({"", "relu", "relu6", "clip"})

ON_CHIP_BYTES = 8_000_000
"""Memory on the chip, about (applied-ee.github.io, Coral Edge TPU notes); an operator whose input and output do not
fit together is where size-dependent refusals were reported."""


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

    def rejection(self) -> Rejection:
        """The verdict for the host, with what helps."""
        code = self.code or Code.UNSUPPORTED_OP
        detail = f"{self.detail or EXPLAINED[code].meaning}; {EXPLAINED[code].fix}"
        return Rejection(code=code.value, operator=self.operator.name, detail=detail)


def judge(graph: OpGraph) -> tuple[Verdict, ...]:
    """A verdict for each operator that is one for the compiler, in execution order; views are none."""
    inputs, outputs = set(graph.inputs), set(graph.outputs)
    return tuple(
        _conversion(graph, op, inputs, outputs) if op.kind in CONVERSIONS else _operator(graph, op)
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


def _conversion(graph: OpGraph, op: Operator, inputs: set[str], outputs: set[str]) -> Verdict:
    """At the edges the CPU converts; inside, a change of scale is the compiler's Quantize. What computes in float
    between two conversions is rejected as an operator of its own."""
    edge = _reaches(graph, op.inputs[:1], inputs, back=True) or _reaches(graph, op.outputs, outputs, back=False)
    return Verdict(operator=op, code=Code.FLOAT_IO if edge else None)


def _reaches(graph: OpGraph, names: tuple[str, ...], ends: set[str], *, back: bool) -> bool:
    """Whether a tensor is an input or output of the graph, seen through views."""
    seen = set(names)
    views = [op for op in graph.operators if op.kind in TRANSPARENT]
    for op in reversed(views) if back else views:
        near, far = (op.outputs, op.inputs[:1]) if back else (op.inputs[:1], op.outputs)
        if seen & set(near):
            seen |= set(far)
    return bool(seen & ends)


def _operator(graph: OpGraph, op: Operator) -> Verdict:
    for check in (_shape, _precision, _kind, _parameter, _rank):
        code, detail = check(graph, op)
        if code is not None:
            return Verdict(operator=op, code=code, detail=detail)
    detail = limit(graph, op)
    if detail:
        return Verdict(operator=op, code=Code.OP_LIMIT, detail=detail)
    size = sum(t.elements for t in graph.activations_of(op))
    if size > ON_CHIP_BYTES:
        return Verdict(operator=op, code=Code.TOO_LARGE, detail=f"input and output take {size / 1e6:.1f} MB")
    return Verdict(operator=op)


Finding = tuple[Code | None, str]


def _shape(graph: OpGraph, op: Operator) -> Finding:
    for tensor in graph.activations_of(op):
        if any(d < 0 for d in tensor.shape):
            return Code.DYNAMIC_SHAPE, f"tensor {tensor.name} has shape {tensor.shape}"
    return None, ""


def _precision(graph: OpGraph, op: Operator) -> Finding:
    if op.kind == "dynamic_quantize" or op.scheme in {"dynamic", "weight-only"}:
        return Code.DYNAMIC_RANGE_ONLY, f"{op.source or op.kind} is quantised {op.scheme or 'dynamic'}"
    if op.precision not in INTEGER and op.kind in SUPPORTED:
        small = [t.name for t in graph.weights_of(op) if t.precision in {"int8", "uint8", "int4"} and t.elements > 1]
        if small and op.macs and op.precision in FLOAT:
            return Code.DYNAMIC_RANGE_ONLY, f"{op.source or op.kind} computes in {op.precision} with small weights"
        return Code.NOT_QUANTISED, f"{op.source or op.kind} computes in {op.precision}"
    return None, ""


def _kind(graph: OpGraph, op: Operator) -> Finding:
    del graph
    if op.kind not in SUPPORTED:
        return Code.UNSUPPORTED_OP, f"{op.source or op.kind} is not in the compiler's list"
    if op.activation not in FUSABLE:
        return Code.UNSUPPORTED_OP, f"{op.source or op.kind} ends with {op.activation}, which is not in the list"
    return None, ""


def _parameter(graph: OpGraph, op: Operator) -> Finding:
    if op.kind in {"conv", "deconv", "fully_connected"} and not graph.weights_of(op):
        return Code.NON_CONST_PARAM, f"the weight of {op.source or op.kind} is not constant"
    return None, ""


def _rank(graph: OpGraph, op: Operator) -> Finding:
    for tensor in graph.activations_of(op):
        if sum(d > 1 for d in tensor.shape) > 3:
            return Code.RANK, f"tensor {tensor.name} has shape {tensor.shape}"
    return None, ""
