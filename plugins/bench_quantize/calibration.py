"""Calibration rows: which ones, and how ONNX Runtime's calibrators are fed with them."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness import ArtifactError, BuildContext, Split

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

CHUNK = 16
"""Rows that a histogram takes at once: enough for a first range, and not every activation of every row in memory."""


def calibration_split(context: BuildContext) -> Split:
    """The data's calibration split.

    Raises:
        ArtifactError: There is no data, or none to calibrate with.
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
    return split


def rows_of(split: Split, samples: int, *, chunked: bool) -> NDArray[np.int64]:
    """Indices of the rows to use, spread evenly; where `chunked`, a whole number of chunks or less than one."""
    import numpy as np

    count = min(samples, len(split))
    if chunked and count > CHUNK:
        count -= count % CHUNK
    return np.linspace(0, len(split) - 1, count).round().astype(np.int64)


class RowReader:
    """Hands out rows one by one, as `onnxruntime.quantization.CalibrationDataReader` does.

    Args:
        split: Where rows come from.
        rows: Indices of rows, in order.
        names: Names of the model's inputs, in the order of `split.inputs`.
    """

    def __init__(self, split: Split, rows: NDArray[np.int64], names: tuple[str, ...]) -> None:
        """Start with the first row."""
        self._split, self._rows, self._names = split, rows, names
        self.set_range(0, len(rows))

    def __len__(self) -> int:
        """Number of rows."""
        return len(self._rows)

    def set_range(self, start_index: int, end_index: int) -> None:
        """Start again with the rows from `start_index` up to `end_index`."""
        self._next, self._end = start_index, end_index

    def get_next(self) -> dict[str, NDArray[np.generic]] | None:
        """Inputs of the next row by name, batch 1, or None after the last."""
        if self._next >= self._end:
            return None
        row = int(self._rows[self._next])
        self._next += 1
        return {name: array[row : row + 1] for name, array in zip(self._names, self._split.inputs, strict=True)}
