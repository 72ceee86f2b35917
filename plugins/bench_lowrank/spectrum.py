"""The singular value decomposition of one layer, by its weight or by what it puts out, cut at a rank.

A weight reshaped to `W (out, in·k)` is replaced by `U_r (U_rᵀ W)` with r orthonormal directions U_r of the output. With
the left singular vectors of W the error is the smallest of any matrix of rank r (Eckart and Young 1936, The
approximation of one matrix by another of lower rank); with the eigenvectors of the covariance of the responses
`y = W x`, the mean squared error of the responses is (Zhang et al. 2016, Accelerating Very Deep Convolutional Networks
for Classification and Detection, arXiv:1505.06798, section 3.1).
"""

from __future__ import annotations

from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import torch
from torch import nn

from bench_lowrank.blocks import pointwise, spatial
from bench_lowrank.layer import Layer

if TYPE_CHECKING:
    from bench_lowrank.responses import Responses


@dataclass(frozen=True, slots=True, kw_only=True)
class Spectrum:
    """Directions of a layer's output, the one with the most energy first; all in float64.

    Attributes:
        basis: `(out, n)`, orthonormal columns.
        energies: `(n,)`: squared singular values of the weight, or variances of the responses; they fall.
        mean: `(out,)` mean of `W x`, for which the bias makes up; None when it is not known.
    """

    layer: Layer
    basis: torch.Tensor
    energies: torch.Tensor
    mean: torch.Tensor | None = None

    @property
    def cost(self) -> int:
        """Parameters of one rank, in both factors together."""
        outputs = int(self.basis.shape[0])
        return outputs + self.layer.parameters // outputs

    @property
    def most(self) -> int:
        """The largest rank with fewer parameters, and so fewer multiply-accumulates, than the layer; maybe 0."""
        return min((self.layer.parameters - 1) // self.cost, int(self.energies.numel()))

    def rank_for(self, energy: float) -> int:
        """The smallest rank that keeps a share of the energy."""
        kept = torch.cumsum(self.energies, 0)
        return int((kept < energy * kept[-1]).sum()) + 1

    def error(self, rank: int) -> float:
        """Norm of what a rank loses, relative to the norm of what is there."""
        return float((self.energies[rank:].sum() / self.energies.sum()).sqrt())

    def factors(self, rank: int) -> nn.Sequential:
        """Two layers: to `rank` channels with the kernel, stride and padding, then to all of them with the bias."""
        layer, weight = self.layer.module, self.layer.weight
        directions = self.basis[:, :rank]
        projected = directions.T @ weight.flatten(1)
        # Both factors get the root of each singular value, so that neither is much larger than the other.
        size = projected.norm(dim=1)
        scale = torch.where(size > 0, size, 1.0).sqrt()
        reduced = projected / scale[:, None]
        bias = None if layer.bias is None else layer.bias.detach().double()
        if bias is not None and self.mean is not None:
            bias = bias + self.mean - directions @ (directions.T @ self.mean)
        first = (
            spatial(layer, reduced.reshape(rank, *weight.shape[1:])) if self.layer.kernel else pointwise(layer, reduced)
        )
        return nn.Sequential(OrderedDict(reduce=first, restore=pointwise(layer, directions * scale, bias)))


def of_weight(layer: Layer) -> Spectrum:
    """By the singular values of the weight."""
    basis, values, _ = torch.linalg.svd(layer.weight.flatten(1), full_matrices=False)
    return Spectrum(layer=layer, basis=basis, energies=values.square())


def of_responses(layer: Layer, responses: Responses) -> Spectrum:
    """By the variance of what the layer puts out; without a bias to make up for the mean, by its second moment."""
    centred = layer.module.bias is not None
    energies, basis = torch.linalg.eigh(responses.covariance if centred else responses.second_moment)
    falling = torch.arange(energies.numel() - 1, -1, -1)
    return Spectrum(
        layer=layer,
        basis=basis[:, falling],
        energies=energies[falling].clamp(min=0.0),
        mean=responses.mean if centred else None,
    )
