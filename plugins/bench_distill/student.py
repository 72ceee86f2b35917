"""Who teaches and who learns."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import torch

from bench_distill.narrower import narrower, reinitialise, tensors_in
from bench_distill.options import DERIVED
from harness import BuildContext, HarnessError, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

    from bench_distill.options import DistillFeature, DistillSoft


def teacher_of(context: BuildContext) -> nn.Module:
    """A frozen copy of the untouched network, in evaluation mode.

    Raises:
        UnsupportedError: The model came as a file, or has no class scores to learn from.
    """
    if context.original is None:
        raise UnsupportedError(
            "distillation needs a model that comes as a live network, and this one came as a file",
            hint="Give a network of the zoo (bench models) or package.module:factory.",
        )
    teacher: nn.Module = copy.deepcopy(context.original).eval().requires_grad_(requires_grad=False)
    shape = _scores(teacher, example_of(context)).shape
    if len(shape) < 2 or shape[1] < 2:
        raise UnsupportedError(
            f"the first output has shape {tuple(shape)}: soft targets need scores of at least two classes",
            hint="Leave distillation out; fine-tune trains on the labels.",
        )
    return teacher


def student_of(
    module: nn.Module, teacher: nn.Module, options: DistillSoft | DistillFeature, context: BuildContext
) -> nn.Module:
    """A new network that may be trained; what it is made of goes into the notes.

    Raises:
        UnsupportedError: A student that is not the current network would throw away what the recipe has done so far,
            it cannot be derived or loaded, or its outputs are not the teacher's.
    """
    changed = difference(module, context.original)
    if options.student == "current":
        if not changed:
            context.note(
                "the student is the teacher itself, as no technique came before: self-distillation "
                "(Furlanello et al., Born-Again Neural Networks, ICML 2018, arXiv:1805.04770), nothing gets smaller"
            )
        return copy.deepcopy(module)
    if changed:
        raise UnsupportedError(
            f"student={options.student} would throw away what earlier techniques did: {changed}",
            hint="Put distillation first in the recipe, or distil into what they made: student=current.",
        )
    if options.student in DERIVED:
        student = narrower(teacher, options.width, example_of(context))
        if options.student == "width":
            reinitialise(student, context.seed)
    else:
        student = _loaded(options.student, context)
    student.requires_grad_()
    _check_outputs(student, teacher, options, context)
    context.note(f"student {_described(options)}: {_size(student, teacher, context)}")
    return student


def difference(module: nn.Module, original: nn.Module) -> str:
    """What a network differs in from another, the first thing found; "" when nothing."""
    kinds = [{name: type(layer).__name__ for name, layer in part.named_modules()} for part in (module, original)]
    states = [part.state_dict() for part in (module, original)]
    for here, there in (kinds, states):
        if set(here) != set(there):
            return f"{min(set(here) ^ set(there))} is in one of them only"
    for name, kind in kinds[0].items():
        if kind != kinds[1][name]:
            return f"{name or 'the network'} is {kind} instead of {kinds[1][name]}"
    for name, value in states[0].items():
        other = states[1][name]
        if getattr(value, "shape", None) != getattr(other, "shape", None):
            return f"{name} has shape {tuple(value.shape)} instead of {tuple(other.shape)}"
        if isinstance(value, torch.Tensor) and not torch.equal(value, other):
            return f"{name} has other values"
    return ""


def example_of(context: BuildContext) -> tuple[torch.Tensor, ...]:
    """The example inputs as tensors of their own memory."""
    return tuple(torch.tensor(array) for array in context.example)


def first_output(value: object) -> torch.Tensor:
    """The first tensor of a network's output."""
    return tensors_in(value)[0]


def _loaded(ref: str, context: BuildContext) -> nn.Module:
    try:
        model = context.load(ref)
    except HarnessError as error:
        raise UnsupportedError(
            f"student={ref}: {error.message}",
            hint=f"A student is current, width, pruned or the reference of a model. {error.hint}".rstrip(),
        ) from error
    if model.format != "module":
        raise UnsupportedError(
            f"student={ref} is a file of format {model.format}, which cannot be trained",
            hint="Give a live network: one of the zoo (bench models) or package.module:factory.",
        )
    student: nn.Module = copy.deepcopy(model.payload).eval()
    return student


def _check_outputs(
    student: nn.Module, teacher: nn.Module, options: DistillSoft | DistillFeature, context: BuildContext
) -> None:
    example = example_of(context)
    try:
        shape = _scores(student, example).shape
    except Exception as error:  # a network of somebody else's on inputs that it was not made for
        sizes = ", ".join("×".join(map(str, tensor.shape)) for tensor in example)
        raise UnsupportedError(
            f"student={options.student} does not run on the model's inputs ({sizes}): {error}",
            hint="A student takes the teacher's inputs.",
        ) from error
    expected = _scores(teacher, example).shape
    if shape != expected:
        raise UnsupportedError(
            f"student={options.student} has an output of shape {tuple(shape)}, the teacher one of {tuple(expected)}",
            hint="A student has the teacher's outputs.",
        )


def _scores(network: nn.Module, example: tuple[torch.Tensor, ...]) -> torch.Tensor:
    with torch.no_grad():
        return first_output(network(*example))


def _described(options: DistillSoft | DistillFeature) -> str:
    start = {"width": "freshly initialised", "pruned": "with the teacher's channels of largest norm"}
    if options.student in start:
        return f"of width {options.width:g}, {start[options.student]}"
    return options.student


def _size(student: nn.Module, teacher: nn.Module, context: BuildContext) -> str:
    (parameters, macs), (all_parameters, all_macs) = context.count(student), context.count(teacher)
    return (
        f"{parameters} parameters ({parameters / all_parameters:.0%} of the teacher's), "
        f"{macs} multiply-accumulates ({macs / all_macs:.0%})"
    )
