"""Zeroes the weights of smallest magnitude, exactly as many as asked for: what all unstructured pruning shares."""

from __future__ import annotations

from typing import TYPE_CHECKING

import torch
from torch import nn

from harness import ArtifactError, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Mapping

    from bench_prune.options import Scope
    from harness import Score

CONVOLUTIONS = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d)

LAYERS = (*CONVOLUTIONS, nn.Linear)
"""What is pruned; biases and normalisation are a small part of the weights and stay."""


def weights_of(module: nn.Module, technique: str) -> dict[str, torch.Tensor]:
    """Weights of convolutions and linear layers by layer name, each once even where layers share them.

    Raises:
        ArtifactError: The module has neither convolutions nor linear layers.
    """
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, layer in module.named_modules():
        if isinstance(layer, LAYERS) and id(layer.weight) not in seen:
            seen.add(id(layer.weight))
            found[name or type(layer).__name__] = layer.weight
    if not found:
        raise ArtifactError("the module has no convolution or linear layer to prune", hint=f"Leave {technique} out.")
    return found


def zero_smallest(weights: Mapping[str, torch.Tensor], amount: float, scope: Scope) -> None:
    """Set the `round(amount × elements)` weights of smallest magnitude to zero, in place.

    Weights that are zero already count. Ties are broken by position, so the result does not depend on the seed.
    """
    for group in [list(weights.values())] if scope == "global" else [[weight] for weight in weights.values()]:
        _zero_group(group, amount)


def describe(weights: Mapping[str, torch.Tensor]) -> str:
    """How many weights are zero, and in which layer the largest share."""
    shares = {name: float((weight == 0).double().mean()) for name, weight in weights.items()}
    elements = sum(weight.numel() for weight in weights.values())
    zeros = sum(int((weight == 0).sum()) for weight in weights.values())
    most = max(shares, key=lambda name: shares[name])
    return (
        f"{zeros / elements:.1%} of {elements} weights in {len(weights)} layers are zero; "
        f"most in {most}: {shares[most]:.1%}"
    )


def accuracy(score: Score | None) -> str:
    """How a note ends that says how right the network is: `, 93.1% right on 480 validation rows`, or nothing."""
    return "" if score is None else f", {score.value:.1%} right on {score.n} validation rows"


def check_amount(name: str, amount: float) -> None:
    """Refuse a share of zeros that is not above 0 and below 1."""
    if not 0.0 < amount < 1.0:
        raise UnsupportedError(f"{name}={amount}: must be above 0 and below 1", hint="0.5 prunes half.")


def check_training(epochs: float, learning_rate: float, *, required: bool) -> None:
    """Refuse epochs below 0 (or of 0 where training is what the technique does) and rates that are not above 0."""
    enough = epochs > 0.0 if required else epochs >= 0.0
    if not enough or epochs == float("inf"):
        least = "above 0" if required else "0 or more"
        raise UnsupportedError(f"epochs={epochs}: must be {least}", hint="3 goes over the training rows three times.")
    if not 0.0 < learning_rate < float("inf"):
        raise UnsupportedError(f"learning_rate={learning_rate}: must be above 0", hint="0.003 is the default.")


def _zero_group(weights: list[torch.Tensor], amount: float) -> None:
    with torch.no_grad():
        magnitudes = torch.cat([weight.detach().abs().reshape(-1) for weight in weights])
        smallest = torch.sort(magnitudes, stable=True).indices[: round(amount * magnitudes.numel())]
        chosen = torch.zeros_like(magnitudes, dtype=torch.bool)
        chosen[smallest] = True
        start = 0
        for weight in weights:
            weight.masked_fill_(chosen[start : start + weight.numel()].view_as(weight), 0.0)
            start += weight.numel()
