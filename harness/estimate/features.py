"""What a kernel's cost depends on: its class, its multiply-accumulates and its bytes."""

from __future__ import annotations

from dataclasses import dataclass
from enum import StrEnum
from math import prod
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from harness.estimate.family import KernelFamily
    from harness.estimate.fusion import Kernel
    from harness.graph import Operator, Tensor


class KernelClass(StrEnum):
    """Classes of kernels that share coefficients."""

    POINTWISE = "1x1 convolution"
    CONV = "convolution"
    STEM = "convolution of a few channels"
    WINOGRAD = "3x3 stride 1 convolution by Winograd"
    DEPTHWISE = "depthwise convolution"
    WIDE_DEPTHWISE = "depthwise convolution, window above 3x3"
    GROUPED = "grouped convolution"
    GEMV = "fully connected, one row"
    GEMM = "matrix product"
    STREAM = "elementwise, pool, copy"
    EXPONENTIAL = "elementwise with exp or erf"
    UNKNOWN = "unknown"


EXPONENTIALS = frozenset({"exp", "sigmoid", "tanh", "softmax", "gelu", "erf", "swish", "pow"})
UNMODELLED = frozenset({"unknown", "detection"})
INTEGER = frozenset({"int8", "uint8"})
HALF = frozenset({"fp16", "bf16"})
FLOAT = frozenset({"fp32", *HALF})
BORDERS = frozenset({"quantize", "dequantize", "dynamic_quantize", "cast"})
"""Operators whose input and output really differ in precision."""

CONVOLUTIONS = frozenset({
    KernelClass.POINTWISE, KernelClass.CONV, KernelClass.STEM, KernelClass.WINOGRAD, KernelClass.DEPTHWISE,
    KernelClass.WIDE_DEPTHWISE, KernelClass.GROUPED,
})  # fmt: skip

FEW_CHANNELS = 8
"""Input channels below which a convolution cannot fill the vectors and is packed in a way of its own: pictures."""

TILE = 4
"""Outputs of a Winograd tile, F(4×4, 3×3): Lavin and Gray, Fast Algorithms for Convolutional Neural Networks, arXiv
1509.09308. Six by six products make four by four outputs of nine multiply-accumulates each."""

PATCH = TILE + 2


@dataclass(frozen=True, slots=True, kw_only=True)
class Features:
    """Physical quantities of one kernel.

    Attributes:
        arithmetic: Precision that the multiply-accumulates are done in: `fp32`, `fp16`, `int8` or `fp64`.
        macs: Multiply-accumulates of the operator's definition.
        products: Multiply-accumulates that the kernel really does: fewer by Winograd's method, more for a rim of
            tiles that is not full.
        activation_bytes: Run-time tensors read and written, as they are stored on the device.
        handled_bytes: What the cores load and store on the way, such as unrolled windows and transformed tiles.
        tensor_bytes: Each run-time tensor's size, which decides whether it stays in the cache.
        weight_bytes: Constants read.
        groups: Groups of a grouped convolution, else 0.
        misaligned: 0 to 1, how far the channels are from filling what the kernels keep together.
    """

    kernel_class: KernelClass
    arithmetic: str
    macs: int
    products: float
    activation_bytes: int
    handled_bytes: float
    tensor_bytes: tuple[int, ...]
    weight_bytes: float
    groups: int
    misaligned: float


def features(kernel: Kernel, family: KernelFamily, *, fp16_arithmetic: bool) -> Features:
    """Features of a kernel as a family computes it on a core with or without float16 arithmetic.

    A core without float16 arithmetic computes and moves float16 tensors as float32. Weight-only quantisation computes
    in float and reads small weights. Zeros in weights change nothing: dense kernels multiply them too.
    """
    op = kernel.operator
    arithmetic = _arithmetic(op, family, fp16_arithmetic=fp16_arithmetic)
    kind = _class(kernel, winograd=family.winograd_int8 if arithmetic == "int8" else family.winograd)
    sizes = tuple(_stored(t, op, arithmetic) for t in (*kernel.inputs, *kernel.outputs))
    total = sum(sizes)
    products, handled = _handled(kernel, kind, sizes)
    return Features(
        kernel_class=kind,
        arithmetic=arithmetic,
        macs=op.macs,
        products=products,
        activation_bytes=total,
        handled_bytes=handled,
        tensor_bytes=sizes,
        weight_bytes=_weights(kernel, kind, arithmetic, family),
        groups=_groups(op) if kind is KernelClass.GROUPED else 0,
        misaligned=_misaligned(kernel, kind, arithmetic, family) if family.packed_bytes else 0.0,
    )


def _arithmetic(op: Operator, family: KernelFamily, *, fp16_arithmetic: bool) -> str:
    if op.precision in INTEGER and op.scheme != "weight-only":
        return "int8"
    if fp16_arithmetic and (op.precision in HALF or (family.silent_fp16 and op.precision != "fp64")):
        return "fp16"
    return "fp64" if op.precision == "fp64" else "fp32"


