"""`low-rank-tucker`: k×k convolutions as 1×1, a smaller k×k, 1×1."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_lowrank.core_tensor import Ranks, decompose, macs_of, parameters_of, ranks_for, ranks_within
from bench_lowrank.factorisation import Factorised, begin, check_share, check_tuning, check_whole, finish
from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_lowrank.layer import Layer
    from bench_lowrank.options import LowRankTucker


def apply(module: nn.Module, options: LowRankTucker, context: BuildContext) -> nn.Module:
    """Return a factorised copy. No layer gets more parameters or multiply-accumulates than it had.

    Raises:
        UnsupportedError: An option is out of its range, or two options set the ranks.
        ArtifactError: No layer can be factorised.
    """
    _check(options)
    work = begin(module, context)
    for layer in work.layers:
        if all(size == 1 for size in layer.kernel):
            work.remarks.leave(layer.name, "linear layers and 1×1 convolutions, which low-rank-svd factorises")
            continue
        ranks = ranks_of(layer, options)
        if ranks is None:
            work.remarks.leave(layer.name, "their factors would be as large as they are, or larger than asked for")
            continue
        factors, error = decompose(layer, ranks, options.iterations, context.seed)
        inputs, outputs = layer.module.weight.shape[1], layer.module.weight.shape[0]
        rank = f"{ranks[1]} of {inputs} in, {ranks[0]} of {outputs} out"
        work.put(Factorised(layer=layer, factors=factors, rank=rank, error=error))
    return finish(work, options)


def ranks_of(layer: Layer, options: LowRankTucker) -> Ranks | None:
    """Ranks that the options ask for, or None when they make the layer no smaller."""
    if not options.rank and not options.energy:
        return ranks_within(layer, min(int(options.parameters * layer.parameters), layer.parameters - 1))
    outputs, inputs = layer.module.weight.shape[:2]
    if options.rank:
        ranks = min(options.rank, outputs), min(options.rank, inputs)
    else:
        ranks = ranks_for(layer, options.energy)
    smaller = parameters_of(layer, ranks) < layer.parameters and macs_of(layer, ranks) < layer.macs
    return ranks if smaller else None


def _check(options: LowRankTucker) -> None:
    check_share("parameters", options.parameters, "0.5 keeps half of each convolution.")
    check_whole("rank", options.rank, 0)
    if options.energy:
        check_share("energy", options.energy, "0.9 is a good start.")
    if options.energy and options.rank:
        raise UnsupportedError(
            f"rank={options.rank} and energy={options.energy} both set the ranks", hint="Leave one of them out."
        )
    check_whole("iterations", options.iterations, 1)
    check_tuning(options)
