"""How rows that come without splits are divided: deterministic, stratified by class, disjoint."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Mapping

    from harness.model import Array

TEST_SHARE = 0.3
CALIBRATION_SHARE = 0.1
VALIDATION_SHARE = 0.1
CALIBRATION_ROWS = 200
"""More rows make calibration slower and hardly better; what is left over trains."""


def divide(rows: int, labels: Array | None, seed: int) -> Mapping[str, Array]:
    """Divide rows into test, calibration, validation and train.

    Args:
        rows: How many there are, at least 1.
        labels: `(rows,)` integers to stratify by, or None.
        seed: Decides the order; the same seed gives the same division.

    Returns:
        Name of the split to `(n,)` int64 indices, each row in one split. Every beginning of a split is itself
        stratified. A split that would be empty is left out; from two rows on, test and calibration are there.
    """
    order = _stratified_order(rows, labels, seed)
    test = max(1, round(rows * TEST_SHARE))
    calibration = min(CALIBRATION_ROWS, max(1, round(rows * CALIBRATION_SHARE)), rows - test)
    validation = min(round(rows * VALIDATION_SHARE), rows - test - calibration)
    found = {}
    start = 0
    train = rows - test - calibration - validation
    for name, size in (("test", test), ("calibration", calibration), ("validation", validation), ("train", train)):
        if size:
            found[name] = order[start : start + size]
        start += size
    return found


def _stratified_order(rows: int, labels: Array | None, seed: int) -> Array:
    """An order in which every stretch holds the classes in about their overall proportions.

    Each class is shuffled and spread evenly over 0 to 1, from a random offset; rows are then sorted by that position.
    """
    import numpy as np

    draw = np.random.default_rng(seed)
    shuffled = draw.permutation(rows)
    if labels is None:
        return shuffled
    position = np.empty(rows)
    for label in np.unique(labels):
        members = shuffled[labels[shuffled] == label]
        position[members] = (np.arange(len(members)) + draw.random()) / len(members)
    return np.argsort(position, kind="stable")
