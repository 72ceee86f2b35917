"""Multiply-accumulates of the nodes of a .pte file."""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from bench_executorch.kinds import PRODUCTS

if TYPE_CHECKING:
    from bench_executorch.network import Network, Node

TRANSPOSED = 1
"""`XNN_FLAG_TRANSPOSE_WEIGHTS` of xnnpack.h: weights of a linear layer, inputs first."""


def macs_of(node: Node, network: Network) -> int:
    """Multiply-accumulates at batch 1.

    conv: output elements × window × input channels of a group. deconv: input elements × window × output channels of a
    group. Products: output elements × length of the summed axis.
    """
    if node.kind not in PRODUCTS:
        return 0
    shapes = [network.values[index].shape for index in node.inputs]
    result = prod(network.values[node.outputs[0]].shape)
    if node.delegate >= 0:
        return _delegated(node, shapes, result)
    if node.kind in {"conv", "deconv"}:  # weights: output channels, or input channels of a deconv, first
        return (result if node.kind == "conv" else prod(shapes[0])) * prod(shapes[1][1:])
    return result * shapes[1 if "addmm" in node.source else 0][-1]


def _delegated(node: Node, shapes: list[tuple[int, ...]], result: int) -> int:
    given = node.options
    if node.kind in {"conv", "deconv"}:
        window = int(given["kernel_height"] * given["kernel_width"])
        if node.kind == "deconv":
            return prod(shapes[0]) * window * int(given["group_output_channels"])
        return result * window * int(given["group_input_channels"])
    if node.source == "XNNFullyConnected":
        return result * shapes[1][0 if given["flags"] & TRANSPOSED else -1]
    if node.source == "XNNScaledDotProductAttention":  # query times key, then weights times value
        query, key, value = shapes[:3]
        return prod(query) * key[-2] + prod(query[:-1]) * key[-2] * value[-1]
    return result * shapes[0][-1]
