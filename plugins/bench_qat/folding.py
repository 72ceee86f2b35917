"""Batch normalisation in quantisation-aware training: folded into the weights that are quantised, statistics kept.

What is deployed has the normalisation folded into the convolution before it, so the folded weights must be the ones
that training sees quantised, while the statistics still follow the batches (Jacob et al., section 3.2 and figure C.8;
the form that divides the batch's scale out again is Krishnamoorthi, section 3.2.2 with the moving averages as scale).
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import torch
from torch import nn

from bench_qat.capture import filled

if TYPE_CHECKING:
    from torch.fx import GraphModule, Node

LAYERS = frozenset({
    torch.ops.aten.conv1d.default, torch.ops.aten.conv2d.default, torch.ops.aten.conv3d.default,
    torch.ops.aten.linear.default,
})  # fmt: skip
"""Layers whose first axis of the weight is the output's channel, and the second axis of the output its place."""

SMALLEST_FACTOR = 1e-9
"""Below this a channel's scale γ/σ is taken as this, since the scale is divided out again."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Folded:
    """One normalisation that has been folded, and what it was.

    Attributes:
        layer: Name of the node of the convolution or linear layer.
        weight, bias: Where the graph module holds the folded parameters.
        norm: The layer with its normalisation, for training.
    """

    layer: str
    weight: str
    bias: str
    norm: NormalisedLayer


class NormalisedLayer(nn.Module):
    """A convolution or linear layer and the normalisation after it, computed with folded weights.

    In training it normalises by the batch and updates the statistics; frozen, or in evaluation, by the statistics.
    """

    def __init__(self, node: Node, tensors: tuple[torch.Tensor | None, ...], momentum: float, eps: float) -> None:
        """Take the layer's node and weight, bias, γ, β, mean and variance, the tensors themselves."""
        super().__init__()
        weight, bias, gamma, beta, mean, variance = tensors
        self.operator, self.literals = node.target, filled(node)[3:]
        self.momentum, self.eps = momentum, eps
        self.frozen = momentum == 0.0
        self.weight, self.bias = weight, bias
        self.gamma, self.beta = gamma, beta
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)
        self.quantise: nn.Module = nn.Identity()

    def folded(self) -> tuple[torch.Tensor, torch.Tensor]:
        """Weight and bias with the normalisation in them, by the statistics."""
        factor = self._factor()
        bias = -self.mean if self.bias is None else self.bias - self.mean
        bias = bias * factor
        return self.weight * self._per_channel(factor), bias if self.beta is None else bias + self.beta

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised output."""
        weight, bias = self.folded()
        weight = self.quantise(weight)
        if self.frozen or not self.training:
            result: torch.Tensor = self.operator(x, weight, bias, *self.literals)
            return result
        y = self.operator(x, weight, None, *self.literals)
        shape = (1, -1, *(1 for _ in y.shape[2:]))
        y = y / self._factor().reshape(shape)
        if self.bias is not None:
            y = y + self.bias.reshape(shape)
        return nn.functional.batch_norm(
            y, self.mean, self.variance, self.gamma, self.beta, training=True, momentum=self.momentum, eps=self.eps
        )

    def _factor(self) -> torch.Tensor:
        factor = torch.rsqrt(self.variance + self.eps)
        factor = factor if self.gamma is None else factor * self.gamma
        return torch.where(factor.abs() < SMALLEST_FACTOR, SMALLEST_FACTOR, factor)

    def _per_channel(self, factor: torch.Tensor) -> torch.Tensor:
        return factor.reshape(-1, *(1 for _ in self.weight.shape[1:]))


class LoneNorm(nn.Module):
    """A batch normalisation that no layer can take in: it stays in float.

    A module of its own, since torchao looks for the operator's patterns for most of a minute, and would take an
    epsilon of 1e-5 for whatever it is.
    """

    def __init__(self, tensors: tuple[torch.Tensor | None, ...], momentum: float, eps: float) -> None:
        """Take γ, β, mean and variance, the tensors themselves; without statistics it always takes the batch's."""
        super().__init__()
        self.momentum, self.eps = momentum, eps
        self.frozen = False
        self.gamma, self.beta, mean, variance = tensors
        self.register_buffer("mean", mean)
        self.register_buffer("variance", variance)

    def forward(self, x: torch.Tensor) -> torch.Tensor:
        """Return the normalised input."""
        by_batch = self.mean is None or (self.training and not self.frozen)
        return nn.functional.batch_norm(
            x, self.mean, self.variance, self.gamma, self.beta, training=by_batch, momentum=self.momentum, eps=self.eps
        )


