"""The rows of a training split, shuffled and varied, as batches of tensors."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
import torch

from harness import BuildContext, UnsupportedError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

    from numpy.typing import NDArray

Batch = tuple[tuple[torch.Tensor, ...], torch.Tensor]
"""Inputs, each `(batch, …)`, and labels `(batch,)` int64."""

BATCH_ROWS = 64
MANY_ROWS = 20_000
"""From so many rows on, batches are twice as large: there are steps enough, and larger ones are quicker by the row."""


@dataclass(frozen=True, slots=True, kw_only=True)
class TrainingRows:
    """Rows to train with.

    Attributes:
        inputs: Whole arrays of the split, which may be mapped from a file; only batches are copied.
        labels: `(n,)` int64, -1 where a row has none.
        rows: Indices of the rows that take part.
        augment: Varies the inputs of a batch, or None.
        shuffling: Orders the rows, anew for every epoch.
        varying: Given to `augment`.
    """

    inputs: tuple[NDArray[Any], ...]
    labels: NDArray[np.int64]
    rows: NDArray[np.intp]
    augment: Callable[[tuple[NDArray[Any], ...], Any], tuple[NDArray[Any], ...]] | None
    shuffling: np.random.Generator
    varying: np.random.Generator

    @staticmethod
    def of(context: BuildContext, *, labelled: bool) -> TrainingRows:
        """Load the training split; with `labelled`, rows without a label are left out.

        Raises:
            UnsupportedError: There is no such split, or fewer than two such rows.
        """
        hint = "Give --data: a folder with one sub-folder of pictures per class, or an .npz file with x and y."
        split = context.data.split("train") if context.data else None
        if context.data is None or split is None:
            raise UnsupportedError("training needs training rows, and the model's data has none", hint=hint)
        labels = np.full(len(split), -1, np.int64) if split.labels is None else np.asarray(split.labels, np.int64)
        rows = np.flatnonzero(labels >= 0) if labelled else np.arange(len(split))
        if len(rows) < 2:
            what = "have a label" if labelled else "are there"
            raise UnsupportedError(
                f"training needs at least two rows, and {len(rows)} of {len(split)} in {context.data.name} {what}",
                hint=hint,
            )
        return TrainingRows(
            inputs=split.inputs,
            labels=labels,
            rows=rows,
            augment=context.data.augment,
            shuffling=np.random.default_rng((context.seed, 0)),
            varying=np.random.default_rng((context.seed, 1)),
        )

    def __len__(self) -> int:
        return len(self.rows)

    @property
    def batch(self) -> int:
        """Rows of a batch."""
        return BATCH_ROWS if len(self.rows) < MANY_ROWS else 2 * BATCH_ROWS

    @property
    def steps(self) -> int:
        """Batches of an epoch; a last one of a single row is left out, as it has no variance to normalise by."""
        whole, rest = divmod(len(self.rows), self.batch)
        return whole + (rest > 1)

    def epoch(self) -> Iterator[Batch]:
        """All rows in a new order."""
        order = self.shuffling.permutation(self.rows)
        for step in range(self.steps):
            chosen = order[step * self.batch : (step + 1) * self.batch]
            inputs = tuple(np.asarray(x)[chosen] for x in self.inputs)
            varied = self.augment(inputs, self.varying) if self.augment else inputs
            yield (
                tuple(
                    torch.from_numpy(np.ascontiguousarray(new, dtype=old.dtype))
                    for new, old in zip(varied, inputs, strict=True)
                ),
                torch.from_numpy(self.labels[chosen]),
            )
