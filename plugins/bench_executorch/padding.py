"""Pads between integer operators, in the form that XNNPACK runs in integers: nothing is rounded again behind them."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch
import torch.ao.quantization.fx._decomposed  # registers the operators below

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

aten = torch.ops.aten
_space = torch.ops.quantized_decomposed
QUANTISE, DEQUANTISE = _space.quantize_per_tensor.default, _space.dequantize_per_tensor.default

PADS = frozenset({aten.pad.default, aten.constant_pad_nd.default})
CONVOLUTIONS = frozenset({aten.conv2d.default})


def pad_in_integers(module: GraphModule) -> None:
    """Let convolutions read the padded values themselves, in place, where these have steps of 8 bits already.

    A zero is one of the steps. Left as it is, XNNPACK would turn the values into floats, pad, and round them again.
    """
    for node in list(module.graph.nodes):
        data: Any = node.args[0] if node.args else None
        if node.target not in PADS or not _adds_zeros(node) or getattr(data, "target", None) is not DEQUANTISE:
            continue
        rounded = _only_reader(node)
        back = _only_reader(rounded) if rounded is not None and rounded.target is QUANTISE else None
        layer = _only_reader(back) if back is not None and back.target is DEQUANTISE else None
        if layer is not None and layer.target in CONVOLUTIONS:
            layer.replace_input_with(back, node)
    module.graph.eliminate_dead_code()
    module.recompile()


def _only_reader(node: Node) -> Node | None:
    """What alone reads a value, which XNNPACK's partitioner asks for."""
    return next(iter(node.users)) if len(node.users) == 1 else None


def _adds_zeros(node: Node) -> bool:
    """Whether a pad adds zeros, around height and width alone."""
    amounts: Any = node.args[1]
    others: list[Any] = [*node.args[2:], *node.kwargs.values()]
    return len(amounts) <= 4 and min(amounts) >= 0 and all(each in {"constant", 0, None} for each in others)
