"""Quality: the task's metric with its interval, and agreement with the baseline, from saved outputs."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, fields
from typing import TYPE_CHECKING, Any

from harness.corruption import rows_to_corrupt
from harness.measure.shares import paired_difference, share_interval
from harness.measure.statistics import wilson
from harness.record import CorruptedQuality, Quality

if TYPE_CHECKING:
    from pathlib import Path

    from harness.model import Array, Data


LEAST_PROBABILITY = 2.0**-24
"""A probability that float32 or an 8-bit scale rounds to 0 counts as this much, so that its logarithm is finite."""


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
        outputs: `.npz` with `y0` … of shape `(n, …)`, one row per test row, and `<corruption>.y0` of the rows that
            were scored under a corruption.
        reference: The baseline's outputs, or None when there are none.

    Raises:
        ValueError: The outputs are not one row per test row, or differ in shape from the reference.
        KeyError: There is no output.
    """
    predicted = _output(outputs, "y0")
    split = data.split("test")
    if split is not None and len(predicted) != len(split):
        raise ValueError(f"there are {len(predicted)} rows of outputs for {len(split)} rows of the test split")
    labels = split.labels if split and predicted.shape[1] > 1 else None
    found = _standing(predicted, labels)
    expected = _output(reference.outputs, "y0") if reference else None
    if reference is not None and expected is not None:
        if predicted.shape != expected.shape:
            raise ValueError(f"their shape is {predicted.shape}, that of the {reference.name} is {expected.shape}")
        found |= _against(predicted, expected, labels, split.groups if split else None)
    return Quality(
        metric=data.metric if found["value"] is not None else "agreement",
        reference=reference.name if reference else "",
        data=data.name,
        note=" ".join(filter(None, (data.note, *_remarks(predicted)))),
        robustness=tuple(_under_corruption(outputs, reference, labels)),
        **found,
    )


def _standing(predicted: Array, labels: Array | None) -> dict[str, Any]:
    """What can be said of outputs by themselves."""
    found: dict[str, Any] = {"value": None, "lo95": None, "hi95": None, "n": 0, "agreement": None, "agreement_n": 0}
    right = _right(predicted, labels)
    if right is None:
        return found
    low, high = wilson(int(right.sum()), len(right))
    return found | {"value": float(right.mean()), "lo95": low, "hi95": high, "n": len(right), "right": _bits(right)}


def _bits(right: Array) -> str:
    import numpy as np

    return np.packbits(right).tobytes().hex()


def rows_right(quality: Quality) -> Array | None:
    """For each labelled row whether it is right, `(n,)` booleans; None without labels."""
    import numpy as np

    if not quality.right:
        return None
    return np.unpackbits(np.frombuffer(bytes.fromhex(quality.right), np.uint8))[: quality.n].astype(bool)


def _against(predicted: Array, expected: Array, labels: Array | None, groups: Array | None) -> dict[str, Any]:
    """What can be said of outputs beside those of the reference."""
    found: dict[str, Any] = {"max_abs_error": _largest_error(predicted, expected)}
    if predicted.shape[1] < 2:
        return found
    same = classes(predicted, -2) == classes(expected, -3)
    low, high = share_interval(same, groups)
    found |= {"agreement": float(same.mean()), "agreement_n": len(same), "agreement_lo95": low, "agreement_hi95": high}
    found["kl_mean"] = _divergence(predicted, expected)
    right, right_before = _right(predicted, labels), _right(expected, labels)
    if right is not None and right_before is not None:
        found["drop"], found["drop_lo95"], found["drop_hi95"] = paired_difference(right_before, right)
    return found


def _under_corruption(outputs: Path, reference: Reference | None, labels: Array | None) -> Iterator[CorruptedQuality]:
    for name in _corruptions(outputs):
        predicted = _output(outputs, f"{name}.y0")
        chosen = labels[rows_to_corrupt(len(labels))] if labels is not None else None
        found = _standing(predicted, chosen)
        if reference is not None and name in _corruptions(reference.outputs):
            found |= _against(predicted, _output(reference.outputs, f"{name}.y0"), chosen, None)
        kept = {f.name for f in fields(CorruptedQuality)}
        row = {key: value for key, value in found.items() if key in kept}
        yield CorruptedQuality(corruption=name, **{**row, "n": len(predicted)})


def _corruptions(path: Path) -> tuple[str, ...]:
    import numpy as np

    with np.load(path) as saved:
        return tuple(name.removesuffix(".y0") for name in saved.files if name.endswith(".y0"))


def _output(path: Path, name: str) -> Array:
    """A saved output as `(n, values in a row)` float64."""
    import numpy as np

    with np.load(path) as saved:
        found = np.asarray(saved[name], dtype=np.float64)
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


def classes(scores: Array, otherwise: int) -> Array:
    """Class with the largest score of each row; `otherwise` for a row that holds NaN, whose arg-max means nothing."""
    import numpy as np

    return np.where(np.isnan(scores).any(axis=1), otherwise, scores.argmax(axis=1))


def _right(predicted: Array, labels: Array | None) -> Array | None:
    """For each row with a label whether its class is the label; None where no row has one."""
    if labels is None or not (labels >= 0).any():
        return None
    labelled = labels >= 0
    found: Array = classes(predicted[labelled], -2) == labels[labelled]
    return found


def _divergence(predicted: Array, expected: Array) -> float | None:
    """Mean over rows of KL(reference ‖ these outputs) of the classes' probabilities, where both are finite."""
    import numpy as np

    both = np.isfinite(predicted).all(axis=1) & np.isfinite(expected).all(axis=1)
    if not both.any():
        return None
    q, p = _log_softmax(predicted[both]), _log_softmax(expected[both])
    return max(0.0, float((np.exp(p) * (p - q)).sum(axis=1).mean()))


def _log_softmax(scores: Array) -> Array:
    """Logarithms of the probabilities of the classes; rows that are probabilities already are taken as they are."""
    import numpy as np

    if (scores >= 0).all() and np.allclose(scores.sum(axis=1), 1, atol=1e-3):
        taken: Array = np.log(np.maximum(scores, LEAST_PROBABILITY))
        return taken
    shifted = scores - scores.max(axis=1, keepdims=True)
    found: Array = shifted - np.log(np.exp(shifted).sum(axis=1, keepdims=True))
    return found


def _largest_error(predicted: Array, expected: Array) -> float | None:
    """Largest absolute difference where both are finite, or None where nowhere."""
    import numpy as np

    both = np.isfinite(predicted) & np.isfinite(expected)
    return float(abs(predicted[both] - expected[both]).max()) if both.any() else None
