"""Knowledge distillation of live torch modules, and fine-tuning as its control."""

from __future__ import annotations

from typing import TYPE_CHECKING

from bench_distill.options import DistillFeature, DistillSoft, FineTune, needs, wider
from harness import BuildContext, Implementation, Technique, hookimpl, if_installed

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    from torch import nn

HARNESS_API = 1


_available = if_installed("torch", install="pip install 'edge-bench[torch]'")


def _fine_tune(module: nn.Module, options: FineTune, context: BuildContext) -> nn.Module:
    from bench_distill.fine_tuning import fine_tune

    return fine_tune(module, options, context)


def _distill_soft(module: nn.Module, options: DistillSoft, context: BuildContext) -> nn.Module:
    from bench_distill.distillation import distill_soft

    return distill_soft(module, options, context)


def _distill_feature(module: nn.Module, options: DistillFeature, context: BuildContext) -> nn.Module:
    from bench_distill.distillation import distill_feature

    return distill_feature(module, options, context)


@hookimpl
def harness_techniques() -> Iterable[Technique]:
    """Training with a teacher, and without one."""
    yield Technique(
        name="fine-tune",
        summary="trains on and compresses nothing: the control that tells what training alone gives",
        stage="module",
        options=FineTune,
        needs=frozenset({"train", "labels"}),
        source="Han et al., Learning both Weights and Connections for Efficient Neural Networks, NeurIPS 2015, "
        "arXiv:1506.02626, section 3 (retraining after pruning)",
    )
    yield Technique(
        name="distill-soft",
        summary="trains a student on the softened outputs of the untouched network",
        stage="module",
        options=DistillSoft,
        needs=needs,
        source="Hinton, Vinyals and Dean, Distilling the Knowledge in a Neural Network, 2015, arXiv:1503.02531",
        references=frozenset({"student"}),
        gentler=wider,
    )
    yield Technique(
        name="distill-feature",
        summary="trains a student on the inner feature maps and the softened outputs of the untouched network",
        stage="module",
        options=DistillFeature,
        needs=needs,
        source="Romero et al., FitNets: Hints for Thin Deep Nets, ICLR 2015, arXiv:1412.6550",
        references=frozenset({"student"}),
        gentler=wider,
    )


@hookimpl
def harness_implementations() -> Iterable[Implementation]:
    """On live torch modules."""
    applied: dict[str, Callable[..., nn.Module]] = {
        "fine-tune": _fine_tune,
        "distill-soft": _distill_soft,
        "distill-feature": _distill_feature,
    }
    for name, apply in applied.items():
        yield Implementation(
            technique=name,
            format="module",
            apply=apply,
            available=_available,
            requires=("torch",) if name == "fine-tune" else ("torch", "torch-pruning"),
        )
