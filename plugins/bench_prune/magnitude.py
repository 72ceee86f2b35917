"""Zeroes the weights of smallest magnitude, exactly as many as asked for."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

from harness import ArtifactError, BuildContext, UnsupportedError

if TYPE_CHECKING:
    import torch
    from torch import nn

    from bench_prune.options import PruneMagnitude


def prune(module: nn.Module, options: PruneMagnitude, context: BuildContext) -> nn.Module:
    """Return a pruned copy; biases and normalisation are left alone.

    Weights that are zero already count as pruned. Ties are broken by position, so the result does not depend on the
    seed.

    Raises:
        UnsupportedError: `amount` is not above 0 and below 1.
        ArtifactError: The module has neither convolutions nor linear layers.
    """
    if not 0.0 < options.amount < 1.0:
        raise UnsupportedError(f"amount={options.amount}: must be above 0 and below 1", hint="0.5 prunes half.")
    pruned = copy.deepcopy(module)
    weights = _weights(pruned)
    if not weights:
        raise ArtifactError("the module has no convolution or linear layer to prune", hint="Leave prune-magnitude out.")
    groups = [list(weights.values())] if options.scope == "global" else [[weight] for weight in weights.values()]
    for group in groups:
        _zero_smallest(group, options.amount)
    shares = {name: float((weight == 0).double().mean()) for name, weight in weights.items()}
    elements = sum(weight.numel() for weight in weights.values())
    zeros = sum(int((weight == 0).sum()) for weight in weights.values())
    most = max(shares, key=lambda name: shares[name])
    context.note(
        f"{zeros / elements:.1%} of {elements} weights in {len(weights)} layers are zero; "
        f"most in {most}: {shares[most]:.1%}"
    )
    return pruned


def _weights(module: nn.Module) -> dict[str, torch.Tensor]:
    """Weights by layer name, each once even where layers share them."""
    from torch import nn

    layers = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.ConvTranspose1d, nn.ConvTranspose2d, nn.ConvTranspose3d, nn.Linear)
    found: dict[str, torch.Tensor] = {}
    seen: set[int] = set()
    for name, layer in module.named_modules():
        if isinstance(layer, layers) and id(layer.weight) not in seen:
            seen.add(id(layer.weight))
            found[name or type(layer).__name__] = layer.weight
    return found


def _zero_smallest(weights: list[torch.Tensor], amount: float) -> None:
    """Set the `round(amount × elements)` weights of smallest magnitude to zero, in place."""
    import torch

    with torch.no_grad():
        magnitudes = torch.cat([weight.detach().abs().reshape(-1) for weight in weights])
        smallest = torch.sort(magnitudes, stable=True).indices[: round(amount * magnitudes.numel())]
        chosen = torch.zeros_like(magnitudes, dtype=torch.bool)
        chosen[smallest] = True
        start = 0
        for weight in weights:
            weight.masked_fill_(chosen[start : start + weight.numel()].view_as(weight), 0.0)
            start += weight.numel()
