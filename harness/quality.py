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

    Args:
        outputs: `.npz` with `y0` … of shape `(n, …)`, one row per test row.
        reference: The baseline's outputs, or None when there are none.
    """
    predicted = _first_output(outputs)
    split = data.split("test")
    labels = split.labels if split else None
    value, low, high, n = _accuracy(predicted, labels)
    agreement, error, agreement_n = None, None, 0
    if reference is not None:
        expected = _first_output(reference.outputs)
        agreement_n = len(expected)
        agreement = _agreement(predicted, expected)
        error = float(abs(predicted - expected).max())
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
        note=data.note,
        max_abs_error=error,
    )


def _first_output(path: Path) -> Array:
    import numpy as np

    with np.load(path) as saved:
        return np.asarray(saved["y0"], dtype=np.float64).reshape(len(saved["y0"]), -1)


def _accuracy(predicted: Array, labels: Array | None) -> tuple[float | None, float | None, float | None, int]:
    if labels is None or not (labels >= 0).any():
        return None, None, None, 0
    labelled = labels >= 0
    n = int(labelled.sum())
    right = int((predicted[labelled].argmax(axis=1) == labels[labelled]).sum())
    low, high = wilson(right, n)
    return right / n, low, high, n


def _agreement(predicted: Array, expected: Array) -> float:
    return float((predicted.argmax(axis=1) == expected.argmax(axis=1)).mean())
