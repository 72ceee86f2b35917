"""Corruptions that robustness is scored under: one mild severity each, the same for every variant.

Strengths are relative to the spread of the prepared rows, since the host sees data after the model's own scaling.
Kinds and strengths follow Hendrycks & Dietterich, Benchmarking Neural Network Robustness to Common Corruptions and
Perturbations, ICLR 2019, arXiv:1903.12261 (pictures: severity 2 of their code, in units of ImageNet's deviation of
0.23 of the range), and Um et al., Data Augmentation of Wearable Sensor Data, ICMI 2017, arXiv:1706.00527 (sensors:
jitter and scaling, both doubled, and a channel that fails).
"""

from __future__ import annotations

import zlib
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from harness.model import Array, DataKind

MOST_ROWS = 500
"""Rows scored under each corruption at most, spread evenly over the test split: enough to see five points."""

NOISE = 0.5
"""Deviation of the noise: 0.12 of the range over ImageNet's deviation of 0.23."""
BLUR_SHARE = 2.0 / 224.0
"""Deviation of the Gaussian blur over the side: 2 pixels of 224 …"""
LEAST_BLUR_PIXELS = 0.7
"""… but never less than what reaches the next pixel."""
CONTRAST = 0.3
"""Share of the distance from a picture's mean that is left."""
SHIFT_SHARE = 1.0 / 14.0
"""Pixels moved to the right and down over the side; the edge is repeated."""
JITTER = 0.1
"""Deviation of a sensor's noise, twice the 0.05 of Um et al."""
SCALING = 0.2
"""Deviation of each channel's factor about 1, twice the 0.1 of Um et al."""

Corrupt = Callable[["Array", Any], "Array"]


def corruptions_of(kind: DataKind) -> tuple[str, ...]:
    """Names of the corruptions that suit a kind of row; none where nobody knows what a row is."""
    return tuple(_CORRUPTIONS.get(kind, {}))


def corrupt(rows: Array, kind: DataKind, name: str) -> Array:
    """Corrupt `(n, channels, …)` float rows; the same rows give the same result, and the given ones are untouched.

    Raises:
        KeyError: The kind has no such corruption.
    """
    import numpy as np

    draw = np.random.default_rng(zlib.crc32(name.encode()))
    found: Array = _CORRUPTIONS[kind][name](np.asarray(rows), draw).astype(rows.dtype)
    return found


def rows_to_corrupt(n: int) -> Array:
    """Which of `n` rows are scored under a corruption, ascending."""
    import numpy as np

    chosen: Array = np.unique(np.linspace(0, n - 1, min(n, MOST_ROWS)).round().astype(np.int64))
    return chosen


def _noise(rows: Array, draw: Any) -> Array:
    noisy: Array = rows + NOISE * rows.std() * draw.standard_normal(rows.shape)
    return noisy


def _blur(rows: Array, draw: Any) -> Array:  # noqa: ARG001 - a blur has nothing random
    import numpy as np

    sigma = max(LEAST_BLUR_PIXELS, BLUR_SHARE * rows.shape[-1])
    reach = max(1, round(3 * sigma))
    weights = np.exp(-0.5 * (np.arange(-reach, reach + 1) / sigma) ** 2)
    blurred = rows.astype(np.float64)
    for axis in (-2, -1):
        pad = [(0, 0)] * rows.ndim
        pad[axis] = (reach, reach)
        padded = np.pad(blurred, pad, mode="edge")
        size = rows.shape[axis]
        parts = (w * padded.take(range(i, i + size), axis) for i, w in enumerate(weights / weights.sum()))
        blurred = sum(parts, start=np.zeros_like(blurred))
    return blurred


def _contrast(rows: Array, draw: Any) -> Array:  # noqa: ARG001 - less contrast has nothing random
    mean = rows.mean(axis=tuple(range(1, rows.ndim)), keepdims=True)
    faded: Array = mean + CONTRAST * (rows - mean)
    return faded


def _shift(rows: Array, draw: Any) -> Array:  # noqa: ARG001 - a shift has nothing random
    import numpy as np

    moved = rows
    for axis in (-2, -1):
        size = rows.shape[axis]
        pixels = max(1, round(SHIFT_SHARE * size))
        moved = moved.take(np.clip(np.arange(size) - pixels, 0, size - 1), axis)
    return moved


def _jitter(rows: Array, draw: Any) -> Array:
    noisy: Array = rows + JITTER * rows.std() * draw.standard_normal(rows.shape)
    return noisy


def _scaling(rows: Array, draw: Any) -> Array:
    per_channel = (*rows.shape[:2], *[1] * (rows.ndim - 2))
    scaled: Array = rows * (1 + SCALING * draw.standard_normal(per_channel))
    return scaled


def _dropout(rows: Array, draw: Any) -> Array:
    import numpy as np

    dropped = rows.copy()
    dropped[np.arange(len(rows)), draw.integers(0, rows.shape[1], len(rows))] = 0
    return dropped


_CORRUPTIONS: Mapping[str, Mapping[str, Corrupt]] = {
    "images": {"noise": _noise, "blur": _blur, "contrast": _contrast, "shift": _shift},
    "sensors": {"jitter": _jitter, "scaling": _scaling, "channel-dropout": _dropout},
}
