"""Intervals of shares of rows: one share whose rows may hang together, and the difference of two over the same rows."""

from __future__ import annotations

import math
from statistics import NormalDist
from typing import TYPE_CHECKING

from harness.measure.statistics import wilson

if TYPE_CHECKING:
    from harness.model import Array

FEWEST_GROUPS = 8
"""With fewer groups the variance between them cannot be told, and rows are taken as they are."""


def share_interval(hits: Array, groups: Array | None) -> tuple[float, float]:
    """Ends of a 95 % interval of the share of hits, wider where rows of one group behave alike.

    Wilson's interval with the number of rows divided by the design effect of a ratio over clusters (Rao & Scott, A
    simple method for the analysis of clustered binary data, Biometrics 48, 1992), which is at least 1.

    Args:
        hits: `(n,)` booleans.
        groups: `(n,)` numbers; rows of one group are not independent. None where each row stands for itself.
    """
    n, k = len(hits), int(hits.sum())
    effective = n / design_effect(hits, groups)
    low, high = wilson(round(k * effective / n), max(1, round(effective))) if n else (0.0, 1.0)
    return min(low, k / n if n else 0.0), max(high, k / n if n else 1.0)


def design_effect(hits: Array, groups: Array | None) -> float:
    """How many rows are worth one independent row; 1 where there are too few groups to tell."""
    import numpy as np

    if groups is None or not len(hits):
        return 1.0
    _, inverse = np.unique(groups, return_inverse=True)
    sizes = np.bincount(inverse).astype(float)
    share = float(hits.mean())
    if len(sizes) < FEWEST_GROUPS or len(sizes) == len(hits) or not 0.0 < share < 1.0:
        return 1.0
    residuals = np.bincount(inverse, weights=hits.astype(float)) - share * sizes
    count, n = len(sizes), len(hits)
    variance = count / (count - 1) * float((residuals**2).sum()) / n**2
    return max(1.0, variance * n / (share * (1 - share)))


def paired_difference(first: Array, second: Array, alpha: float = 0.05) -> tuple[float, float, float]:
    """Share of hits in `first` less that in `second` over the same rows, and the ends of its interval at 1 − `alpha`.

    Source: Agresti & Min, Simple improved confidence intervals for comparing matched proportions, Statistics in
    Medicine 24 (2005): half a row is added to each of the four cells.

    Args:
        first, second: `(n,)` booleans of the same rows, n at least 1.
    """
    n = len(first)
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    b, c, total = only_first + 0.5, only_second + 0.5, n + 2
    centre = (b - c) / total
    half = NormalDist().inv_cdf(1 - alpha / 2) * math.sqrt((b + c) - (b - c) ** 2 / total) / total
    difference = (only_first - only_second) / n
    return difference, min(max(-1.0, centre - half), difference), max(min(1.0, centre + half), difference)


def mcnemar(first: Array, second: Array) -> float:
    """Two-sided exact p-value of equal shares of hits over the same rows; 1 where no row differs.

    Of the rows that only one of both has right, each is as likely to be the first's as the second's. Source: Q.
    McNemar, Psychometrika 12 (1947); the exact form: Fagerland, Lydersen & Laake, The McNemar test for binary matched-
    pairs data, BMC Medical Research Methodology 13 (2013), section 2.1.

    Args:
        first, second: `(n,)` booleans of the same rows.
    """
    only_first, only_second = int((first & ~second).sum()), int((second & ~first).sum())
    n, k = only_first + only_second, min(only_first, only_second)
    log_all = n * math.log(2)
    tail = math.fsum(
        math.exp(math.lgamma(n + 1) - math.lgamma(i + 1) - math.lgamma(n - i + 1) - log_all) for i in range(k + 1)
    )
    return min(1.0, 2 * tail)
