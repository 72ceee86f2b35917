"""Rows that ranges are calibrated with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import ArtifactError, BuildContext, Split

if TYPE_CHECKING:
    from collections.abc import Sequence


def split_of(context: BuildContext, shapes: Sequence[tuple[int, ...]]) -> Split:
    """The calibration split.

    Args:
        shapes: Of the file's inputs, in the model's order, batch first.

    Raises:
        ArtifactError: There is none, or its rows have another shape.
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
    wanted = [shape[1:] for shape in shapes]
    if given != wanted:
        raise ArtifactError(
            f"the model takes rows of shapes {wanted}, but calibration rows have {given}",
            hint="Give data made for this model.",
        )
    return split


def rows_of(split: Split, samples: int) -> list[int]:
    """Indices of the rows to use, spread evenly."""
    count = min(samples, len(split))
    return [int(row) for row in np.linspace(0, len(split) - 1, count).round()]


def feeds(split: Split, rows: Sequence[int], inputs: Sequence[tuple[str, Any]]) -> list[dict[str, Any]]:
    """Rows by the names of a signature's inputs, batch 1, each in the type that the file takes."""
    return [
        {
            name: np.ascontiguousarray(array[row : row + 1].astype(dtype))
            for (name, dtype), array in zip(inputs, split.inputs, strict=True)
        }
        for row in rows
    ]
