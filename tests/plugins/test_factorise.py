"""The mathematics of the factorisations: exact where the rank allows it, the best there is where it does not."""

from __future__ import annotations

from itertools import pairwise

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from bench_lowrank import core_tensor, cp, polyadic, tucker
from bench_lowrank.layer import Layer, find_layers
from bench_lowrank.options import LowRankCp, LowRankTucker
from bench_lowrank.remarks import Remarks
from bench_lowrank.spectrum import of_weight
from bench_lowrank.svd import ranks_within

FORMS = {
    "plain": {"kernel_size": 3},
    "strided": {"kernel_size": 3, "stride": 2, "padding": 1},
    "uneven": {"kernel_size": (5, 3), "stride": (1, 2), "padding": (2, 0), "dilation": (1, 2)},
    "along time": {"kernel_size": (1, 5), "stride": (1, 2), "padding": (0, 2), "bias": False},
    "across time": {"kernel_size": (3, 1), "stride": (2, 2), "padding": (1, 1)},
    "same": {"kernel_size": (3, 4), "padding": "same", "dilation": 2},
    "valid": {"kernel_size": 2, "padding": "valid"},
    "reflect": {"kernel_size": 3, "stride": 2, "padding": (2, 1), "padding_mode": "reflect"},
    "replicate": {"kernel_size": (1, 3), "padding": (2, 1), "padding_mode": "replicate"},
    "circular": {"kernel_size": 3, "padding": (1, 2), "padding_mode": "circular"},
}


def layer_of(module: nn.Module, *shape: int) -> Layer:
    remarks = Remarks()
    (layer,) = find_layers(module, (torch.zeros(shape),), remarks)
    return layer


def conv(form: str, inputs: int = 4, outputs: int = 6) -> nn.Conv2d:
    torch.manual_seed(0)
    return nn.Conv2d(inputs, outputs, **FORMS[form])


def set_weight(module: nn.Module, values: np.ndarray) -> None:
    with torch.no_grad():
        module.weight.copy_(torch.from_numpy(values).reshape(module.weight.shape))


def differ(layer: Layer, factors: nn.Module, *shape: int) -> float:
    torch.manual_seed(1)
    x = torch.randn(2, *shape)
    with torch.no_grad():
        ours, theirs = factors(x), layer.module(x)
    assert ours.shape == theirs.shape
    return float((ours - theirs).abs().max() / theirs.abs().max())


