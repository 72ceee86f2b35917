"""Averages over whole pictures in the form for which ONNX Runtime has an int8 kernel."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    import onnx


def use_global_pools(model: onnx.ModelProto) -> int:
    """Turn each ReduceMean over height and width into GlobalAveragePool (and Flatten), in place; returns how many.

    Both compute the same, but ONNX Runtime has an int8 kernel for the pool only: a ReduceMean between int8 operators
    would be computed in float.
    """
    from onnx.helper import make_node

    graph = model.graph
    ranks = {v.name: len(v.type.tensor_type.shape.dim) for v in (*graph.value_info, *graph.input)}
    nodes: list[onnx.NodeProto] = []
    changed = 0
    for node in graph.node:
        if node.op_type != "ReduceMean" or ranks.get(node.input[0]) != 4 or _axes(node, model) != [2, 3]:
            nodes.append(node)
            continue
        changed += 1
        keeps = all(a.i for a in node.attribute if a.name == "keepdims")
        pooled = node.output[0] if keeps else f"{node.output[0]}/pooled"
        nodes.append(make_node("GlobalAveragePool", [node.input[0]], [pooled], name=node.name))
        if not keeps:
            nodes.append(make_node("Flatten", [pooled], [node.output[0]], name=f"{node.name}/flatten", axis=1))
    del graph.node[:]
    graph.node.extend(nodes)
    return changed


def _axes(node: onnx.NodeProto, model: onnx.ModelProto) -> list[int]:
    """Axes of a reduction of a tensor of rank 4, none negative, ascending; none when they are not constant."""
    from onnx.numpy_helper import to_array

    axes = [int(axis) for a in node.attribute if a.name == "axes" for axis in a.ints]
    if len(node.input) > 1:
        axes = [int(a) for t in model.graph.initializer if t.name == node.input[1] for a in to_array(t).reshape(-1)]
    return sorted(axis % 4 for axis in axes)
