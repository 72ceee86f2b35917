"""Pruning of live torch modules: weights at once, along a schedule or in rounds, and whole channels."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_prune.options import (
    PruneChannels,
    PruneIterative,
    PruneMagnitude,
    PruneScheduled,
    gentler_channels,
    gentler_iterative,
    gentler_magnitude,
    gentler_scheduled,
    needs_of_channels,
    needs_of_magnitude,
)
from harness import BuildContext, Implementation, Technique, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

HARNESS_API = 1


_torch = if_installed("torch", install="pip install 'edge-bench[torch]'")
_torch_pruning = if_installed("torch", "torch_pruning", install="pip install 'edge-bench[torch,compress]'")


def _magnitude(module: nn.Module, options: PruneMagnitude, context: BuildContext) -> nn.Module:
    from bench_prune.magnitude import prune

    return prune(module, options, context)


def _scheduled(module: nn.Module, options: PruneScheduled, context: BuildContext) -> nn.Module:
    from bench_prune.schedule import prune

    return prune(module, options, context)


def _iterative(module: nn.Module, options: PruneIterative, context: BuildContext) -> nn.Module:
    from bench_prune.iterative import prune

    return prune(module, options, context)


def _channels(module: nn.Module, options: PruneChannels, context: BuildContext) -> nn.Module:
    from bench_prune.channels import prune

    return prune(module, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Yield one technique that makes tensors smaller, and three that make zeros."""
    yield Technique(
        name="prune-channels",
        summary="removes the least important channels until a share of MACs, parameters or latency is left",
        stage="structure",
        options=PruneChannels,
        needs=needs_of_channels,
        source="Fang et al., DepGraph: Towards Any Structural Pruning, CVPR 2023, arXiv:2301.12900",
        gentler=gentler_channels,
    )
    yield Technique(
        name="prune-iterative",
        summary="sets the smallest weights to zero in rounds, retraining after each",
        stage="sparsity",
        options=PruneIterative,
        needs=frozenset({"train", "labels"}),
        source="Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015, "
        "arXiv:1506.02626, section 3.4",
        gentler=gentler_iterative,
    )
    yield Technique(
        name="prune-magnitude",
        summary="sets the smallest weights to zero; shapes stay, so only sparse or compressed storage gains",
        stage="sparsity",
        options=PruneMagnitude,
        needs=needs_of_magnitude,
        source="Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015, "
        "arXiv:1506.02626",
        default="amount=0.5",
        gentler=gentler_magnitude,
    )
    yield Technique(
        name="prune-scheduled",
        summary="sets ever more of the smallest weights to zero while training, along a polynomial",
        stage="sparsity",
        options=PruneScheduled,
        needs=frozenset({"train", "labels"}),
        source="Zhu and Gupta, To prune, or not to prune: exploring the efficacy of pruning for model compression, "
        "2017, arXiv:1710.01878, equation 1",
        gentler=gentler_scheduled,
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """On live torch modules."""
    for technique, apply in (
        ("prune-iterative", _iterative),
        ("prune-magnitude", _magnitude),
        ("prune-scheduled", _scheduled),
    ):
        yield Implementation(technique=technique, format="module", apply=apply, available=_torch, requires=("torch",))
    yield Implementation(
        technique="prune-channels",
        format="module",
        apply=_channels,
        available=_torch_pruning,
        requires=("torch", "torch-pruning"),
    )
