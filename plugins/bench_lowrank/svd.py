"""`low-rank-svd`: linear layers and convolutions as two layers with few channels between them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_lowrank.factorisation import Factorisation, Factorised, begin, check_share, check_tuning, check_whole, finish
from bench_lowrank.responses import watch
from bench_lowrank.spectrum import Spectrum, of_responses, of_weight
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_lowrank.layer import Layer
    from bench_lowrank.options import LowRankSvd

BIGGER = "their factors would be as large as they are"


def apply(module: nn.Module, options: LowRankSvd, context: BuildContext) -> nn.Module:
    """Return a factorised copy. No layer gets more parameters or multiply-accumulates than it had.

    Raises:
        UnsupportedError: An option is out of its range, or even rank 1 everywhere keeps more than `parameters`.
        ArtifactError: No layer can be factorised, or there are no calibration rows for `responses`.
    """
    if options.parameters:
        check_share("parameters", options.parameters, "0.5 keeps half of the network.")
    check_share("energy", options.energy, "0.9 is a good start.")
    check_whole("rows", options.rows, 1)
    check_tuning(options)
    work = begin(module, context)
    spectra = _spectra(work, options)
    if options.parameters:
        total = sum(parameter.numel() for parameter in work.module.parameters())
        ranks = ranks_within(spectra, budget_of(spectra, total, options.parameters))
    else:
        ranks = [spectrum.rank_for(options.energy) for spectrum in spectra]
    made = []
    for spectrum, rank in zip(spectra, ranks, strict=True):
        if rank > spectrum.most:
            work.remarks.leave(spectrum.layer.name, BIGGER)
        else:
            made.append(_cut(spectrum, rank))
    _put(work, made, latency=options.latency)
    return finish(work, options)


def budget_of(spectra: list[Spectrum], total: int, share: float) -> int:
    """Parameters that the weights of the layers may have, so that a network of `total` keeps a share of them.

    Raises:
        UnsupportedError: Rank 1 everywhere is too much already.
    """
    fixed = total - sum(spectrum.layer.parameters for spectrum in spectra)
    least = fixed + sum(min(spectrum.cost, spectrum.layer.parameters) for spectrum in spectra)
    if spectra and least > share * total:
        raise UnsupportedError(
            f"parameters={share}: rank 1 everywhere keeps {least / total:.1%}",
            hint="Keep more; layers that cannot be factorised stay as they are (convolutions='all' takes most).",
        )
    return int(share * total) - fixed


def ranks_within(spectra: list[Spectrum], budget: int) -> list[int]:
    """Ranks whose parameters fit a budget, by one threshold over the singular values of all layers.

    The goal is the largest product of what the layers keep of their energy (Zhang et al. 2016, arXiv:1505.06798,
    section 2.4), so a component is worth its share of the energy up to it, for each of its parameters. The threshold
    is the lowest that fits, found by bisection, for the size falls as it rises. Every layer keeps rank 1. A rank above
    `Spectrum.most` means that the layer stays as it is.
    """
    worth = [spectrum.energies / spectrum.energies.cumsum(0) / spectrum.cost for spectrum in spectra]
    thresholds = sorted({float(value) for values in worth for value in values})

    def ranks_at(threshold: float) -> list[int]:
        return [max(1, int((values > threshold).sum())) for values in worth]

    low, high = 0, len(thresholds) - 1
    while low < high:
        middle = (low + high) // 2
        if _size(spectra, ranks_at(thresholds[middle])) <= budget:
            high = middle
        else:
            low = middle + 1
    return ranks_at(thresholds[low]) if thresholds else []


def _size(spectra: list[Spectrum], ranks: list[int]) -> int:
    return sum(
        rank * spectrum.cost if rank <= spectrum.most else spectrum.layer.parameters
        for spectrum, rank in zip(spectra, ranks, strict=True)
    )


def _spectra(work: Factorisation, options: LowRankSvd) -> list[Spectrum]:
    """Spectra of the layers that the options take."""
    layers: list[Layer] = []
    for layer in work.layers:
        if options.convolutions == "pointwise" and any(size > 1 for size in layer.kernel):
            work.remarks.leave(layer.name, "convolutions='pointwise'")
        else:
            layers.append(layer)
    if options.error == "weights":
        return [of_weight(layer) for layer in layers]
    seen = watch(work.module, layers, options.rows, work.context)
    spectra = []
    for layer in layers:
        responses = seen[layer.name]
        if responses.n < layer.module.weight.shape[0]:
            work.remarks.leave(layer.name, "calibration rows give fewer responses than they have outputs")
        elif not float(responses.second_moment.trace()) > 0:
            work.remarks.leave(layer.name, "they put out nothing on the calibration rows")
        else:
            spectra.append(of_responses(layer, responses))
    return spectra


def _cut(spectrum: Spectrum, rank: int) -> Factorised:
    return Factorised(
        layer=spectrum.layer,
        factors=spectrum.factors(rank),
        rank=f"{rank} of {spectrum.energies.numel()}",
        error=spectrum.error(rank),
    )


def _put(work: Factorisation, made: list[Factorised], *, latency: bool) -> None:
    """Put factors in place; with `latency`, only those that lower the estimated latency, one after the other."""
    cost = work.context.cost
    if not latency:
        for one in made:
            work.put(one)
        return
    if cost is None:
        raise UnsupportedError("latency=true: the run names no device", hint="Give one with --profile.")
    first = best_ms = cost(work.context.graph(work.module))
    for one in made:
        work.put(one)
        now_ms = cost(work.context.graph(work.module))
        if now_ms < best_ms:
            best_ms = now_ms
        else:
            work.remarks.leave(work.take_back().name, "estimated to be no faster on the device")
    work.context.note(f"estimated latency on the device {first:.3g} → {best_ms:.3g} ms")
