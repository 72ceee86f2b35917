"""How much of a converted graph is int8: a quantizer that leaves a layer in float says nothing by itself."""

from __future__ import annotations

from dataclasses import dataclass, replace
from math import prod
from typing import TYPE_CHECKING, Any

import torch

from bench_qat.capture import filled, size
from bench_qat.folding import LAYERS

if TYPE_CHECKING:
    from collections.abc import Mapping

    from torch.fx import GraphModule, Node

aten = torch.ops.aten

PRODUCTS = frozenset({aten.matmul.default, aten.bmm.default, aten.mm.default, aten.addmm.default, aten.baddbmm.default})

ATTENTION = frozenset({aten.scaled_dot_product_attention.default})

DECONVOLUTIONS = frozenset({
    aten.conv_transpose1d.default, aten.conv_transpose2d.input, aten.conv_transpose3d.input,
})  # fmt: skip

RECURRENT = frozenset({aten.lstm.input, aten.gru.input, aten.rnn_tanh.input, aten.rnn_relu.input})

OTHER_CONVOLUTIONS = frozenset({aten.conv1d.padding, aten.conv2d.padding, aten.conv3d.padding})


@dataclass(frozen=True, slots=True, kw_only=True)
class Layer:
    """An operator that multiplies and accumulates.

    Attributes:
        name: Of the layer in the module, or of the node where no layer stands behind it.
        macs: Multiply-accumulates of one inference at batch 1.
        int8: Whether weights and activations both come quantised.
    """

    name: str
    macs: int
    int8: bool = False


def layers(graph_module: GraphModule) -> dict[str, Layer]:
    """Every operator with multiply-accumulates by the name of its node, in order, none of them int8 yet."""
    return {node.name: Layer(name=_name(node), macs=macs) for node in graph_module.graph.nodes if (macs := _macs(node))}


def coverage(converted: GraphModule, before: Mapping[str, Layer]) -> tuple[Layer, ...]:
    """The same layers as they are in the converted graph, whose nodes have kept their names."""
    nodes = {node.name: node for node in converted.graph.nodes}
    return tuple(
        replace(layer, int8=_dequantised(*nodes[key].args[:2])) if key in nodes else layer
        for key, layer in before.items()
    )


def sentence(found: tuple[Layer, ...]) -> str:
    """Coverage as a line of a lineage, with the names of what stayed in float."""
    whole = sum(layer.macs for layer in found)
    share = sum(layer.macs for layer in found if layer.int8) / whole if whole else 0.0
    line = f"int8: {sum(x.int8 for x in found)} of {len(found)} layers, {share:.1%} of the multiply-accumulates"
    left = [layer.name for layer in found if not layer.int8]
    return f"{line}; in float: {', '.join(left)}" if left else line


def _name(node: Node) -> str:
    """Name of the layer whose weight a node reads, such as `features.0`, else of the node."""
    weight = None
    if node.target in LAYERS | DECONVOLUTIONS | OTHER_CONVOLUTIONS:
        weight = filled(node)[1]
    elif node.target in RECURRENT:
        weight = node.args[2][0]
    layer = str(weight.target).rpartition(".")[0] if getattr(weight, "op", "") == "get_attr" else ""
    return layer or str(node.name)


def _dequantised(*nodes: Any) -> bool:
    return all(str(getattr(node, "target", "")).startswith("quantized_decomposed.dequantize") for node in nodes)


def _macs(node: Node) -> int:
    target = node.target
    if target in LAYERS | OTHER_CONVOLUTIONS:
        inner = _shape(filled(node)[1])[1:]
        return prod(_shape(node)) * prod(inner)
    if target in DECONVOLUTIONS:
        return prod(_shape(node.args[0])) * prod(_shape(filled(node)[1])[1:])
    if target in PRODUCTS:
        left = node.args[1] if target in {aten.addmm.default, aten.baddbmm.default} else node.args[0]
        return prod(_shape(node)) * _shape(left)[-1]
    if target in ATTENTION:  # query times key, then weights times value
        query, key, value = (_shape(part) for part in node.args[:3])
        return prod(query) * key[-2] + prod(query[:-1]) * key[-2] * value[-1]
    if target in RECURRENT:  # each step of the sequence goes through every matrix
        data, _, weights, *_ = node.args
        steps = _shape(data)[1] if filled(node)[8] else _shape(data)[0]
        return steps * sum(prod(_shape(weight)) for weight in weights if len(_shape(weight)) > 1)
    return 0


def _shape(node: Any) -> tuple[int, ...]:
    return tuple(size(dimension) for dimension in node.meta["val"].shape)
