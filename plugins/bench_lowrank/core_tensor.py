"""The Tucker-2 decomposition of a convolution: matrices for its channels around a smaller convolution.

Kim et al. 2016, Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile Applications,
arXiv:1511.06530. There the ranks come from variational Bayesian matrix factorisation; here from a budget or a share of
the energy. A side that keeps all its channels has no matrix, which leaves the two-layer form of `low-rank-svd`.
"""

from __future__ import annotations

import warnings
from collections import OrderedDict
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import nn

from bench_lowrank.blocks import pointwise, spatial
from bench_lowrank.layer import Layer

if TYPE_CHECKING:
    from numpy.typing import NDArray

Ranks = tuple[int, int]
"""Channels of the core: output and input."""


def parameters_of(layer: Layer, ranks: Ranks) -> int:
    """Parameters of the factors, without the bias."""
    reduce, core, restore = _weights_of(layer, ranks)
    return reduce + core + restore


def macs_of(layer: Layer, ranks: Ranks) -> int:
    """Multiply-accumulates of the factors in one inference; the first 1×1 works before any stride."""
    reduce, core, restore = _weights_of(layer, ranks)
    return reduce * layer.read + (core + restore) * layer.written


def kept(layer: Layer) -> NDArray[np.float64]:
    """Share of the energy of the weight that a truncated higher-order SVD keeps, for every pair of ranks.

    Returns:
        `(out + 1, in + 1)`, element `[r_out, r_in]`; 0 in the first row and column, 1 in the last element.
    """
    weight = layer.weight.cpu().numpy()
    tensor = weight.reshape(*weight.shape[:2], -1) / np.linalg.norm(weight)
    by_output = _directions(tensor.reshape(tensor.shape[0], -1))
    by_input = _directions(tensor.swapaxes(0, 1).reshape(tensor.shape[1], -1))
    core = np.einsum("oik,oa,ib->abk", tensor, by_output, by_input, optimize=True)
    shares = np.square(core).sum(axis=2).cumsum(axis=0).cumsum(axis=1)
    return np.pad(shares, ((1, 0), (1, 0)))


def ranks_within(layer: Layer, budget: int) -> Ranks | None:
    """Ranks that keep most energy among those with so many parameters and fewer multiply-accumulates, or None."""
    shares = kept(layer)
    best: Ranks | None = None
    for outputs in range(1, shares.shape[0]):
        for inputs in range(shares.shape[1] - 1, 0, -1):
            ranks = outputs, inputs
            if parameters_of(layer, ranks) <= budget and macs_of(layer, ranks) < layer.macs:
                if best is None or shares[ranks] > shares[best]:
                    best = ranks
                break  # fewer input channels keep less
    return best


def ranks_for(layer: Layer, energy: float) -> Ranks:
    """The smallest ranks at which each side by itself, the other whole, keeps a share of the energy."""
    shares = kept(layer)
    outputs, inputs = (int((side < energy * side[-1]).sum()) for side in (shares[:, -1], shares[-1, :]))
    return outputs, inputs


def decompose(layer: Layer, ranks: Ranks, iterations: int, seed: int) -> tuple[nn.Sequential, float]:
    """Decompose by higher-order orthogonal iteration.

    Returns:
        The layers: 1×1, the core with kernel, stride and padding, 1×1 with the bias; and the norm of what is lost
        relative to the norm of the weight.
    """
    import tensorly  # type: ignore[import-untyped, unused-ignore]
    from tensorly.decomposition import partial_tucker  # type: ignore[import-untyped, unused-ignore]

    weight = layer.weight.cpu().numpy()
    tensor = weight.reshape(*weight.shape[:2], -1)
    with warnings.catch_warnings(), tensorly.backend_context("numpy", local_threadsafe=True):
        warnings.simplefilter("ignore")
        (core, matrices), _ = partial_tucker(
            tensor, rank=list(ranks), modes=[0, 1], n_iter_max=iterations, init="svd", tol=1e-8, random_state=seed
        )
    # The matrices are orthonormal, so the core holds all the norm that is kept.
    norm = float(np.linalg.norm(core) / np.linalg.norm(tensor))
    return _factors(layer, core, matrices), float(np.sqrt(max(0.0, 1.0 - norm**2)))


def _factors(layer: Layer, core: NDArray[np.float64], matrices: list[NDArray[np.float64]]) -> nn.Sequential:
    outputs, inputs = matrices
    bias = None if layer.module.bias is None else layer.module.bias.detach()
    parts: OrderedDict[str, nn.Module] = OrderedDict()
    if inputs.shape[1] < inputs.shape[0]:
        parts["reduce"] = pointwise(layer.module, torch.from_numpy(np.ascontiguousarray(inputs.T)))
    else:
        core = np.einsum("oik,ci->ock", core, inputs)
    whole = outputs.shape[1] == outputs.shape[0]
    if whole:
        core = np.einsum("oik,co->cik", core, outputs)
    kernel = torch.from_numpy(core.reshape(*core.shape[:2], *layer.kernel))
    parts["core"] = spatial(layer.module, kernel, bias=bias if whole else None)
    if not whole:
        parts["restore"] = pointwise(layer.module, torch.from_numpy(np.ascontiguousarray(outputs)), bias)
    return nn.Sequential(parts)


def _weights_of(layer: Layer, ranks: Ranks) -> tuple[int, int, int]:
    """Weights of the first 1×1, the core, and the last 1×1; none where a side keeps all its channels."""
    outputs, inputs = layer.module.weight.shape[:2]
    kernel = layer.parameters // (outputs * inputs)
    reduce = inputs * ranks[1] if ranks[1] < inputs else 0
    restore = outputs * ranks[0] if ranks[0] < outputs else 0
    return reduce, ranks[0] * ranks[1] * kernel, restore


def _directions(matrix: NDArray[np.float64]) -> NDArray[np.float64]:
    """All left singular vectors, as many as rows, the one with the largest singular value first."""
    _, vectors = np.linalg.eigh(matrix @ matrix.T)
    return np.asarray(vectors[:, ::-1])
