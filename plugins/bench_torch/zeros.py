"""Weights that an earlier technique set to zero, and that training leaves there."""

from __future__ import annotations

import torch
from torch import nn


class Zeros:
    """Zeros among the trained weights of a module, in tensors of two or more dimensions.

    A tensor that is zero throughout was not pruned (the second factor of an adapter starts like that): it is free.
    """

    def __init__(self, module: nn.Module) -> None:
        """Take the weights; nothing is held until `find`."""
        self._weights = [p for p in module.parameters() if p.requires_grad and p.ndim >= 2]
        self._found: list[tuple[nn.Parameter, torch.Tensor]] = []

    def find(self) -> None:
        """From now on, hold the weights that are exactly zero, and no others."""
        self._found = []
        for weight in self._weights:
            zero = weight.detach() == 0
            if 0 < int(zero.sum()) < zero.numel():
                self._found.append((weight, zero))

    def clear_gradients(self) -> None:
        """Drop the gradients of what is held, so that they take no share of the gradient's norm."""
        for weight, zero in self._found:
            if weight.grad is not None:
                weight.grad.masked_fill_(zero, 0.0)

    @torch.no_grad()
    def clear_weights(self) -> None:
        """Set what is held to zero again: an optimiser moves weights by the momentum of earlier steps too."""
        for weight, zero in self._found:
            weight.masked_fill_(zero, 0.0)
