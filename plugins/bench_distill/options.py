"""Options of fine-tuning and of the distillations, and which of their values make sense."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from typing import Any

from harness import UnsupportedError

DERIVED = ("width", "pruned")
"""Students that are made from the teacher's architecture."""

_WIDER = 0.125
"""By how much of the teacher's channels a derived student grows when accuracy fell too far."""


@dataclass(frozen=True, slots=True, kw_only=True)
class FineTune:
    """Options of `fine-tune`.

    Attributes:
        epochs: Passes over the training rows, above 0. A fair control has as many as the technique that it is compared
            with: distillation takes 15 unless told otherwise.
        learning_rate: The highest of the schedule, above 0.
        keep_best: Whether the weights of the epoch with the best validation accuracy are kept, instead of the last.
    """

    epochs: float = 5.0
    learning_rate: float = 1e-3
    keep_best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillSoft:
    """Options of `distill-soft`.

    Attributes:
        student: Who learns. `current` is the network as the recipe has made it so far. `width` is the teacher's
            architecture with fewer channels, freshly initialised. `pruned` is the same narrower architecture with the
            teacher's most important channels. Anything else is the reference of a model (`bench models`,
            `my.py:student`) with the same outputs.
        width: Share of the channels of each layer that a `width` or `pruned` student has, to the nearest multiple of
            4; above 0 and below 1.
        temperature: What logits are divided by before the softmax, above 0: the higher, the more the classes that the
            teacher finds unlikely count.
        alpha: Weight of the soft targets, 0 to 1; the rest is cross-entropy with the labels. `alpha=0` trains the same
            student for as long on the labels alone: the control that tells what the teacher adds.
        epochs: Passes over the training rows, above 0. The default suits a student that starts from nothing; one that
            starts from trained weights needs about a third.
        learning_rate: The highest of the schedule, above 0.
        keep_best: Whether the weights of the epoch with the best validation accuracy are kept, instead of the last.
    """

    student: str = "current"
    width: float = 0.5
    temperature: float = 2.0
    alpha: float = 0.7
    epochs: float = 15.0
    learning_rate: float = 3e-3
    keep_best: bool = False


@dataclass(frozen=True, slots=True, kw_only=True)
class DistillFeature:
    """Options of `distill-feature`.

    Attributes:
        layers: Names of the teacher's modules whose outputs the student learns. None of them chooses the last module
            before each change of the feature maps' size, or four layers evenly spaced where no size changes.
        weight: Weight of the feature loss beside the loss of `distill-soft`, 0 or more. A feature loss of 1 is a
            student that knows no more than zeros. `weight=0` is `distill-soft`, the control that tells what the
            features add.
        student: Who learns. `current` is the network as the recipe has made it so far. `width` is the teacher's
            architecture with fewer channels, freshly initialised. `pruned` is the same narrower architecture with the
            teacher's most important channels. Anything else is the reference of a model (`bench models`,
            `my.py:student`) with the same outputs.
        width: Share of the channels of each layer that a `width` or `pruned` student has, to the nearest multiple of
            4; above 0 and below 1.
        temperature: What logits are divided by before the softmax, above 0.
        alpha: Weight of the soft targets, 0 to 1; the rest is cross-entropy with the labels. `alpha=0` with `weight=0`
            trains on the labels alone.
        epochs: Passes over the training rows, above 0. The default suits a student that starts from nothing; one that
            starts from trained weights needs about a third.
        learning_rate: The highest of the schedule, above 0.
        keep_best: Whether the weights of the epoch with the best validation accuracy are kept, instead of the last.
    """

    layers: tuple[str, ...] = ()
    weight: float = 0.1
    student: str = "current"
    width: float = 0.5
    temperature: float = 2.0
    alpha: float = 0.7
    epochs: float = 15.0
    learning_rate: float = 3e-3
    keep_best: bool = False


def check(options: FineTune | DistillSoft | DistillFeature) -> None:
    """Raise UnsupportedError for a value out of its range."""
    for name in ("epochs", "learning_rate", "temperature"):
        _require(options, name, "above 0", lambda value: value > 0)
    _require(options, "alpha", "from 0 to 1", lambda value: 0 <= value <= 1)
    _require(options, "weight", "0 or more", lambda value: value >= 0)
    if getattr(options, "student", "") in DERIVED:
        _require(options, "width", "above 0 and below 1", lambda value: 0 < value < 1)


def needs(options: DistillSoft | DistillFeature) -> frozenset[str]:
    """Soft targets need no labels."""
    return frozenset({"train"}) if options.alpha == 1 else frozenset({"train", "labels"})


def wider(options: DistillSoft | DistillFeature) -> DistillSoft | DistillFeature | None:
    """The same with a derived student of more channels; None where there is none to make wider."""
    width = options.width + _WIDER
    return replace(options, width=width) if options.student in DERIVED and width < 1 else None


def _require(options: object, name: str, allowed: str, holds: Callable[[Any], bool]) -> None:
    value = getattr(options, name, None)
    if value is not None and not holds(value):
        raise UnsupportedError(f"{name}={value}: must be {allowed}", hint=f"The default is {type(options)()!r}.")
