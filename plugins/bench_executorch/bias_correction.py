"""Bias correction: what rounding of the weights does to the mean of each output channel is taken back in its bias.

Source: Nagel et al., Data-Free Quantization Through Weight Equalization and Bias Correction, arXiv:1906.04721, section
4.2, with the means of the inputs from the calibration rows. Padding counts as if the means reached beyond the border.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import torch

from bench_executorch.simulated_int8 import DEQUANTISE, LAYERS, run_rows, value_of

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from torch.fx import GraphModule, Node

Means = tuple[torch.Tensor, torch.Tensor]
"""Float weight of a layer, and the mean of each of its input channels."""


def layer_means(prepared: GraphModule, rows: Sequence[tuple[torch.Tensor, ...]]) -> dict[str, Means]:
    """Run a prepared network, which so far only watches, over rows; what correction needs by the names of its layers.

    These runs calibrate it too.
    """
    layers = {node for node in prepared.graph.nodes if node.target in LAYERS}
    sums: dict[str, Any] = {node.name: 0.0 for node in layers}

    class Watch(torch.fx.Interpreter):
        def run_node(self, n: Node) -> Any:
            if n in layers:
                data = self.env[n.args[0]].double()
                channel = data.dim() - 1 if n.target is torch.ops.aten.linear.default else 1
                sums[n.name] = sums[n.name] + data.mean(dim=[d for d in range(data.dim()) if d != channel])
            return super().run_node(n)

    run_rows(Watch(prepared), prepared, rows)
    return {node.name: (_weight(node.args[1], prepared), sums[node.name] / len(rows)) for node in layers}


def correct_biases(converted: GraphModule, means: Mapping[str, Means]) -> int:
    """Correct the biases of a converted network in place; returns how many."""
    corrected = 0
    for node in converted.graph.nodes:
        if node.name not in means or node.args[1].target not in DEQUANTISE or len(node.args) < 3:
            continue
        bias = node.args[2]
        if getattr(bias, "op", "") != "get_attr" or len(bias.users) > 1:  # of several layers it belongs to no one mean
            continue
        before, mean = means[node.name]
        error = _weight(node.args[1], converted) - before
        held = value_of(bias, converted)
        held.data -= _shift(error, mean).to(held.dtype)
        corrected += 1
    return corrected


def _weight(node: Any, module: GraphModule) -> torch.Tensor:
    """A layer's weight, through its observer or its dequantisation."""
    if node.op == "get_attr":
        return value_of(node, module).detach().double().clone()  # type: ignore[no-any-return]
    if node.op == "call_module":
        return _weight(node.args[0], module)
    arguments = (value_of(each, module) for each in node.args)
    return node.target(*arguments).detach().double()  # type: ignore[no-any-return]


def _shift(error: torch.Tensor, mean: torch.Tensor) -> torch.Tensor:
    """How far the mean of each output channel has moved, `(channels,)`."""
    by_input = error.reshape(error.shape[0], error.shape[1], -1).sum(-1)
    groups = mean.numel() // by_input.shape[1]
    split = by_input.reshape(groups, -1, by_input.shape[1])
    return torch.einsum("goi,gi->go", split, mean.reshape(groups, -1)).reshape(-1)
