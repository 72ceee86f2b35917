"""Low-rank factorisation of live torch modules: singular values, canonical polyadic, Tucker."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_lowrank.options import (
    LowRankCp,
    LowRankSvd,
    LowRankTucker,
    gentler_cp,
    gentler_svd,
    gentler_tucker,
    svd_needs,
    tuning_needs,
)
from harness import BuildContext, Implementation, Technique, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Iterable

    from torch import nn

HARNESS_API = 1


_torch = if_installed("torch", install="pip install 'edge-bench[torch]'")
_tensorly = if_installed("torch", "tensorly", install="pip install 'edge-bench[torch,compress]'")


def _svd(module: nn.Module, options: LowRankSvd, context: BuildContext) -> nn.Module:
    from bench_lowrank.svd import apply

    return apply(module, options, context)


def _cp(module: nn.Module, options: LowRankCp, context: BuildContext) -> nn.Module:
    from bench_lowrank.cp import apply

    return apply(module, options, context)


def _tucker(module: nn.Module, options: LowRankTucker, context: BuildContext) -> nn.Module:
    from bench_lowrank.tucker import apply

    return apply(module, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Factors with few channels between them in the place of layers."""
    yield Technique(
        name="low-rank-svd",
        summary="splits linear layers and convolutions in two, with few channels between, by singular values",
        stage="structure",
        options=LowRankSvd,
        needs=svd_needs,
        source="Denton et al., Exploiting Linear Structure Within Convolutional Networks for Efficient Evaluation, "
        "NeurIPS 2014, arXiv:1404.0736; Zhang et al., Accelerating Very Deep Convolutional Networks for Classification "
        "and Detection, TPAMI 2016, arXiv:1505.06798",
        gentler=gentler_svd,
    )
    yield Technique(
        name="low-rank-cp",
        summary="splits k×k convolutions into 1×1, depthwise along each axis, and 1×1, then fine-tunes",
        stage="structure",
        options=LowRankCp,
        needs=tuning_needs,
        source="Lebedev et al., Speeding-up Convolutional Neural Networks Using Fine-tuned CP-Decomposition, ICLR "
        "2015, arXiv:1412.6553; degeneracy: Phan et al., ECCV 2020, arXiv:2008.05441",
        gentler=gentler_cp,
    )
    yield Technique(
        name="low-rank-tucker",
        summary="splits k×k convolutions into 1×1, a k×k with fewer channels, and 1×1, then fine-tunes",
        stage="structure",
        options=LowRankTucker,
        needs=tuning_needs,
        source="Kim et al., Compression of Deep Convolutional Neural Networks for Fast and Low Power Mobile "
        "Applications, ICLR 2016, arXiv:1511.06530",
        gentler=gentler_tucker,
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """On live torch modules."""
    yield Implementation(technique="low-rank-svd", format="module", apply=_svd, available=_torch, requires=("torch",))
    for technique, apply in (("low-rank-cp", _cp), ("low-rank-tucker", _tucker)):
        yield Implementation(
            technique=technique,
            format="module",
            apply=apply,
            available=_tensorly,
            requires=("torch", "tensorly"),
        )
