"""What a kernel's cost depends on: its class, its multiply-accumulates and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.estimate.fusion import Kernel
    from harness.graph import Operator, Tensor


class KernelClass(StrEnum):
    """Classes of kernels that share coefficients."""

    POINTWISE = "1x1 convolution"
    CONV = "convolution"
    WINOGRAD = "3x3 stride 1 convolution by Winograd"
    DEPTHWISE = "depthwise convolution"
    GROUPED = "grouped convolution"
    GEMV = "fully connected, one row"
    GEMM = "matrix product"
    STREAM = "elementwise, pool, copy"
    EXPONENTIAL = "elementwise with exp or erf"
    UNKNOWN = "unknown"


EXPONENTIALS = frozenset({"exp", "sigmoid", "tanh", "softmax", "gelu", "erf", "swish", "pow"})
UNMODELLED = frozenset({"unknown", "detection"})
INTEGER = frozenset({"int8", "uint8"})
BORDERS = frozenset({"quantize", "dequantize", "dynamic_quantize", "cast"})
"""Operators whose input and output really differ in precision."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Physical quantities of one kernel.

    Attributes:
        arithmetic: Precision that the multiply-accumulates are done in: `fp32`, `fp16`, `int8` or `fp64`.
        macs: Multiply-accumulates.
        activation_bytes: Run-time tensors read and written, as they are stored on the device.
        weight_bytes: Constants read.
    """

    kernel_class: KernelClass
    arithmetic: str
    macs: int
    activation_bytes: int
    weight_bytes: int


def features(kernel: Kernel, *, fp16_arithmetic: bool, winograd: bool) -> Features:
    """Features of a kernel on a core with or without float16 arithmetic, in a runtime with or without Winograd.

    A core without float16 arithmetic computes and moves float16 tensors as float32. Weight-only quantisation computes
    in float and reads small weights. Zeros in weights change nothing: dense kernels multiply them too.
    """
    op = kernel.operator
    arithmetic = _arithmetic(op, fp16_arithmetic=fp16_arithmetic)
    kind = _class(kernel, winograd=winograd and arithmetic != "int8")
    widened = arithmetic == "fp32"
    weights = () if op.kind == "gather" else kernel.weights  # a look-up reads as many bytes as it writes
    return Features(
        kernel_class=kind,
        arithmetic=arithmetic,
        macs=op.macs,
        activation_bytes=sum(_stored(t, op, widened=widened) for t in (*kernel.inputs, *kernel.outputs)),
        weight_bytes=sum(_weight(t, op, arithmetic) for t in weights),
    )


def _arithmetic(op: Operator, *, fp16_arithmetic: bool) -> str:
    if op.precision in INTEGER and op.scheme != "weight-only":
        return "int8"
    if op.precision in {"fp16", "bf16"} and fp16_arithmetic:
        return "fp16"
    return "fp64" if op.precision == "fp64" else "fp32"


def _stored(tensor: Tensor, op: Operator, *, widened: bool) -> int:
    if widened and tensor.precision in {"fp16", "bf16"}:
        return 4 * tensor.elements
    folded = op.precision in INTEGER and op.scheme == "static" and op.kind not in BORDERS
    if folded and tensor.precision == "fp32":
        return tensor.elements  # the pair of quantise and dequantise around the operator is folded: it sees int8
    return tensor.size_bytes


def _weight(tensor: Tensor, op: Operator, arithmetic: str) -> int:
    if arithmetic == "int8" and op.macs and tensor.precision == "fp32" and len(tensor.shape) > 1:
        return tensor.elements
    if arithmetic == "fp32" and tensor.precision in {"fp16", "bf16"}:
        return 4 * tensor.elements
    return tensor.size_bytes


def _class(kernel: Kernel, *, winograd: bool) -> KernelClass:
    op = kernel.operator
    if op.kind in UNMODELLED:
        return KernelClass.UNKNOWN
    if op.kind == "conv":
        return _conv_class(kernel, winograd=winograd)
    if op.kind == "deconv":
        return KernelClass.CONV
    if op.kind in {"fully_connected", "matmul"}:
        return KernelClass.GEMV if op.kind == "fully_connected" and _rows(kernel) < 2 else KernelClass.GEMM
    return KernelClass.EXPONENTIAL if op.kind in EXPONENTIALS else KernelClass.STREAM


def _conv_class(kernel: Kernel, *, winograd: bool) -> KernelClass:
    attributes = kernel.operator.attributes
    groups = attributes.get("groups", 1)
    window = _numbers(attributes.get("kernel", ()))
    if groups != 1:
        written = sum(t.elements for t in kernel.outputs)
        # one input channel for each output channel, whatever layout the weights have
        return KernelClass.DEPTHWISE if kernel.operator.macs <= written * prod(window) else KernelClass.GROUPED
    if window and set(window) == {1}:
        return KernelClass.GEMV if _rows(kernel) < 2 else KernelClass.POINTWISE
    plain = all(set(_numbers(attributes.get(key, ()))) <= {1} for key in ("stride", "dilation"))
    return KernelClass.WINOGRAD if winograd and window == (3, 3) and plain else KernelClass.CONV


def _numbers(value: object) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()


def _rows(kernel: Kernel) -> float:
    """How often each weight is used: the rows of the matrix product."""
    weights = max((t.elements for t in kernel.weights), default=0)
    return kernel.operator.macs / weights if weights else float("inf")
