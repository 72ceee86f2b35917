"""Multiply-accumulates and parameters of a module as a function of how many channels each layer keeps.

A convolution's or linear layer's count is a product of its inputs and outputs, so thousands of plans can be weighed
without building one; the plan that is taken is built and counted for real.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Literal

import torch
from torch import nn

from bench_prune.zeroing import LAYERS

if TYPE_CHECKING:
    from bench_prune.coupling import Side

Kept = Mapping[tuple[str, "Side"], float]
"""Share that is kept of each side of each layer; a side that is missing is whole."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Term:
    """What one tensor contributes: `amount` times the kept shares of its sides."""

    amount: float
    sides: tuple[tuple[str, Side], ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class CountModel:
    """A total: the terms that channels change, and all else as it is."""

    terms: tuple[Term, ...]
    rest: float

    def of(self, kept: Kept) -> float:
        """Total when so much of each side is kept."""
        total = self.rest
        for term in self.terms:
            amount = term.amount
            for side in term.sides:
                amount *= kept.get(side, 1.0)
            total += amount
        return total


def model_of(
    module: nn.Module, example: tuple[torch.Tensor, ...], kind: Literal["macs", "parameters"], counted: int
) -> CountModel:
    """Model whose total for the whole module is `counted`."""
    terms = _macs(module, example) if kind == "macs" else _parameters(module)
    return CountModel(terms=tuple(terms), rest=counted - sum(term.amount for term in terms))


def _macs(module: nn.Module, example: tuple[torch.Tensor, ...]) -> list[Term]:
    terms: list[Term] = []

    def record(layer: Any, inputs: tuple[torch.Tensor, ...], output: torch.Tensor) -> None:
        if isinstance(layer, nn.Linear):
            positions = output.numel() // layer.out_features
        elif layer.transposed:
            positions = inputs[0].numel() // layer.in_channels
        else:
            positions = output.numel() // layer.out_channels
        terms.append(Term(amount=positions * layer.weight.numel(), sides=_sides(names[layer])))

    names = {layer: name for name, layer in module.named_modules() if isinstance(layer, LAYERS)}
    hooks = [layer.register_forward_hook(record) for layer in names]
    try:
        with torch.no_grad():
            module(*example)
    finally:
        for hook in hooks:
            hook.remove()
    return terms


def _parameters(module: nn.Module) -> list[Term]:
    terms = []
    for name, layer in module.named_modules():
        for label, parameter in layer.named_parameters(recurse=False):
            own = f"{name}.{label}" if name else label
            if not isinstance(layer, LAYERS):
                sides: tuple[tuple[str, Side], ...] = ((name, "both"), (own, "both"))
            elif label == "weight":
                sides = _sides(name)
            else:
                sides = ((name, "out"), (name, "both"))
            terms.append(Term(amount=parameter.numel(), sides=sides))
    return terms


def _sides(name: str) -> tuple[tuple[str, Side], ...]:
    """Sides whose product a weight is; a depthwise convolution has as many of either, so it counts once."""
    return ((name, "in"), (name, "out"), (name, "both"))
