"""Which values are pictures, so that a graph can show them channels second, as graphs of other formats do.

XNNPACK keeps pictures channels last. An inner value of rank 4 that a window goes over is one, and so is every inner
value that operators which keep the order of axes connect with it. What enters or leaves a delegate has torch's order.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from bench_executorch.network import Network

RANK = 4

WINDOWED = frozenset({"conv", "deconv", "pool_max", "pool_avg", "global_pool", "resize"})

KEEPING = frozenset({
    "add", "sub", "mul", "div", "min", "max", "sqrt", "exp", "elementwise", "relu", "relu6", "clip", "identity",
    "leaky_relu", "prelu", "sigmoid", "tanh", "hardswish", "gelu", "concat", "slice", "pad", "copy", "cast",
})  # fmt: skip
"""Kinds whose values of rank 4 all have their axes in the same order."""

AXIS = (0, 2, 3, 1)
"""Where an axis of a picture in the file stands in the graph."""


def pictures(network: Network) -> frozenset[int]:
    """Positions of the inner values of rank 4 that are kept channels last."""
    inside = [node for node in network.nodes if node.delegate >= 0]
    linked = [_of_rank_4((*n.inputs, *n.outputs), network) for n in inside if n.kind in KEEPING]
    found: set[int] = set()
    for node in inside:
        if node.kind in WINDOWED:
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


def _of_rank_4(indices: tuple[int, ...], network: Network) -> set[int]:
    return {i for i in indices if network.values[i].inner and len(network.values[i].shape) == RANK}
