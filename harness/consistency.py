"""Consistency: whether a runtime computes the network that it was given, seen from the framework it was written in."""

from __future__ import annotations

from typing import TYPE_CHECKING

from harness.record import Deviation

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from harness.contributions import Technique
    from harness.model import Array

ROUNDING = 1e-3
"""Deviation that is allowed in float32. Another order of additions costs about the square root of their number times
2^-24 (Higham, Accuracy and Stability of Numerical Algorithms, 2nd ed., §4.2), 1e-5 for the widest layers here and a few
times that over a network; a layer that is wrong or missing costs more than 1e-2."""


def tolerance(techniques: Iterable[Technique]) -> float | None:
    """Deviation that is allowed after techniques, or None where one of them says that accuracy alone can tell."""
    found = [technique.deviation for technique in techniques]
    known = [each for each in found if each is not None]
    return max([ROUNDING, *known]) if len(known) == len(found) else None


def keeps_network(techniques: Sequence[Technique]) -> bool:
    """Whether what comes out is still the network that went in, in another arithmetic: none makes another network."""
    return all(technique.deviation != 0 for technique in techniques)


def deviation(outputs: Path, reference: Path, name: str, allowed: float | None) -> Deviation:
    """Compare saved outputs with those of the reference.

    Args:
        outputs: `.npz` with `y0` … of shape `(n, …)`.
        reference: The same of what it is compared with.
        name: What that is.
        allowed: The tolerance.

    Raises:
        ValueError: The two do not have the same outputs.
    """
    import numpy as np

    with np.load(outputs) as ours, np.load(reference) as theirs:
        names = [each for each in theirs.files if "." not in each]
        if names != [each for each in ours.files if "." not in each]:
            raise ValueError(f"it has other outputs than {name}")
        found = [_largest(ours[each], theirs[each], name) for each in names]
    known = [each for each in found if each is not None]
    return Deviation(reference=name, largest=max(known) if len(known) == len(found) else None, tolerance=allowed)


def _largest(ours: Array, theirs: Array, name: str) -> float | None:
    """Largest difference over the largest value of the reference; None where only one of the two is finite."""
    import numpy as np

    ours, theirs = np.asarray(ours, np.float64), np.asarray(theirs, np.float64)
    if ours.size != theirs.size:
        raise ValueError(f"an output has shape {ours.shape}, that of {name} is {theirs.shape}")
    ours = ours.reshape(theirs.shape)
    finite = np.isfinite(theirs)
    if not np.array_equal(finite, np.isfinite(ours)):
        return None
    if not finite.any():
        return 0.0
    scale = float(np.abs(theirs[finite]).max())
    error = float(np.abs(ours[finite] - theirs[finite]).max())
    return error / scale if scale else error
