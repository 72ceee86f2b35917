"""Rows that NNCF calibrates and validates with."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

import numpy as np

from harness import ArtifactError, BuildContext, Split

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench_nncf.ir import ov


def split_of(name: str, model: ov.Model, context: BuildContext) -> Split:
    """A split of the data whose rows fit the model.

    Raises:
        ArtifactError: There is no such split, or its rows have another shape.
    """
    split = context.data.split(name) if context.data is not None else None
    if split is None or len(split) == 0:
        what = "the model has no data" if context.data is None else f"data {context.data.name!r} has no {name} rows"
        raise ArtifactError(
            f"int8-static needs {name} rows, but {what}",
            hint="Give data with --data, or take int8-dynamic, which needs none.",
        )
    if len(model.inputs) != len(split.inputs):
        raise ArtifactError(
            f"the model has {len(model.inputs)} inputs, but a {name} row has {len(split.inputs)}",
            hint="Give data made for this model.",
        )
    for port, array in zip(model.inputs, split.inputs, strict=True):
        wanted = [size.get_length() if size.is_static else None for size in port.get_partial_shape()][1:]
        given = list(array.shape[1:])
        if len(wanted) != len(given) or any(w not in {None, g} for w, g in zip(wanted, given, strict=True)):
            raise ArtifactError(
                f"input {port.get_any_name()!r} takes rows of shape {wanted}, but {name} rows have {given}",
                hint="Give data made for this model.",
            )
    return split


def rows_of(split: Split, samples: int) -> list[int]:
    """Indices of the rows to use, spread evenly."""
    count = min(samples, len(split))
    return [int(row) for row in np.linspace(0, len(split) - 1, count).round()]


def feed(split: Split, row: int) -> Any:
    """One row as a compiled model takes it: an array of batch 1, or a list of them."""
    arrays: Sequence[Any] = [np.array(array[row : row + 1]) for array in split.inputs]
    return arrays[0] if len(arrays) == 1 else list(arrays)
