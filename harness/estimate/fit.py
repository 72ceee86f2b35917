"""Fits the coefficients of a kernel family: non-negative least squares on relative error, shrunk to the prior.

A run (one board, one build, one number of threads) has a common factor of its own, so that coefficients are learnt from
how its networks compare and not from how fast the board is; the factors are shrunk to a common middle. Rows far off
weigh less (Huber). The coefficients are shared by all devices of a family; a device gets one scale, never coefficients
of its own.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, Any

import numpy as np

from harness.estimate.design import NAMES, Array, Design

if TYPE_CHECKING:
    from collections.abc import Hashable

RIDGE = 3.0
"""Rows' worth of belief in the prior for each coefficient and 200 rows: the middle of a flat optimum (1 to 10 change
the held-out error of the ncnn rows by less than a tenth)."""

ROUNDS = 4
"""Rounds of factors, weights and coefficients in turn; three already agree to four digits."""

HUBER = 0.25
"""Log error from which a row weighs less: about what separates two builds of one runtime."""

MODEL_SD, DEVICE_SD = 0.18, 0.3
"""Log standard deviations of a model's error on its device and of a device's common factor: how far a scale from k
models is trusted is k/0.18² against 1/0.3²."""


def fit(given: Design) -> Array:
    """Coefficients in the order of `NAMES`; those that no row depends on stay at the prior times the common factor."""
    from scipy.optimize import nnls

    runs = groups(given.of("run"))
    measured = given.measured_ms
    level = _level(given, runs)
    coefficients = np.full(len(NAMES), level)
    belief = np.sqrt(RIDGE * len(measured) / 200) / level
    for _ in range(ROUNDS):
        predicted = given.matrix @ coefficients
        factor = _run_factors(np.log(measured / predicted), runs)
        error = np.abs(np.log(measured / (predicted * factor)))
        weight = np.sqrt(HUBER / np.maximum(error, HUBER))
        rows = given.matrix * (factor * weight / measured)[:, None]
        coefficients, _ = nnls(
            np.vstack([rows, np.eye(len(NAMES)) * belief]),
            np.concatenate([weight, np.full(len(NAMES), belief * level)]),
        )
    return np.asarray(coefficients)


def scale(log_errors: Array) -> float:
    """A device's factor from its models' log(measured/predicted): their median, shrunk to 1 when they are few."""
    trust = len(log_errors) / MODEL_SD**2
    return float(np.exp(np.median(log_errors) * trust / (trust + 1 / DEVICE_SD**2))) if len(log_errors) else 1.0


def groups(labels: Sequence[Hashable] | np.ndarray[Any, Any]) -> list[np.ndarray[Any, Any]]:
    """Indices of the rows with each label, in the order of labels."""
    return [np.flatnonzero(np.asarray(labels) == label) for label in sorted(set(labels))]


def as_table(coefficients: Array) -> Mapping[str, float]:
    """Coefficients by name."""
    return {name.value: float(value) for name, value in zip(NAMES, coefficients, strict=True)}


def _level(given: Design, runs: list[np.ndarray[Any, Any]]) -> float:
    """How far the family as a whole is from the prior: the median over runs of the median over models."""
    errors = np.log(given.measured_ms / given.matrix.sum(axis=1))
    return float(np.exp(np.median([np.median(errors[rows]) for rows in runs])))


def _run_factors(errors: Array, runs: list[np.ndarray[Any, Any]]) -> Array:
    medians = np.array([np.median(errors[rows]) for rows in runs])
    factors = np.ones_like(errors)
    for rows, median in zip(runs, medians - medians.mean(), strict=True):
        factors[rows] = np.exp(median)
    return factors
