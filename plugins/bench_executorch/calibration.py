"""Rows that ranges are calibrated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import ArtifactError, BuildContext, Split

if TYPE_CHECKING:
    from collections.abc import Sequence


def split_of(context: BuildContext) -> Split:
    """The calibration split.

    Raises:
        ArtifactError: There is none, or its rows have another shape than the model's inputs.
    """
    split = context.data.split("calibration") if context.data is not None else None
    if split is None or len(split) == 0:
        name = (
            "the model has no data" if context.data is None else f"data {context.data.name!r} has no calibration rows"
        )
        raise ArtifactError(
            f"int8-static needs rows to calibrate with, but {name}",
            hint="Give data with --data, or take int8-dynamic, which needs none.",
        )
    given = [array.shape[1:] for array in split.inputs]
    wanted = [array.shape[1:] for array in context.example]
    if given != wanted:
        raise ArtifactError(
            f"the model takes rows of shapes {wanted}, but calibration rows have {given}",
            hint="Give data made for this model.",
        )
    return split


def rows_of(split: Split, samples: int, example: Sequence[Any]) -> list[tuple[Any, ...]]:
    """Rows spread evenly over a split, as tensors of batch 1 in the types of the example."""
    import torch

    chosen = np.linspace(0, len(split) - 1, min(samples, len(split))).round().astype(int)
    return [
        tuple(
            torch.from_numpy(np.array(array[row : row + 1], dtype=like.dtype, order="C"))
            for array, like in zip(split.inputs, example, strict=True)
        )
        for row in chosen
    ]
