"""The canonical polyadic (CP) decomposition of a convolution, kept from degenerating.

Lebedev et al. 2015, Speeding-up Convolutional Neural Networks Using Fine-tuned CP-Decomposition, arXiv:1412.6553: the
weight `(out, in, *kernel)` is a sum of `rank` outer products, and the convolution becomes 1×1, one depthwise
convolution along each axis of space, and 1×1. An axis on which the kernel is 1 takes no part.
"""

from __future__ import annotations

import math
import warnings
from collections import OrderedDict
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench_lowrank.blocks import pointwise, spatial
from bench_lowrank.layer import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

RIDGES = (0.0, 1e-3, 1e-2)
"""Regularisation of alternating least squares for a tensor of norm 1: none first, then as much as it takes."""
TERMS_LIMIT = 2.0
"""Root of the sum of the terms' squared norms, relative to the tensor's norm, above which terms cancel each other.

Orthogonal terms have 1. Phan et al. 2020, Stable Low-rank Tensor Decomposition for Compression of Convolutional Neural
Network, arXiv:2008.05441: such a decomposition is degenerate, and training it further is unstable.
"""
TOLERANCE = 1e-8
"""Change of the relative error from one sweep to the next at which alternating least squares stops."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Polyadic:
    """A CP decomposition.

    Attributes:
        factors: One matrix `(size, rank)` for the output channels, the input channels and each axis of space whose
            kernel is above 1; columns of one term have the same norm in each.
        error: Norm of what is lost relative to the norm of the tensor.
        terms: Size of the terms relative to the tensor, as in `TERMS_LIMIT`.
        ridge: Regularisation that it took.
    """

    factors: tuple[NDArray[np.float64], ...]
    error: float
    terms: float
    ridge: float


def axes_of(layer: Layer) -> tuple[int, ...]:
    """Axes of space on which the kernel is above 1."""
    return tuple(axis for axis, size in enumerate(layer.kernel) if size > 1)


def parameters_per_rank(layer: Layer) -> int:
    """Parameters of one term."""
    return sum(_sizes(layer))


def macs_per_rank(layer: Layer) -> int:
    """Multiply-accumulates of one term in one inference: the first 1×1 works before any stride, the last after all."""
    outputs, inputs, *kernel = _sizes(layer)
    macs = inputs * layer.read + outputs * layer.written
    for call in layer.calls:
        now = list(call.read)
        for number, (axis, size) in enumerate(zip(axes_of(layer), kernel, strict=True)):
            for changed in _taken(layer, number, axis):
                now[changed] = call.written[changed]
            macs += size * math.prod(now)
    return macs


def decompose(layer: Layer, rank: int, iterations: int, seed: int) -> Polyadic | None:
    """Decompose by alternating least squares, regularised as far as it takes; None where that does not help either."""
    tensor = layer.weight.cpu().numpy().reshape(_sizes(layer))
    for ridge in RIDGES:
        try:
            found = _least_squares(tensor, rank, iterations, seed, ridge)
        except np.linalg.LinAlgError:  # terms are so alike that nothing tells them apart
            continue
        if found.terms <= TERMS_LIMIT:
            return found
    return None


def factors(layer: Layer, found: Polyadic) -> nn.Sequential:
    """The layers: 1×1, depthwise along each axis, 1×1 with the bias."""
    outputs, inputs, *kernels = (torch.from_numpy(factor) for factor in found.factors)
    rank = outputs.shape[1]
    parts: OrderedDict[str, nn.Module] = OrderedDict(reduce=pointwise(layer.module, inputs.T))
    for number, (axis, kernel) in enumerate(zip(axes_of(layer), kernels, strict=True)):
        shape = [1] * len(layer.kernel)
        shape[axis] = layer.kernel[axis]
        weight = kernel.T.reshape(rank, 1, *shape)
        parts[f"along{axis}"] = spatial(layer.module, weight, _taken(layer, number, axis), groups=rank)
    bias = layer.module.bias
    parts["restore"] = pointwise(layer.module, outputs, None if bias is None else bias.detach())
    return nn.Sequential(parts)


def _sizes(layer: Layer) -> tuple[int, ...]:
    """Sizes of output channels, input channels and kernel where it is above 1."""
    outputs, inputs = layer.module.weight.shape[:2]
    return (outputs, inputs, *(layer.kernel[axis] for axis in axes_of(layer)))


def _taken(layer: Layer, number: int, axis: int) -> tuple[int, ...]:
    """Axes whose stride and padding a depthwise layer takes: its own, and the first those where the kernel is 1."""
    alone = tuple(other for other in range(len(layer.kernel)) if other not in axes_of(layer))
    return (axis, *alone) if number == 0 else (axis,)


def _least_squares(tensor: NDArray[np.float64], rank: int, iterations: int, seed: int, ridge: float) -> Polyadic:
    import tensorly  # type: ignore[import-untyped, unused-ignore]
    from tensorly.decomposition import parafac  # type: ignore[import-untyped, unused-ignore]

    norm = float(np.linalg.norm(tensor))
    with warnings.catch_warnings(), tensorly.backend_context("numpy", local_threadsafe=True):
        warnings.simplefilter("ignore")  # says that it fills up with random columns where the rank is above a size
        weights, matrices = parafac(
            tensor / norm, rank, n_iter_max=iterations, init="svd", tol=TOLERANCE, random_state=seed, l2_reg=ridge
        )
        lost = tensor / norm - tensorly.cp_to_tensor((weights, matrices))
    lengths = np.array([np.linalg.norm(matrix, axis=0) for matrix in matrices])
    terms = np.abs(weights) * lengths.prod(axis=0)
    even = (norm * terms) ** (1 / len(matrices))
    safe = np.where(lengths > 0, lengths, 1.0)
    scaled = [matrix / length * even for matrix, length in zip(matrices, safe, strict=True)]
    scaled[0] = scaled[0] * np.sign(weights)
    return Polyadic(
        factors=tuple(scaled),
        error=float(np.linalg.norm(lost)),
        terms=float(np.linalg.norm(terms)),
        ridge=ridge,
    )
