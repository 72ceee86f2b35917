"""What the techniques share: a copy with the layers found, factors put in their place, notes, fine-tuning."""

from __future__ import annotations

import copy
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
import torch

from bench_lowrank.layer import Layer, find_layers, zeros_share
from bench_lowrank.remarks import Remarks, listed
from bench_lowrank.replacement import replace, replaceable
from harness import ArtifactError, BuildContext, Training, UnsupportedError

if TYPE_CHECKING:
    from torch import nn

ZEROS_SHARE = 0.01
"""Exact zeros above which a weight counts as pruned before."""


class Tuning(Protocol):
    """Options of every technique here that say how to train afterwards."""

    @property
    def epochs(self) -> float:
        """Passes over the training rows."""

    @property
    def learning_rate(self) -> float:
        """The highest one."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Factorised:
    """What stands in the place of one layer.

    Attributes:
        layer: The layer that was there.
        factors: A sequence that does about the same.
        rank: For a reader, such as `12 of 24`.
        error: Norm of what is lost relative to the norm of what was there, 0 to 1.
    """

    layer: Layer
    factors: nn.Module
    rank: str
    error: float


@dataclass(slots=True)
class Factorisation:
    """One module on its way.

    Attributes:
        module: A copy in evaluation mode, changed in place.
        layers: Its layers that may be factorised.
        remarks: Its layers that stay, and why.
    """

    module: nn.Module
    layers: list[Layer]
    context: BuildContext
    remarks: Remarks
    done: list[Factorised] = field(default_factory=list)

    def put(self, made: Factorised) -> None:
        """Put factors in the place of their layer."""
        self.module = replace(self.module, made.layer, made.factors)
        self.done.append(made)

    def take_back(self) -> Layer:
        """Put the layer back whose factors were put last."""
        layer = self.done.pop().layer
        self.module = replace(self.module, layer, layer.module)
        return layer


def begin(module: nn.Module, context: BuildContext) -> Factorisation:
    """Copy a module and find its layers.

    Raises:
        ArtifactError: The module does not run on the example.
    """
    copied = copy.deepcopy(module).eval()
    remarks = Remarks()
    example = tuple(torch.from_numpy(np.array(array, order="C")) for array in context.example)
    try:
        layers = find_layers(copied, example, remarks)
    except Exception as error:
        raise ArtifactError(
            f"the module does not run on the example: {type(error).__name__}: {error}",
            hint="The model's source gives the example input; see that it fits.",
        ) from error
    layers = replaceable(copied, layers, example, remarks)
    return Factorisation(module=copied, layers=layers, context=context, remarks=remarks)


def finish(work: Factorisation, tuning: Tuning) -> nn.Module:
    """Say what was done, fine-tune, and return the module.

    Raises:
        ArtifactError: No layer was factorised.
    """
    if not work.done:
        reasons = str(work.remarks) or "it has no linear layer and no convolution"
        raise ArtifactError(
            f"no layer can be factorised; {reasons}", hint="Change how much is kept, or leave the technique out."
        )
    note = work.context.note
    after = sum(parameter.numel() for parameter in work.module.parameters())
    made = sum(parameter.numel() for done in work.done for parameter in done.factors.parameters())
    before = after - made + sum(p.numel() for done in work.done for p in done.layer.module.parameters())
    ranks = listed(f"{done.layer.name or 'the module itself'} ({done.rank})" for done in work.done)
    note(
        f"{after} of {before} parameters left ({after / before:.1%}); "
        f"{len(work.done)} layers factorised, their rank: {ranks}"
    )
    worst = max(work.done, key=lambda done: done.error)
    note(f"largest relative error of a layer {worst.error:.3f}, in {worst.layer.name or 'the module itself'}")
    filled = [f"{d.layer.name} ({zeros_share(d.layer):.0%})" for d in work.done if zeros_share(d.layer) > ZEROS_SHARE]
    if filled:
        note(f"exact zeros, perhaps of an earlier pruning, are filled: {listed(filled)}")
    work.remarks.say(note)
    _fine_tune(work.module, tuning, work.context)
    return work.module


def _fine_tune(module: nn.Module, tuning: Tuning, context: BuildContext) -> None:
    if tuning.epochs <= 0:
        return
    before = context.score(module)
    trained = context.train(module, Training(epochs=tuning.epochs, learning_rate=tuning.learning_rate))
    after = context.score(module)
    accuracy = f"; validation accuracy {before.value:.1%} → {after.value:.1%}" if before and after else ""
    context.note(f"fine-tuned: {trained}{accuracy}")


def check_share(name: str, value: float, hint: str) -> None:
    """Raise UnsupportedError unless a share is above 0 and below 1."""
    if not 0.0 < value < 1.0:
        raise UnsupportedError(f"{name}={value}: must be above 0 and below 1", hint=hint)


def check_whole(name: str, value: int, least: int) -> None:
    """Raise UnsupportedError when a count is too small."""
    if value < least:
        raise UnsupportedError(f"{name}={value}: must be {least} or more", hint=f"Leave {name} out for its default.")


def check_tuning(tuning: Any) -> None:
    """Raise UnsupportedError when a module cannot be trained so."""
    if not tuning.epochs >= 0:
        raise UnsupportedError(f"epochs={tuning.epochs}: must be 0 or more", hint="0 leaves the factors as they are.")
    if not tuning.learning_rate > 0:
        raise UnsupportedError(f"learning_rate={tuning.learning_rate}: must be above 0", hint="0.001 is a good start.")
