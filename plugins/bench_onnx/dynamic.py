"""Dynamic quantisation: `DynamicQuantizeLinear → MatMulInteger → Cast → Mul [→ Add]` as one int8 operator.

The pattern is the one that ONNX Runtime's `quantize_dynamic` writes. Nodes that do not fit it stay as they are: an
integer operator with int32 sums, and ordinary casts and products.
"""

from __future__ import annotations

from collections import defaultdict
from dataclasses import replace
from typing import TYPE_CHECKING

from bench_onnx.quantised_constant import share_of_zeros

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_onnx.network import Network, Node

INTEGER = {"MatMulInteger": "MatMul", "ConvInteger": "Conv"}


def normalise_dynamic(network: Network) -> Network:
    """Replace integer products and what rescales them by int8 operators of scheme `dynamic`."""
    if not any(node.op in INTEGER and not node.domain for node in network.nodes):
        return network
    readers: dict[str, list[Node]] = defaultdict(list)
    for node in network.nodes:
        for name in dict.fromkeys(node.inputs):
            readers[name].append(node)
    producer = {name: node for node in network.nodes for name in node.outputs}
    zeros = dict(network.zeros)
    swallowed: set[str] = set()
    made: dict[str, Node] = {}
    for node in network.nodes:
        if node.op in INTEGER and not node.domain:
            _note_zeros(node, network, zeros)
            tail = _tail(node, network, readers)
            swallowed |= {part.outputs[0] for part in tail}
            swallowed |= _idle_scales(tail, readers, producer, network)
            made[node.outputs[0]] = _quantised(node, tail)
    nodes = [
        made.get(node.outputs[0], node)
        for node in network.nodes
        if node.outputs[0] in made or node.outputs[0] not in swallowed
    ]
    return replace(network, nodes=tuple(nodes), zeros=zeros)


def _note_zeros(node: Node, network: Network, zeros: dict[str, float]) -> None:
    weight = node.inputs[1]
    if weight in network.constants:
        zero_point = network.constants.get(node.inputs[3]) if len(node.inputs) > 3 else None
        axis = 0 if node.op == "ConvInteger" else -1
        zeros[weight] = share_of_zeros(network.constants[weight], zero_point, axis)


def _tail(node: Node, network: Network, readers: Mapping[str, list[Node]]) -> list[Node]:
    """Cast, Mul by a scale and Add of a constant bias, as far as each alone reads the one before."""
    tail: list[Node] = []
    end = node.outputs[0]
    for op in ("Cast", "Mul", "Add"):
        following = readers.get(end, [])
        if len(following) != 1 or following[0].op != op or following[0].domain or end in network.outputs:
            break
        other = [name for name in following[0].inputs if name != end]
        if op == "Add" and not (len(other) == 1 and _is_bias(other[0], network)):
            break
        tail.append(following[0])
        end = following[0].outputs[0]
    return tail if len(tail) > 1 else []


def _is_bias(name: str, network: Network) -> bool:
    """Whether a constant has one element an output channel: at most one dimension is longer than 1."""
    return name in network.constants and sum(dim > 1 for dim in network.constants[name].shape) <= 1


def _idle_scales(
    tail: list[Node], readers: Mapping[str, list[Node]], producer: Mapping[str, Node], network: Network
) -> set[str]:
    """Products of scales that only this tail reads."""
    if not tail:
        return set()
    scale = next(name for name in tail[1].inputs if name != tail[0].outputs[0])
    made_by = producer.get(scale)
    idle = made_by is not None and made_by.op == "Mul" and len(readers[scale]) == 1 and scale not in network.outputs
    return {scale} if idle else set()


def _quantised(node: Node, tail: list[Node]) -> Node:
    produced = {node.outputs[0]} | {part.outputs[0] for part in tail}
    bias = [name for part in tail if part.op == "Add" for name in part.inputs if name not in produced]
    return replace(
        node,
        op=INTEGER[node.op],
        inputs=(*node.inputs[:2], *bias),
        outputs=tail[-1].outputs[:1] if tail else node.outputs,
        precision="int8",
        scheme="dynamic",
    )
