"""Quality: the task's metric with its interval, and agreement with the baseline, from saved outputs."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

from harness.measure.statistics import wilson
from harness.record import Quality

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Array, Data


@dataclass(frozen=True, slots=True, kw_only=True)
class Reference:
    """Outputs that agreement refers to, and what they are."""

    outputs: Path
    name: str


def judge(outputs: Path, data: Data, reference: Reference | None) -> Quality:
    """Score saved outputs.

    A row with one number has no class: it is compared with the reference by its error alone. A row that holds NaN is
    never right and agrees with nothing.

    Args:
        outputs: `.npz` with `y0` … of shape `(n, …)`, one row per test row.
        reference: The baseline's outputs, or None when there are none.

    Raises:
        ValueError: The outputs are not one row per test row, or differ in shape from the reference.
        KeyError: There is no output.
    """
    predicted = _first_output(outputs)
    split = data.split("test")
    if split is not None and len(predicted) != len(split):
        raise ValueError(f"there are {len(predicted)} rows of outputs for {len(split)} rows of the test split")
    scores = predicted.shape[1] > 1
    value, low, high, n = _accuracy(predicted, split.labels if split and scores else None)
    agreement, error, agreement_n = None, None, 0
    if reference is not None:
        expected = _first_output(reference.outputs)
        if predicted.shape != expected.shape:
            raise ValueError(f"their shape is {predicted.shape}, that of the {reference.name} is {expected.shape}")
        error = _largest_error(predicted, expected)
        if scores:
            agreement, agreement_n = _agreement(predicted, expected), len(expected)
    return Quality(
        metric=data.metric if value is not None else "agreement",
        value=value,
        lo95=low,
        hi95=high,
        n=n,
        agreement=agreement,
        agreement_n=agreement_n,
        reference=reference.name if reference else "",
        data=data.name,
        note=" ".join(filter(None, (data.note, *_remarks(predicted)))),
        max_abs_error=error,
    )


def _first_output(path: Path) -> Array:
    """`y0` as `(n, values in a row)` float64."""
    import numpy as np

    with np.load(path) as saved:
        found = np.asarray(saved["y0"], dtype=np.float64)
    if not found.size:
        raise ValueError(f"there are 0 rows or 0 values in outputs of shape {found.shape}")
    return found.reshape(len(found), -1)


def _remarks(predicted: Array) -> list[str]:
    import numpy as np

    remarks = []
    if predicted.shape[1] == 1:
        remarks.append("The first output is one number a row: there is no class to compare.")
    broken = int((~np.isfinite(predicted)).any(axis=1).sum())
    if broken:
        remarks.append(f"Outputs of {broken} of {len(predicted)} rows are not finite.")
    return remarks


def _classes(scores: Array, otherwise: int) -> Array:
    """Class with the largest score of each row; `otherwise` for a row that holds NaN, whose arg-max means nothing."""
    import numpy as np

    return np.where(np.isnan(scores).any(axis=1), otherwise, scores.argmax(axis=1))


def _accuracy(predicted: Array, labels: Array | None) -> tuple[float | None, float | None, float | None, int]:
    if labels is None or not (labels >= 0).any():
        return None, None, None, 0
    labelled = labels >= 0
    n = int(labelled.sum())
    right = int((_classes(predicted[labelled], -2) == labels[labelled]).sum())
    low, high = wilson(right, n)
    return right / n, low, high, n


def _agreement(predicted: Array, expected: Array) -> float:
    return float((_classes(predicted, -2) == _classes(expected, -3)).mean())


def _largest_error(predicted: Array, expected: Array) -> float | None:
    """Largest absolute difference where both are finite, or None where nowhere."""
    import numpy as np

    both = np.isfinite(predicted) & np.isfinite(expected)
    return float(abs(predicted[both] - expected[both]).max()) if both.any() else None
