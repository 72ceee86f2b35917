"""`distill-soft` and `distill-feature`: a student trained on what the untouched network says."""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING, Any

import torch

from bench_distill.feature_loss import feature_loss, make_adapters
from bench_distill.feature_maps import captured, choose, feature_maps, match, named
from bench_distill.options import check
from bench_distill.soft_targets import are_probabilities, as_logits, soft_loss
from bench_distill.student import example_of, first_output, student_of, teacher_of
from harness import BuildContext, Training, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from torch import nn

    from bench_distill.feature_maps import FeatureMap
    from bench_distill.options import DistillFeature, DistillSoft

    Options = DistillSoft | DistillFeature
    Loss = Callable[[Any, Any, Any], Any]


def distill_soft(module: nn.Module, options: DistillSoft, context: BuildContext) -> nn.Module:
    """Return a student trained on the teacher's outputs for the same rows, augmented alike.

    Raises:
        UnsupportedError: There is no live teacher, the student cannot be had, or an option is out of its range.
    """
    check(options)
    teacher = teacher_of(context)
    student = student_of(module, teacher, options, context)
    alpha = _alpha(options, context)
    probabilities = _probabilities(teacher, context)

    def loss(learner: nn.Module, inputs: Any, labels: torch.Tensor) -> torch.Tensor:
        scores = as_logits(first_output(learner(*inputs)), probabilities=probabilities)
        with torch.no_grad():
            targets = as_logits(first_output(teacher(*inputs)), probabilities=probabilities)
        return soft_loss(scores, targets, labels, alpha=alpha, temperature=options.temperature)

    return _train(student, _training(options, loss), _mixture(options, alpha), context)


def distill_feature(module: nn.Module, options: DistillFeature, context: BuildContext) -> nn.Module:
    """Return a student trained on the teacher's outputs and inner feature maps for the same rows, augmented alike.

    Raises:
        UnsupportedError: There is no live teacher, the student cannot be had, an option is out of its range, or there
            are no feature maps to align.
    """
    check(options)
    teacher = teacher_of(context)
    student = student_of(module, teacher, options, context)
    alpha = _alpha(options, context)
    probabilities = _probabilities(teacher, context)
    pairs = _pairs(teacher, student, options, context)
    theirs, ours = ([pair[side] for pair in pairs] for side in (0, 1))
    adapters = make_adapters(pairs, context.seed)

    def loss(learner: nn.Module, inputs: Any, labels: torch.Tensor) -> torch.Tensor:
        with captured(learner, ours) as learned:
            scores = as_logits(first_output(learner(*inputs)), probabilities=probabilities)
        with torch.no_grad(), captured(teacher, theirs) as targets:
            taught = as_logits(first_output(teacher(*inputs)), probabilities=probabilities)
        distance = feature_loss(pairs, adapters, targets, learned)
        soft = soft_loss(scores, taught, labels, alpha=alpha, temperature=options.temperature)
        return soft + options.weight * distance

    also = (adapters,) if next(adapters.parameters(), None) is not None else ()
    mixture = f"{_mixture(options, alpha)}, features by {options.weight:g}"
    return _train(student, replace(_training(options, loss), also=also), mixture, context)


def _training(options: Options, loss: Loss) -> Training:
    return Training(epochs=options.epochs, learning_rate=options.learning_rate, loss=loss, keep_best=options.keep_best)


def _train(student: nn.Module, training: Training, mixture: str, context: BuildContext) -> nn.Module:
    trained = context.train(student, training)
    context.note(f"{mixture}: {trained}")
    return student.eval()


def _mixture(options: Options, alpha: float) -> str:
    if alpha == 0:
        return "labels alone"
    labels = "" if alpha == 1 else f" and {1 - alpha:g} labels"
    return f"{alpha:g} soft targets at temperature {options.temperature:g}{labels}"


def _alpha(options: Options, context: BuildContext) -> float:
    """Weight of the soft targets: all of it where no training row has a label; says so.

    Raises:
        UnsupportedError: There are no labels and nothing else to learn from.
    """
    rows = context.data.split("train") if context.data and options.alpha < 1 else None
    if rows is None:  # no label is wanted, or training itself says that there is nothing to train with
        return options.alpha
    without = len(rows) if rows.labels is None else int((rows.labels < 0).sum())
    if without < len(rows):
        if without:
            context.note(f"{without} of {len(rows)} training rows have no label and count for the soft targets only")
        return options.alpha
    if options.alpha == 0:
        raise UnsupportedError(
            "alpha=0: learns from labels alone, and no training row has one", hint="alpha=1 needs no labels."
        )
    context.note(f"no training row has a label: soft targets alone, as with alpha=1 instead of {options.alpha:g}")
    return 1.0


def _probabilities(teacher: nn.Module, context: BuildContext) -> bool:
    with torch.no_grad():
        found = are_probabilities(first_output(teacher(*example_of(context))))
    if found:
        context.note("the outputs are probabilities: their logarithm is what the temperature divides")
    return found


def _pairs(
    teacher: nn.Module, student: nn.Module, options: DistillFeature, context: BuildContext
) -> Sequence[tuple[FeatureMap, FeatureMap]]:
    example = example_of(context)
    theirs, ours = feature_maps(teacher, example), feature_maps(student.eval(), example)
    wanted = named(theirs, options.layers) if options.layers else choose(theirs)
    if not wanted:
        raise UnsupportedError("the teacher has no feature map that could be aligned", hint="Use distill-soft.")
    pairs = match(wanted, theirs, ours)
    context.note("aligned, teacher with student: " + "; ".join(f"{one} with {other}" for one, other in pairs))
    return pairs