def fold(graph_module: GraphModule) -> tuple[Folded, ...]:
    """Fold each normalisation that alone reads a convolution or linear layer into that layer, in place.

    Every other one becomes a `LoneNorm`.
    """
    found = []
    for node in list(graph_module.graph.nodes):
        if node.target is not torch.ops.aten.batch_norm.default:
            continue
        layer, *parts, _, momentum, eps, _ = filled(node)
        tensors = tuple(tensor_at(graph_module, part) for part in parts)
        if None in parts[2:] or not _folds(layer):
            call_instead(graph_module, node, f"norm_{node.name}", LoneNorm(tensors, momentum, eps))
            continue
        weights = tuple(tensor_at(graph_module, part) for part in filled(layer)[1:3])
        norm = NormalisedLayer(layer, (*weights, *tensors), momentum, eps)
        found.append(_replace(graph_module, layer, node, norm))
    graph_module.graph.eliminate_dead_code()
    graph_module.recompile()
    return tuple(found)


def set_folded(graph_module: GraphModule, folded: tuple[Folded, ...]) -> None:
    """Write what the normalised layers have learnt into the folded parameters of the graph."""
    with torch.no_grad():
        for item in folded:
            weight, bias = item.norm.folded()
            graph_module.get_parameter(item.weight).copy_(weight)
            graph_module.get_parameter(item.bias).copy_(bias)


def call_instead(graph_module: GraphModule, node: Node, name: str, module: nn.Module) -> None:
    """Put a module of the first input in the place of a node."""
    graph_module.add_submodule(name, module)
    with graph_module.graph.inserting_before(node):
        call = graph_module.graph.call_module(name, (node.args[0],))
    call.meta = dict(node.meta)
    node.replace_all_uses_with(call)
    graph_module.graph.erase_node(node)


def tensor_at(graph_module: GraphModule, node: Node | None) -> Any:
    """The parameter or buffer that a `get_attr` node stands for, the very object; None for None."""
    if node is None:
        return None
    *path, name = str(node.target).split(".")
    return getattr(graph_module.get_submodule(".".join(path)), name)


def _folds(layer: Any) -> bool:
    if getattr(layer, "target", None) not in LAYERS or len(layer.users) != 1:
        return False
    if layer.target is torch.ops.aten.linear.default and layer.meta["val"].dim() != 2:
        return False
    return all(part is None or part.op == "get_attr" for part in filled(layer)[1:3])


def _replace(graph_module: GraphModule, layer: Node, normalisation: Node, norm: NormalisedLayer) -> Folded:
    with torch.no_grad():
        weight, bias = (nn.Parameter(tensor.clone()) for tensor in norm.folded())
    names = f"folded_{layer.name}_weight", f"folded_{layer.name}_bias"
    arguments = list(filled(layer))
    for position, name, tensor in zip((1, 2), names, (weight, bias), strict=True):
        graph_module.register_parameter(name, tensor)
        with graph_module.graph.inserting_before(layer):
            arguments[position] = graph_module.graph.get_attr(name)
        arguments[position].meta["val"] = tensor
    layer.args, layer.kwargs = tuple(arguments), {}
    normalisation.replace_all_uses_with(layer)
    graph_module.graph.erase_node(normalisation)
    return Folded(layer=layer.name, weight=names[0], bias=names[1], norm=norm)
