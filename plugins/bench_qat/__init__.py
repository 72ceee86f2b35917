"""Quantisation-aware training of live torch modules."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_qat.options import QatInt8
from harness import BuildContext, Implementation, Technique, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable
    from pathlib import Path

    from torch import nn

HARNESS_API = 1


_available = if_installed("torch", "torchao", install="pip install 'edge-bench[torch]'")


def _quantise(module: nn.Module, options: QatInt8, context: BuildContext) -> Path:
    from bench_qat.chatter import quiet

    with quiet():
        from bench_qat.technique import quantise

    return quantise(module, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Quantisation-aware training to int8."""
    yield Technique(
        name="qat-int8",
        summary="trains on with simulated int8 weights and activations, then makes them int8",
        stage="lowering",
        options=QatInt8,
        needs=frozenset({"train", "labels"}),
        source="Jacob et al., Quantization and Training of Neural Networks for Efficient Integer-Arithmetic-Only "
        "Inference, CVPR 2018, arXiv:1712.05877; PyTorch 2 Export Quantization-Aware Training, torchao documentation",
        excludes="precision",
        deviation=None,
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """From a live torch module to an exported program."""
    yield Implementation(
        technique="qat-int8",
        format="module",
        apply=_quantise,
        produces="pt2",
        available=_available,
        requires=("torch", "torchao"),
    )
