"""Skill of predictions against published latencies: error, order, and what the intervals hold."""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np

from harness.estimate.conformal import covered
from harness.estimate.fit import groups

if TYPE_CHECKING:
    from harness.estimate.design import Array, Design

ENOUGH = 5
"""Networks of a run from which on a rank correlation says something."""

CLOSE = (1.1, 1.5)
"""Ratio of two published latencies that makes them a close pair."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Skill:
    """How good predictions are; errors are means over runs, so that no board counts for its number of rows.

    Attributes:
        error: Mean absolute error as a share of what was published.
        worst_error: Of the worst run, which is `worst`.
        within_10: Share of rows within ±10 %.
        spearman: Mean rank correlation of the runs with at least five networks, or NaN.
        close_right: Share of close pairs of a run that are ordered right, of `close` pairs.
        coverage: Mean coverage of the 90 % interval over processors, each judged by the errors of the others.
        worst_coverage: Of the worst processor.
        factor90: Median factor of those intervals.
    """

    rows: int
    runs: int
    error: float
    worst_error: float
    worst: str
    within_10: float
    within_20: float
    spearman: float
    close_right: float
    close: int
    coverage: float
    worst_coverage: float
    factor90: float


def skill(predicted_ms: Array, given: Design) -> Skill:
    """Judge predictions of the rows of a design."""
    errors = np.log(predicted_ms / given.measured_ms)
    shares = np.abs(np.exp(errors) - 1)
    runs = groups(given.of("run"))
    each = [float(shares[rows].mean()) for rows in runs]
    worst = int(np.argmax(each))
    ranks = [_spearman(predicted_ms[rows], given.measured_ms[rows]) for rows in runs if len(rows) >= ENOUGH]
    right, close = _close_pairs(predicted_ms, given, runs)
    coverage, lowest, factor90 = covered(errors, given.of("soc"))
    return Skill(
        rows=len(shares),
        runs=len(runs),
        error=float(np.mean(each)),
        worst_error=each[worst],
        worst=_told(given, runs[worst]),
        within_10=float(np.mean([np.mean(shares[rows] <= 0.1) for rows in runs])),
        within_20=float(np.mean([np.mean(shares[rows] <= 0.2) for rows in runs])),
        spearman=float(np.mean(ranks)) if ranks else float("nan"),
        close_right=right / close if close else float("nan"),
        close=close,
        coverage=coverage,
        worst_coverage=lowest,
        factor90=factor90,
    )


def _told(given: Design, rows: Array) -> str:
    row = given.rows[rows[0]]
    cores = f", {row.cluster} cores" if row.cluster else ""
    threads = f"{row.threads} threads" if row.threads else "all threads"
    return f"{row.device}{cores}, {threads}, {row.date or 'undated'}"


def _spearman(predicted: Array, measured: Array) -> float:
    """Rank correlation, ties at their mean rank."""
    from scipy.stats import rankdata

    one, other = rankdata(predicted), rankdata(measured)
    spread = one.std() * other.std()
    return float(((one - one.mean()) * (other - other.mean())).mean() / spread) if spread else 0.0


def _close_pairs(predicted: Array, given: Design, runs: list[Array]) -> tuple[int, int]:
    right = close = 0
    for rows in runs:
        for place, i in enumerate(rows):
            for j in rows[:place]:
                ratio = given.measured_ms[i] / given.measured_ms[j]
                if CLOSE[0] <= max(ratio, 1 / ratio) <= CLOSE[1]:
                    close += 1
                    right += bool((ratio > 1) == (predicted[i] > predicted[j]))
    return right, close
