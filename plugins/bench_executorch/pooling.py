"""Means over whole pictures in the form that XNNPACK takes: with the axes kept, and dropped by a reshape after it."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

aten = torch.ops.aten
_space = torch.ops.quantized_decomposed
QUANTISE, DEQUANTISE = _space.quantize_per_tensor.default, _space.dequantize_per_tensor.default


def keep_axes(module: GraphModule) -> None:
    """Rewrite the means of a module, in place; behind a quantised mean, the reshape is quantised alike."""
    for node in list(module.graph.nodes):
        if node.target is aten.mean.dim and _drops_height_and_width(node):
            _rewrite(node)
    module.graph.lint()
    module.recompile()


def _drops_height_and_width(node: Node) -> bool:
    data: Any = node.args[0]
    axes: Any = node.args[1]
    if (len(node.args) > 2 and node.args[2]) or data.meta["val"].dim() != 4 or not axes:
        return False
    return sorted(axis % 4 for axis in axes) == [2, 3]


def _rewrite(node: Node) -> None:
    graph, result = node.graph, node.meta["val"]
    shape = list(result.shape)
    node.args = (*node.args[:2], True)
    node.meta["val"] = result.reshape(*shape, 1, 1)  # quantizers look at it
    quantised = _only_reader(node, QUANTISE)
    last = node if quantised is None else _only_reader(quantised, DEQUANTISE) or node
    with graph.inserting_after(last):
        flat = graph.call_function(aten.view.default, (last, shape))
    flat.meta["val"] = result
    ends = [flat]
    if quantised is not None and last is not node:
        for target in (QUANTISE, DEQUANTISE):
            with graph.inserting_after(ends[-1]):
                ends.append(graph.call_function(target, (ends[-1], *quantised.args[1:])))
    last.replace_all_uses_with(ends[-1], delete_user_cb=lambda user: user is not flat)


def _only_reader(node: Node, target: Any) -> Node | None:
    reader = next(iter(node.users), None)
    return reader if reader is not None and len(node.users) == 1 and reader.target is target else None
