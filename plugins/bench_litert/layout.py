"""Which tensors are pictures, so that a graph can show them channels second, as graphs of other formats do.

The file keeps pictures channels last. A tensor of rank 4 that a window goes over is one, and so is every tensor that
operators which keep the order of axes connect with it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_litert.network import Network, Node

RANK = 4

WINDOWED = frozenset({"conv", "deconv", "pool_max", "pool_avg", "resize"})
ALSO = frozenset({"DEPTH_TO_SPACE", "SPACE_TO_DEPTH", "SPACE_TO_BATCH_ND", "BATCH_TO_SPACE_ND"})

KEEPING = frozenset({
    "add", "sub", "mul", "div", "min", "max", "pow", "sqrt", "exp", "compare", "elementwise", "relu", "relu6", "clip",
    "leaky_relu", "prelu", "sigmoid", "tanh", "hardswish", "gelu", "norm", "softmax", "concat", "split", "slice", "pad",
    "reduce", "quantize", "dequantize", "cast",
})  # fmt: skip
"""Kinds whose tensors of rank 4 all have their axes in the same order."""

AXIS = (0, 2, 3, 1)
"""Where an axis of a picture in the file stands in the graph."""


HEIGHT_AND_WIDTH = (1, 2)
"""Axes of a picture in the file."""


def pictures(network: Network) -> frozenset[int]:
    """Positions of the tensors of rank 4 that are kept channels last in the file."""
    linked = [_of_rank_4((*node.inputs, *node.outputs), network) for node in network.nodes if node.kind in KEEPING]
    found: set[int] = set()
    for node in network.nodes:
        if node.kind in WINDOWED or node.source in ALSO or averaged_axes(node, network) == HEIGHT_AND_WIDTH:
            found |= _of_rank_4((node.inputs[0], *node.outputs), network)
    grew = True
    while grew:
        before = len(found)
        for group in linked:
            if found & group:
                found |= group
        grew = len(found) > before
    return frozenset(found)


def shown(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape of a picture, channels second."""
    batch, height, width, channels = shape
    return (batch, channels, height, width)


def axis_shown(axis: int) -> int:
    """Where an axis of a picture stands in the graph."""
    return AXIS[axis % RANK]


def averaged_axes(node: Node, network: Network) -> tuple[int, ...]:
    """Axes of a mean of rank 4, none negative; empty for any other operator."""
    if node.source != "MEAN" or len(network.values[node.inputs[0]].shape) != RANK:
        return ()
    return tuple(sorted(axis % RANK for axis in network.numbers(node.inputs[1]) or ()))


def _of_rank_4(indices: tuple[int, ...], network: Network) -> set[int]:
    return {index for index in indices if index >= 0 and len(network.values[index].shape) == RANK}