def _stored(tensor: Tensor, op: Operator, arithmetic: str) -> int:
    if tensor.precision in FLOAT:
        if op.precision in INTEGER and op.scheme == "static" and op.kind not in BORDERS:
            return tensor.elements  # the pair of quantise and dequantise around it is folded: it sees int8
        return tensor.elements * (2 if arithmetic == "fp16" else 4)
    return tensor.size_bytes


def _weights(kernel: Kernel, kind: KernelClass, arithmetic: str, family: KernelFamily) -> float:
    op = kernel.operator
    if op.kind == "gather":
        return 0.0  # a look-up reads as many bytes as it writes
    total = 0.0
    for tensor in kernel.weights:
        if tensor.precision not in FLOAT:
            total += tensor.size_bytes
        elif arithmetic == "int8" and op.macs and len(tensor.shape) > 1:
            total += tensor.elements
        elif kind is KernelClass.GEMV and family.vector_weight_bytes:
            total += tensor.elements * family.vector_weight_bytes
        else:
            total += tensor.elements * (2 if arithmetic == "fp16" else 4)
    return total * PATCH**2 / 9 if kind is KernelClass.WINOGRAD else total


def _handled(kernel: Kernel, kind: KernelClass, sizes: tuple[int, ...]) -> tuple[float, float]:
    """Products that are really computed, and bytes that the cores load and store for them."""
    macs, total = float(kernel.operator.macs), float(sum(sizes))
    if kind in {KernelClass.CONV, KernelClass.STEM} and kernel.inputs and kernel.outputs:
        element = sizes[0] / max(1, kernel.inputs[0].elements)
        # The rows of the matrix product: each output position with its window of all input channels; transposed, each
        # input position with its window of all output channels.
        whole, gathered = kernel.outputs[0], kernel.inputs[0]
        if kernel.operator.kind == "deconv":
            whole, gathered = gathered, whole
        channels = _channels(gathered.shape) / max(1, _groups(kernel.operator))
        unrolled = _positions(whole) * channels * prod(_window(kernel.operator)) * element
        return macs, unrolled
    if kind is KernelClass.WINOGRAD:
        *_, height, width = kernel.outputs[0].shape
        rim = _whole(height, TILE) * _whole(width, TILE) / max(1, height * width)
        return macs * rim * PATCH**2 / (9 * TILE**2), total * rim * PATCH**2 / TILE**2
    return macs, total


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
    op = kernel.operator
    window = _window(op)
    if _groups(op) != 1:
        written = sum(t.elements for t in kernel.outputs)
        # one input channel for each output channel, whatever layout the weights have
        if op.macs > written * prod(window):
            return KernelClass.GROUPED
        return KernelClass.WIDE_DEPTHWISE if max(window, default=1) > 3 else KernelClass.DEPTHWISE
    if window and set(window) == {1}:
        return KernelClass.GEMV if _rows(kernel) < 2 else KernelClass.POINTWISE
    if not kernel.inputs or _channels(kernel.inputs[0].shape) < FEW_CHANNELS:
        return KernelClass.STEM
    plain = all(set(_numbers(op.attributes.get(key, ()))) <= {1} for key in ("stride", "dilation"))
    suits = window == (3, 3) and plain and len(kernel.outputs[0].shape) == 4
    return KernelClass.WINOGRAD if winograd and suits else KernelClass.CONV


def _misaligned(kernel: Kernel, kind: KernelClass, arithmetic: str, family: KernelFamily) -> float:
    """Share of the penalty: all of it for channels that do not fill half of what is kept together."""
    images = [t for t in (*kernel.inputs, *kernel.outputs) if len(t.shape) == 4]
    if kind not in CONVOLUTIONS and kernel.operator.kind not in MOVES:
        return 0.0
    width = family.packed_bytes // (2 if arithmetic == "fp16" else 4)
    return max((_unfilled(_channels(t.shape), width) for t in images if _channels(t.shape) > 4), default=0.0)


MOVES = frozenset({"concat", "split", "slice", "transpose", "resize"})


def _unfilled(channels: int, width: int) -> float:
    if channels % width == 0:
        return 0.0
    return 0.5 if width > 4 and channels % 4 == 0 else 1.0


def _window(op: Operator) -> tuple[int, ...]:
    return _numbers(op.attributes.get("kernel", ()))


def _groups(op: Operator) -> int:
    groups = op.attributes.get("groups", 1)
    return groups if isinstance(groups, int) else 1


def _channels(shape: tuple[int, ...]) -> int:
    return max(1, shape[1]) if len(shape) > 2 else max(1, *shape, 1)


def _positions(tensor: Tensor) -> int:
    shape = tensor.shape
    return prod(max(1, d) for d in shape[2:]) if len(shape) > 2 else 1


def _whole(length: int, tile: int) -> int:
    return -(-max(1, length) // tile) * tile


def _numbers(value: object) -> tuple[int, ...]:
    return value if isinstance(value, tuple) else (value,) if isinstance(value, int) else ()


def _rows(kernel: Kernel) -> float:
    """How often each weight is used: the rows of the matrix product."""
    weights = max((t.elements for t in kernel.weights), default=0)
    return kernel.operator.macs / weights if weights else float("inf")
