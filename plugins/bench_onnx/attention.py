"""Attention, which files write as one operator or as several, as the two products and the softmax it consists of."""

from __future__ import annotations

from dataclasses import replace

from bench_onnx.network import Network, Node, TensorType

HEADS = {("", "Attention"): ("q_num_heads", "kv_num_heads"),
         ("com.microsoft", "MultiHeadAttention"): ("num_heads", "num_heads")}  # fmt: skip
"""Operators with query, key and value as first inputs, and their numbers of heads (ONNX operator Attention;
`docs/ContribOperators.md` of ONNX Runtime)."""

OPERANDS = 3


def expand_attention(network: Network) -> Network:
    """Replace attention by MatMul, Softmax and MatMul; one with a cache of keys, or unknown ranks, stays."""
    if not any((node.domain, node.op) in HEADS for node in network.nodes):
        return network
    types = dict(network.types)
    nodes: list[Node] = []
    for node in network.nodes:
        nodes += _expanded(node, types) or [node]
    return replace(network, nodes=tuple(nodes), types=types)


def _expanded(node: Node, types: dict[str, TensorType]) -> list[Node]:
    heads = HEADS.get((node.domain, node.op))
    cached = len([name for name in node.outputs if name]) > 1
    if heads is None or cached or len(node.inputs) < OPERANDS or not all(node.inputs[:OPERANDS]):
        return []
    found = [types.get(name) for name in node.inputs[:OPERANDS]]
    shapes = [each.shape for each in found if each is not None and each.shape is not None]
    counts = [int(node.attributes.get(heads[0 if index == 0 else 1], 0)) for index in range(OPERANDS)]
    split = [_split(shape, count) for shape, count in zip(shapes, counts, strict=False)]
    if len(split) < OPERANDS or not all(split):
        return []
    query, key, _ = split
    precision = types[node.inputs[0]].precision
    nodes: list[Node] = []
    operands = []
    for name, shape in zip(node.inputs, split, strict=False):
        operands.append(name)
        if shape != types[name].shape:  # heads side by side in the last axis
            operands[-1] = f"{node.name}/{len(operands)}"
            types[operands[-1]] = TensorType(precision=precision, shape=shape)
            nodes.append(_part(node, "Reshape", (name,), operands[-1]))
    scores, shares = f"{node.name}/scores", f"{node.name}/shares"
    types[scores] = types[shares] = TensorType(precision=precision, shape=(*query[:3], key[2]))
    nodes.append(_part(node, "MatMul", (operands[0], operands[1]), scores))
    nodes.append(_part(node, "Softmax", (scores,), shares))
    nodes.append(_part(node, "MatMul", (shares, operands[2]), node.outputs[0]))
    return nodes


def _split(shape: tuple[int, ...], heads: int) -> tuple[int, ...]:
    """Batch, heads, rows, width of a head; empty when the shape does not say."""
    if len(shape) == 4:
        return shape
    if len(shape) != OPERANDS or heads < 1 or shape[-1] % heads:
        return ()
    return (shape[0], heads, shape[1], shape[2] // heads)


def _part(node: Node, op: str, inputs: tuple[str, ...], output: str) -> Node:
    return Node(name=f"{node.name}/{op}:{output}", op=op, inputs=inputs, outputs=(output,), source=node.source)
