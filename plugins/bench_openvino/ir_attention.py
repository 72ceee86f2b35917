"""Attention, which IR writes as one operator, as the two products and the softmax that it consists of."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from bench_openvino.ir_network import Network, Node

if TYPE_CHECKING:
    from harness import Tensor

ATTENTION = "ScaledDotProductAttention"


def expand_attention(network: Network) -> Network:
    """Replace attention of (batch, heads, rows, width) by matmul, softmax and matmul; quantisers then show where they
    stand, which is before the first product."""
    if not any(node.source == ATTENTION for node in network.nodes):
        return network
    tensors = dict(network.tensors)
    nodes: list[Node] = []
    for node in network.nodes:
        nodes += _expanded(replace(node, given={}), tensors) if node.source == ATTENTION else [node]
    return replace(network, nodes=tuple(nodes), tensors=tensors)


def _expanded(node: Node, tensors: dict[str, Tensor]) -> list[Node]:
    query, key, value = node.inputs[:3]
    rows, keys = tensors[query].shape, tensors[key].shape
    if len(rows) < 2 or len(keys) < 2:
        return [replace(node, kind="unknown")]
    scores, shares = f"{node.name}/scores", f"{node.name}/shares"
    for name in (scores, shares):
        tensors[name] = replace(tensors[node.outputs[0]], name=name, shape=(*rows[:-1], keys[-2]))
    return [
        replace(node, name=scores, kind="matmul", inputs=(query, key), outputs=(scores,)),
        replace(node, name=shares, kind="softmax", inputs=(scores,), outputs=(shares,)),
        replace(node, kind="matmul", inputs=(shares, value)),
    ]
