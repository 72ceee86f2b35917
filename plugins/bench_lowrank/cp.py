"""`low-rank-cp`: k×k convolutions as 1×1, depthwise along each axis of space, 1×1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_lowrank.factorisation import Factorisation, Factorised, begin, check_share, check_tuning, check_whole, finish
from bench_lowrank.polyadic import decompose, factors, macs_per_rank, parameters_per_rank
from bench_lowrank.remarks import listed
from harness import BuildContext

if TYPE_CHECKING:
    from torch import nn

    from bench_lowrank.layer import Layer
    from bench_lowrank.options import LowRankCp


def apply(module: nn.Module, options: LowRankCp, context: BuildContext) -> nn.Module:
    """Return a factorised copy. No layer gets more parameters or multiply-accumulates than it had.

    Raises:
        UnsupportedError: An option is out of its range.
        ArtifactError: No layer can be factorised.
    """
    check_share("parameters", options.parameters, "0.5 keeps half of each convolution.")
    check_whole("rank", options.rank, 0)
    check_whole("iterations", options.iterations, 1)
    check_tuning(options)
    work = begin(module, context)
    helped: list[str] = []
    for layer in work.layers:
        if all(size == 1 for size in layer.kernel):
            work.remarks.leave(layer.name, "linear layers and 1×1 convolutions, which low-rank-svd factorises")
            continue
        rank = rank_of(layer, options)
        if not rank:
            work.remarks.leave(layer.name, "their factors would be as large as they are, or larger than asked for")
            continue
        _decompose(work, layer, rank, options, helped)
    if helped:
        context.note(f"the plain CP decomposition was degenerate and was regularised: {listed(helped)}")
    return finish(work, options)


def rank_of(layer: Layer, options: LowRankCp) -> int:
    """The largest rank that the options allow and that makes the layer smaller, or 0 when there is none."""
    cost, macs = parameters_per_rank(layer), macs_per_rank(layer)
    smaller = min((layer.parameters - 1) // cost, (layer.macs - 1) // macs)
    if options.rank:
        return options.rank if options.rank <= smaller else 0
    return min(int(options.parameters * layer.parameters) // cost, smaller)


def _decompose(work: Factorisation, layer: Layer, rank: int, options: LowRankCp, helped: list[str]) -> None:
    found = decompose(layer, rank, options.iterations, work.context.seed)
    if found is None:
        work.remarks.leave(layer.name, f"their CP decomposition of rank {rank} is degenerate even when regularised")
        return
    if found.ridge:
        helped.append(layer.name)
    work.put(Factorised(layer=layer, factors=factors(layer, found), rank=str(rank), error=found.error))
