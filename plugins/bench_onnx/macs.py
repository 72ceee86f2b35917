"""Multiply-accumulates of one node, from the shapes of its tensors.

Definition: one multiplication with its addition is one MAC; a bias adds none. This is what
`torch.utils.flop_counter` counts, halved.
"""

from __future__ import annotations

from math import prod
from typing import TYPE_CHECKING

from bench_onnx.network import text

if TYPE_CHECKING:
    from bench_onnx.network import Network, Node


def macs_of(node: Node, kind: str, network: Network) -> int:
    """Multiply-accumulates at batch 1; a symbolic dimension counts as 1, an unknown rank gives 0.

    conv: output elements × input channels of a group × kernel. deconv: input elements × output channels of a group ×
    kernel. fully_connected and matmul: output elements × the length of the summed axis.
    """
    if kind not in {"conv", "deconv", "fully_connected", "matmul"}:
        return 0
    left, right, result = (_shape(name, network) for name in (*node.inputs[:2], node.outputs[0]))
    if left is None or right is None or result is None:
        return 0
    if kind in {"conv", "deconv"}:
        return prod(result if kind == "conv" else left) * prod(right[1:])
    if node.op == "Einsum":
        return _einsum(node, left, right)
    transposed = node.attributes.get("transA") and len(left) > 1
    return prod(result) * left[-2 if transposed else -1]


def features(node: Node, network: Network) -> dict[str, int]:
    """`in_features` and `out_features` of a fully connected node whose second input is the weight matrix."""
    weight, result = _shape(node.inputs[1], network), _shape(node.outputs[0], network)
    if weight is None or len(weight) != 2 or not result or not network.constant(node.inputs[1]):
        return {}
    return {"in_features": prod(weight) // result[-1], "out_features": result[-1]}


def _shape(name: str, network: Network) -> tuple[int, ...] | None:
    found = network.types.get(name)
    return None if found is None or found.shape is None else tuple(max(1, dim) for dim in found.shape)


def _einsum(node: Node, left: tuple[int, ...], right: tuple[int, ...]) -> int:
    """Product of all labelled dimensions of two operands."""
    terms = text(node.attributes["equation"]).replace(" ", "").split("->")[0].split(",")
    sizes: dict[str, int] = {}
    for labels, shape in zip(terms, (left, right), strict=False):
        for label, size in zip(labels, shape, strict=False):
            sizes[label] = max(size, sizes.get(label, 1))
    return prod(sizes.values())
