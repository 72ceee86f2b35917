"""Unstructured magnitude pruning of live torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_prune.options import PruneMagnitude
from harness import AVAILABLE, Availability, BuildContext, Implementation, Technique, hookimpl

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

HARNESS_API = 1


def _available() -> Availability:
    from importlib.util import find_spec

    if find_spec("torch") is None:
        return Availability(ok=False, reason="torch not installed", install='pip install "edge-bench[torch]"')
    return AVAILABLE


def _prune(module: nn.Module, options: PruneMagnitude, context: BuildContext) -> nn.Module:
    from bench_prune.magnitude import prune

    return prune(module, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Pruning without retraining."""
    yield Technique(
        name="prune-magnitude",
        summary="sets the smallest weights to zero; shapes stay, so only sparse or compressed storage gains",
        stage="module",
        options=PruneMagnitude,
        source="Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015, "
        "arXiv:1506.02626",
        default="amount=0.5",
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """On live torch modules."""
    yield Implementation(
        technique="prune-magnitude", format="module", apply=_prune, available=_available, requires=("torch",)
    )