@pytest.mark.parametrize("form", FORMS)
def test_svd_of_full_rank_does_what_the_convolution_does(form):
    layer = layer_of(conv(form), 1, 4, 12, 14)
    assert differ(layer, of_weight(layer).factors(6), 4, 12, 14) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_svd_of_the_exact_rank_does_what_the_convolution_does(form):
    module = conv(form)
    draw = np.random.default_rng(0)
    set_weight(module, draw.normal(size=(6, 2)) @ draw.normal(size=(2, module.weight.numel() // 6)))
    layer = layer_of(module, 1, 4, 12, 14)
    assert differ(layer, of_weight(layer).factors(2), 4, 12, 14) < 1e-5


@pytest.mark.parametrize("form", FORMS)
def test_cp_of_the_exact_rank_does_what_the_convolution_does(form):
    module = conv(form)
    draw = np.random.default_rng(0)
    kernel = [size for size in module.kernel_size if size > 1]
    terms = [draw.normal(size=(size, 2)) for size in (6, 4, *kernel)]
    set_weight(module, np.einsum("ar,br,cr,dr->abcd" if len(kernel) == 2 else "ar,br,cr->abc", *terms))
    layer = layer_of(module, 1, 4, 12, 14)
    found = polyadic.decompose(layer, 2, 500, 0)
    assert found.error < 1e-5
    assert differ(layer, polyadic.factors(layer, found), 4, 12, 14) < 1e-4


@pytest.mark.parametrize("form", ["strided", "along time", "across time", "circular"])
def test_cp_of_full_rank_does_what_the_convolution_does(form):
    module = conv(form, 2, 3)
    layer = layer_of(module, 1, 2, 12, 14)
    rank = module.weight.numel() // max(3, *module.kernel_size)
    found = polyadic._least_squares(layer.weight.numpy().reshape(polyadic._sizes(layer)), rank, 1000, 0, 0.0)
    scaled = polyadic.factors(layer, found)
    assert differ(layer, scaled, 2, 12, 14) < 1e-4


@pytest.mark.parametrize("ranks", [(6, 4), (6, 3), (5, 4), (2, 2)])
@pytest.mark.parametrize("form", FORMS)
def test_tucker_of_the_exact_ranks_does_what_the_convolution_does(form, ranks):
    module = conv(form)
    draw = np.random.default_rng(0)
    small = draw.normal(size=(*ranks, module.weight.numel() // 24))
    set_weight(
        module, np.einsum("abk,oa,ib->oik", small, draw.normal(size=(6, ranks[0])), draw.normal(size=(4, ranks[1])))
    )
    layer = layer_of(module, 1, 4, 12, 14)
    factors, error = core_tensor.decompose(layer, ranks, 100, 0)
    assert error < 1e-6
    assert len(factors) == 1 + (ranks[0] < 6) + (ranks[1] < 4)
    assert differ(layer, factors, 4, 12, 14) < 1e-4


@pytest.mark.parametrize(
    ("module", "shape"),
    [
        (nn.Conv1d(4, 6, 5, stride=2, padding=2), (4, 20)),
        (nn.Conv3d(4, 6, (3, 1, 2), stride=(1, 2, 1), padding=(1, 0, 1)), (4, 6, 7, 8)),
    ],
    ids=["1d", "3d"],
)
def test_convolutions_over_one_and_three_dimensions_are_factorised_too(module, shape):
    layer = layer_of(module, 1, *shape)
    draw = np.random.default_rng(0)
    terms = [draw.normal(size=(size, 1)) for size in (6, 4, *(size for size in module.kernel_size if size > 1))]
    set_weight(module, np.einsum("ar,br,cr->abc" if len(terms) == 3 else "ar,br,cr,dr->abcd", *terms))
    assert differ(layer, of_weight(layer).factors(1), *shape) < 1e-5
    assert differ(layer, polyadic.factors(layer, polyadic.decompose(layer, 1, 100, 0)), *shape) < 1e-4
    assert differ(layer, core_tensor.decompose(layer, (1, 1), 100, 0)[0], *shape) < 1e-4


@given(outputs=st.integers(1, 9), inputs=st.integers(1, 9), seed=st.integers(0, 999), data=st.data())
@settings(deadline=None, max_examples=40)
def test_the_error_of_a_cut_svd_is_the_energy_of_the_dropped_singular_values(outputs, inputs, seed, data):
    torch.manual_seed(seed)
    module = nn.Linear(inputs, outputs)
    layer = layer_of(module, 1, inputs)
    rank = data.draw(st.integers(1, min(outputs, inputs)))
    spectrum = of_weight(layer)
    factors = spectrum.factors(rank)
    made = factors.restore.weight.detach().double() @ factors.reduce.weight.detach().double()
    lost = float((made - layer.weight).norm() / layer.weight.norm())
    dropped = torch.linalg.svdvals(layer.weight)[rank:].square().sum().sqrt() / layer.weight.norm()
    assert lost == pytest.approx(float(dropped), abs=1e-6)
    assert spectrum.error(rank) == pytest.approx(float(dropped), abs=1e-6)


@given(outputs=st.integers(2, 8), inputs=st.integers(2, 8), seed=st.integers(0, 99))
@settings(deadline=None, max_examples=15)
def test_the_error_falls_as_the_rank_rises(outputs, inputs, seed):
    torch.manual_seed(seed)
    layer = layer_of(nn.Conv2d(inputs, outputs, 3), 1, inputs, 5, 5)
    spectrum = of_weight(layer)
    svd = [spectrum.error(rank) for rank in range(1, outputs + 1)]
    assert all(later <= earlier + 1e-9 for earlier, later in pairwise(svd))
    shares = core_tensor.kept(layer)
    assert (np.diff(shares, axis=0) >= -1e-9).all()
    assert (np.diff(shares, axis=1) >= -1e-9).all()
    assert shares[-1, -1] == pytest.approx(1.0)
    tucker = [
        core_tensor.decompose(layer, (rank, min(rank, inputs)), 50, 0)[1] for rank in (1, outputs // 2 + 1, outputs)
    ]
    assert tucker[0] >= tucker[1] - 1e-6
    assert tucker[1] >= tucker[2] - 1e-6


def test_the_error_of_cp_falls_as_the_rank_rises():
    layer = layer_of(conv("plain", 8, 8), 1, 8, 6, 6)
    errors = [polyadic.decompose(layer, rank, 100, 0).error for rank in (1, 4, 12)]
    assert errors[0] > errors[1] > errors[2]


@given(
    shapes=st.lists(st.tuples(st.integers(1, 12), st.integers(1, 12)), min_size=1, max_size=5),
    share=st.floats(0.0, 1.2),
    seed=st.integers(0, 99),
)
@settings(deadline=None, max_examples=60)
def test_ranks_fit_their_budget_and_no_layer_becomes_bigger(shapes, share, seed):
    torch.manual_seed(seed)
    spectra = [of_weight(layer_of(nn.Linear(i, o), 1, i)) for i, o in shapes]
    least = sum(min(s.cost, s.layer.parameters) for s in spectra)
    budget = max(least, int(share * sum(s.layer.parameters for s in spectra)))
    ranks = ranks_within(spectra, budget)
    sizes = [r * s.cost if r <= s.most else s.layer.parameters for r, s in zip(ranks, spectra, strict=True)]
    assert sum(sizes) <= budget
    assert all(size <= s.layer.parameters for size, s in zip(sizes, spectra, strict=True))
    assert all(rank >= 1 for rank in ranks)


@given(
    inputs=st.integers(1, 20),
    outputs=st.integers(1, 20),
    kernel=st.tuples(st.integers(1, 4), st.integers(1, 4)),
    stride=st.integers(1, 3),
    share=st.floats(0.01, 0.99),
    rank=st.integers(0, 12),
)
@settings(deadline=None, max_examples=80)
def test_no_ranks_of_the_tensor_techniques_make_a_layer_bigger(inputs, outputs, kernel, stride, share, rank):
    layer = layer_of(nn.Conv2d(inputs, outputs, kernel, stride=stride), 1, inputs, 9, 9)
    terms = cp.rank_of(layer, LowRankCp(parameters=share, rank=rank))
    limit = layer.parameters if rank else share * layer.parameters
    if terms:
        assert terms * polyadic.parameters_per_rank(layer) <= limit
        assert terms * polyadic.parameters_per_rank(layer) < layer.parameters
        assert terms * polyadic.macs_per_rank(layer) < layer.macs
    ranks = tucker.ranks_of(layer, LowRankTucker(parameters=share, rank=rank))
    if ranks is not None:
        assert core_tensor.parameters_of(layer, ranks) <= limit
        assert core_tensor.parameters_of(layer, ranks) < layer.parameters
        assert core_tensor.macs_of(layer, ranks) < layer.macs


def test_the_layer_with_the_steeper_spectrum_gives_up_more():
    spectra = []
    for steepness in (0.1, 2.0):
        module = nn.Linear(20, 20)
        q = torch.linalg.qr(torch.randn(20, 20, generator=torch.Generator().manual_seed(0)))[0]
        set_weight(module, (q * torch.exp(-steepness * torch.arange(20))).numpy())
        spectra.append(of_weight(layer_of(module, 1, 20)))
    flat, steep = ranks_within(spectra, 300)
    assert steep < flat


def test_the_smallest_rank_that_keeps_the_energy_is_taken():
    module = nn.Linear(4, 4)
    set_weight(module, np.diag([3.0, 2.0, 1.0, 0.5]))
    spectrum = of_weight(layer_of(module, 1, 4))
    total = 9 + 4 + 1 + 0.25
    assert [spectrum.rank_for(e) for e in (0.1, 9.1 / total, 12.9 / total, 13.1 / total, 0.999)] == [1, 2, 2, 3, 4]


@pytest.mark.parametrize("noise", [0.0, 0.01])
def test_a_degenerate_decomposition_is_regularised_until_its_terms_stop_cancelling(noise):
    """A tensor of rank 3 and border rank 2 (De Silva and Lim 2008, arXiv:math/0607647): no best rank 2 exists."""
    a, b = np.eye(2)
    w = np.einsum("i,j,k->ijk", a, a, b) + np.einsum("i,j,k->ijk", a, b, a) + np.einsum("i,j,k->ijk", b, a, a)
    module = nn.Conv1d(2, 2, 2)
    set_weight(module, w + noise * np.random.default_rng(0).normal(size=w.shape))
    found = polyadic.decompose(layer_of(module, 1, 2, 8), 2, 1000, 0)
    assert found.ridge > 0
    assert found.terms <= polyadic.TERMS_LIMIT
    assert found.error < 0.9


@pytest.mark.parametrize("form", FORMS)
def test_multiply_accumulates_are_counted_as_the_factors_do_them(form):
    layer = layer_of(conv(form), 1, 4, 12, 14)
    found = polyadic.decompose(layer, 2, 5, 0)
    assert counted(polyadic.factors(layer, found), 4, 12, 14) == 2 * polyadic.macs_per_rank(layer)
    assert counted(core_tensor.decompose(layer, (3, 2), 5, 0)[0], 4, 12, 14) == core_tensor.macs_of(layer, (3, 2))
    assert counted(layer.module, 4, 12, 14) == layer.macs


def counted(module: nn.Module, *shape: int) -> int:
    macs = []

    def note(part: nn.Conv2d, given: object, result: torch.Tensor) -> None:
        macs.append(part.weight.numel() * result.shape[2:].numel())

    handles = [part.register_forward_hook(note) for part in module.modules() if isinstance(part, nn.Conv2d)]
    module(torch.zeros(1, *shape))
    for handle in handles:
        handle.remove()
    return sum(macs)
