"""Conformal intervals: the errors of held-out predictions say how wide an honest interval is.

The score of a prediction is |log(predicted/measured)|. The 90 % factor is the finite-sample quantile of the scores,
every processor weighing alike however many rows it has, so that a coverage of 90 % is meant over devices and not over
rows. Vovk, Gammerman and Shafer, Algorithmic Learning in a Random World, 2005; Barber et al., Conformal Prediction
Beyond Exchangeability, Annals of Statistics 51, 2023 (weighted quantiles).
"""

from __future__ import annotations

from math import ceil, exp
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.estimate.design import Array

COVERAGE = 0.9

FLOOR = 1.10
"""No interval is narrower than ×/÷ 1.10: two runs of one published build differ by as much."""


def factor(log_errors: Array, groups: Sequence[Any] | np.ndarray[Any, Any]) -> float:
    """The 90 % factor: at least this share of errors lies within ×/÷ it, each group counting alike.

    With fewer than ten scores in all the largest is taken, since no quantile of 90 % exists.
    """
    scores = np.abs(log_errors)
    if not len(scores):
        raise ValueError("no errors to learn an interval from")
    labels = np.asarray(groups)
    sizes = {label: int((labels == label).sum()) for label in set(labels)}
    weights = np.array([1.0 / (len(sizes) * sizes[label]) for label in labels])
    order = np.argsort(scores, kind="stable")
    reached = np.cumsum(weights[order])
    wanted = min(1.0, ceil((len(scores) + 1) * COVERAGE) / len(scores))
    index = min(int(np.searchsorted(reached, wanted - 1e-12)), len(scores) - 1)
    return max(FLOOR, exp(float(scores[order][index])))


def inside(log_errors: Array, groups: Sequence[Any] | np.ndarray[Any, Any]) -> tuple[Array, Array]:
    """For each error the 90 % factor of the other groups, and 1 where the error is within it, else 0.

    Both are NaN where there is no other group.
    """
    labels = np.asarray(groups)
    held, factors = np.full(len(labels), np.nan), np.full(len(labels), np.nan)
    for label in set(labels):
        mine = labels == label
        if not mine.all():
            factors[mine] = factor(log_errors[~mine], labels[~mine])
            held[mine] = np.abs(log_errors[mine]) <= np.log(factors[mine]) + 1e-12
    return held, factors


def covered(log_errors: Array, groups: Sequence[Any] | np.ndarray[Any, Any]) -> tuple[float, float, float]:
    """Coverage, lowest coverage of a group, and median factor, each group judged by the factor of the others."""
    labels = np.asarray(groups)
    names = sorted(set(labels))
    if len(names) < 2:
        return float("nan"), float("nan"), factor(log_errors, groups)
    held, factors = inside(log_errors, labels)
    shares = [float(held[labels == name].mean()) for name in names]
    return float(np.mean(shares)), min(shares), float(np.median([factors[labels == name][0] for name in names]))
