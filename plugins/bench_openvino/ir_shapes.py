"""Shapes of an IR once the open batch of its inputs is 1.

The file states every shape, with -1 wherever the batch reaches; only those are worked out again. What stays unknown
stays -1.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from bench_openvino.ir_kinds import kind_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness import Tensor

ALIKE = frozenset({
    "add", "sub", "mul", "div", "min", "max", "pow", "sqrt", "exp", "compare", "elementwise", "relu", "clip", "prelu",
    "sigmoid", "tanh", "hardsigmoid", "hardswish", "swish", "gelu", "erf", "batch_norm", "norm", "softmax", "cast",
    "identity",
})  # fmt: skip
"""Kinds whose result has the shape of their inputs, broadcast."""


def bound(
    layer_type: str, inputs: Sequence[Tensor], declared: tuple[int, ...], perm: tuple[int, ...] | None
) -> tuple[int, ...]:
    """Shape of an output.

    Args:
        inputs: Tensors that the layer reads.
        declared: As the file has it.
        perm: Order of axes of a Transpose, where it is known.
    """
    if -1 not in declared:
        return declared
    running = [t.shape for t in inputs if not t.constant] or [t.shape for t in inputs]
    if not running:  # an input of the network
        return (1, *declared[1:]) if declared[0] == -1 else declared
    source, kind = running[0], kind_of(layer_type)
    if kind == "reshape":
        return _reshaped(source, declared)
    if perm is not None and sorted(perm) == list(range(len(source))):
        return tuple(source[axis] for axis in perm)
    if kind in ALIKE or layer_type == "FakeQuantize":
        return _broadcast([t.shape for t in inputs], declared)
    return _by_position(source, declared)


def _reshaped(source: tuple[int, ...], declared: tuple[int, ...]) -> tuple[int, ...]:
    """One open dimension follows from the number of elements; of several, the first is the batch."""
    if -1 in source:
        return _by_position(source, declared) if len(source) == len(declared) else _batch_of_one(declared)
    shape = declared if declared.count(-1) == 1 else _batch_of_one(declared)
    known = prod(dim for dim in shape if dim != -1)
    if shape.count(-1) == 1 and known and prod(source) % known == 0:
        return tuple(prod(source) // known if dim == -1 else dim for dim in shape)
    return shape


def _broadcast(shapes: Sequence[tuple[int, ...]], declared: tuple[int, ...]) -> tuple[int, ...]:
    found = list(declared)
    for axis in range(1, len(declared) + 1):
        dims = [shape[-axis] for shape in shapes if len(shape) >= axis]
        if found[-axis] == -1 and dims and -1 not in dims:
            found[-axis] = max(dims)
    return tuple(found)


def _by_position(source: tuple[int, ...], declared: tuple[int, ...]) -> tuple[int, ...]:
    """The batch, and axes that are 1 anyway, keep their size under windows, slices and products."""
    if len(source) != len(declared):
        return _batch_of_one(declared)
    pairs = enumerate(zip(source, declared, strict=True))
    return tuple(given if dim == -1 and (axis == 0 or given == 1) else dim for axis, (given, dim) in pairs)


def _batch_of_one(declared: tuple[int, ...]) -> tuple[int, ...]:
    return (1, *declared[1:]) if declared[0] == -1 else declared
