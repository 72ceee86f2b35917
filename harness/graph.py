"""OpGraph: the framework-free graph of operators that estimates and explanations use.

A graph reader normalises what it reads: constants are folded, batch normalisation is kept as it stands in the
file, a quantise/dequantise pair around an operator is folded into that operator's `precision`, and a symbolic
batch is bound to 1. What a reader does not know becomes an operator of kind `unknown`: never dropped, never free.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from math import prod

KINDS = frozenset({
    # carry multiply-accumulates
    "conv", "deconv", "fully_connected", "matmul",
    # windows and reductions
    "pool_max", "pool_avg", "global_pool", "reduce",
    # pointwise
    "add", "sub", "mul", "div", "min", "max", "pow", "sqrt", "exp", "compare", "elementwise",
    "relu", "relu6", "clip", "leaky_relu", "prelu", "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish", "gelu",
    "erf",
    "batch_norm", "layer_norm", "norm", "softmax",
    # data movement
    "concat", "split", "slice", "pad", "resize", "transpose", "gather", "expand", "copy",
    # no work at run time
    "reshape", "identity",
    # precision
    "quantize", "dequantize", "cast", "dynamic_quantize",
    # heads that shapes cannot predict
    "detection",
    "unknown",
})  # fmt: skip

PRECISIONS = frozenset({"fp32", "fp16", "bf16", "fp64", "int8", "uint8", "int4", "int16", "int32", "int64", "bool"})

BITS = {"fp64": 64, "int64": 64, "fp32": 32, "int32": 32, "fp16": 16, "bf16": 16, "int16": 16,
        "int8": 8, "uint8": 8, "bool": 8, "int4": 4}  # fmt: skip

Attribute = int | float | str | bool | tuple[int, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Tensor:
    """One value of the graph.

    Attributes:
        shape: With batch bound to 1; a dimension that stays symbolic is -1.
        precision: How it is stored, one of `PRECISIONS`.
        constant: Known before the graph runs (weights, biases, folded constants).
        zeros: Share of exact zeros, for constants whose content was read; else None.
    """

    name: str
    shape: tuple[int, ...]
    precision: str
    constant: bool = False
    zeros: float | None = None

    @property
    def elements(self) -> int:
        """Number of elements; symbolic dimensions count as 1."""
        return prod(max(1, d) for d in self.shape)

    @property
    def size_bytes(self) -> int:
        """Bytes it occupies, sub-byte types packed."""
        return -(-self.elements * BITS[self.precision] // 8)


@dataclass(frozen=True, slots=True, kw_only=True)
class Operator:
    """One operator.

    Attributes:
        kind: One of `KINDS`.
        inputs: Names of tensors in order, constants among them (`conv`: data, weight, bias).
        precision: What the arithmetic is done in: `int8` for a quantised operator, else that of its data.
        macs: Multiply-accumulates at batch 1, exact for conv, deconv, fully_connected and matmul, else 0.
        activation: Kind of an activation that the file itself has fused into the operator, or "".
        attributes: `conv`: kernel, stride, dilation, pads (top, left, bottom, right), groups; others as needed.
        source: The operator's name in the file's own vocabulary, such as `Conv` or `aten.add.Tensor`.
        scheme: How a quantised operator is quantised: "static", "dynamic", "weight-only", or "" for none.
    """

    name: str
    kind: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    precision: str
    macs: int = 0
    activation: str = ""
    attributes: Mapping[str, Attribute] = field(default_factory=dict)
    source: str = ""
    scheme: str = ""


@dataclass(frozen=True, slots=True, kw_only=True)
class OpGraph:
    """Operators in execution order, and every tensor they name."""

    name: str
    inputs: tuple[str, ...]
    outputs: tuple[str, ...]
    tensors: Mapping[str, Tensor]
    operators: tuple[Operator, ...]
    parameters: int

    @property
    def macs(self) -> int:
        """Multiply-accumulates of one inference at batch 1 (conv, deconv, fully_connected, matmul)."""
        return sum(op.macs for op in self.operators)

    @property
    def int8_macs_share(self) -> float:
        """Share of the multiply-accumulates that run in int8 arithmetic, 0 to 1."""
        total = self.macs
        return sum(op.macs for op in self.operators if op.precision == "int8") / total if total else 0.0

    def weights_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The constant tensors that an operator reads."""
        return tuple(self.tensors[n] for n in op.inputs if n in self.tensors and self.tensors[n].constant)

    def activations_of(self, op: Operator) -> tuple[Tensor, ...]:
        """The run-time tensors that an operator reads and writes."""
        names = [n for n in op.inputs if n in self.tensors and not self.tensors[n].constant]
        return tuple(self.tensors[n] for n in (*names, *op.outputs) if n in self.tensors)
