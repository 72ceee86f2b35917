"""Whether a quantity changed from one run to another: levels of two runs, and the test of their difference.

A run is compared with another through its processes: each contributes one value, because samples within a process
share its luck. The difference of the two means is tested by Welch's method with the degrees of freedom of
Satterthwaite, over six processes or more in Yuen's form for trimmed means. With fewer it is never surer than the
samples within them allow.

Two questions are kept apart. `latency_level` is the latency itself: two runs some hours apart also differ by what the
machine did in between, of which the processes of one run know nothing. `relative_latency_level` is the latency over
that of a reference that was timed in the same rounds, so that what the machine did hits both and cancels.

Sources: B. L. Welch, The generalization of Student's problem when several different population variances are involved,
Biometrika 34 (1947); F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics
Bulletin 2 (1946); K. K. Yuen, The two-sample trimmed t for unequal population variances, Biometrika 61 (1974).
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from statistics import NormalDist, median
from typing import TYPE_CHECKING

from harness.measure.statistics import (
    FEW_PROCESSES,
    mean_of,
    median_error,
    paired_rounds,
    process_logs,
    satterthwaite,
    student_t,
    two_sided,
)

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.record import Measurement

POWER = 0.8
"""Chance with which a change of the size that a comparison is said to see is found: the usual choice."""


@dataclass(frozen=True, slots=True, kw_only=True)
class Level:
    """What one run says of a quantity.

    Attributes:
        centre: Mean over processes, as `mean_of` takes it.
        parts: Variance of each independent mean that it is made of, with its degrees of freedom; empty when a single
            process tells nothing of the spread between processes.
        within: Standard error that the samples within the processes allow, where these are few; else 0.
        processes: How many processes it rests on, the smaller number where it is made of two means.
    """

    centre: float
    parts: tuple[tuple[float, int], ...]
    within: float
    processes: int


@dataclass(frozen=True, slots=True, kw_only=True)
class Difference:
    """Level of one run less that of another.

    Attributes:
        error: Standard error, None when a run had one process only: then nothing can be tested.
        within: Standard error that the samples within few processes allow; `error` may be smaller by luck.
        df: Degrees of freedom of `error`, infinite where it is 0.
    """

    value: float
    error: float | None
    within: float
    df: float

    def p(self) -> float | None:
        """Two-sided p-value of no difference, None when nothing can be tested."""
        if self.error is None:
            return None
        between = _p_of(self.value, self.error, self.df)
        return max(between, _p_of(self.value, self.within, math.inf)) if self.within else between

    def interval(self, alpha: float) -> tuple[float, float] | None:
        """Ends of the interval at level 1 − `alpha`, None when nothing can be tested."""
        if self.error is None:
            return None
        half = max(_quantile(alpha, self.df) * self.error, _quantile(alpha, math.inf) * self.within)
        return self.value - half, self.value + half

    def smallest_seen(self, alpha: float) -> float | None:
        """Size of a true difference that is found at `alpha` with a chance of `POWER`, None when nothing can be tested.

        Source: H. S. Bloom, Minimum detectable effects, Evaluation Review 19 (1995): the sum of the two quantiles
        times the standard error.
        """
        if self.error is None:
            return None
        tail = 2 * (1 - POWER)
        between = (_quantile(alpha, self.df) + _quantile(tail, self.df)) * self.error
        return max(between, (_quantile(alpha, math.inf) + _quantile(tail, math.inf)) * self.within)


def level(values: Sequence[float], errors: Sequence[float] = ()) -> Level:
    """Level of values, one for each process, with the standard errors of each where they are known.

    Raises:
        ValueError: without values.
    """
    if not values:
        raise ValueError("no values to take a mean of")
    count = len(values)
    within = math.hypot(*errors) / count if count < FEW_PROCESSES else 0.0
    centre, error2, df = mean_of(values)
    return Level(
        centre=centre,
        parts=((error2, df),) if count > 1 else (),
        within=within if math.isfinite(within) else 0.0,
        processes=count,
    )


def latency_level(measurement: Measurement) -> Level:
    """Logarithm of the latency in ns.

    Raises:
        ValueError: as `harness.measure.statistics.summarise`.
    """
    logs = process_logs(measurement)
    return level([median(values) for values in logs], [median_error(values) for values in logs])


def relative_latency_level(reference: Measurement, measurement: Measurement) -> Level:
    """Logarithm of the latency over that of a reference of the same run.

    Timed together, each process contributes the median of the differences within its rounds: what slows a round down
    slows both. Timed apart, the level is a difference of two means.

    Raises:
        ValueError: as `harness.measure.statistics.summarise`.
    """
    pairs = paired_rounds(reference, measurement)
    if pairs:
        differences = [[m - r for r, m in pair] for pair in pairs]
        return level([median(values) for values in differences], [median_error(values) for values in differences])
    over, under = latency_level(measurement), latency_level(reference)
    return Level(
        centre=over.centre - under.centre,
        parts=(*over.parts, *under.parts) if over.parts and under.parts else (),
        within=math.hypot(over.within, under.within),
        processes=min(over.processes, under.processes),
    )


def difference(before: Level, after: Level) -> Difference:
    """How much a quantity differs between two runs, and how sure that is."""
    value, within = after.centre - before.centre, math.hypot(before.within, after.within)
    if not before.parts or not after.parts:
        return Difference(value=value, error=None, within=within, df=math.inf)
    parts = (*before.parts, *after.parts)
    total, df = satterthwaite(parts)
    return Difference(value=value, error=math.sqrt(total), within=within, df=df)


def holm(p_values: Sequence[float]) -> list[float]:
    """Adjusted p-values in the order given: below α with a chance of at most α for any that should not be.

    Source: S. Holm, A simple sequentially rejective multiple test procedure, Scandinavian Journal of Statistics 6
    (1979).
    """
    order = sorted(range(len(p_values)), key=p_values.__getitem__)
    adjusted, largest = [0.0] * len(p_values), 0.0
    for rank, at in enumerate(order):
        largest = max(largest, min(1.0, (len(p_values) - rank) * p_values[at]))
        adjusted[at] = largest
    return adjusted


def _p_of(value: float, error: float, df: float) -> float:
    if error == 0:
        return float(value == 0)
    t = abs(value) / error
    return math.erfc(t / math.sqrt(2)) if math.isinf(df) else two_sided(t, df)


def _quantile(alpha: float, df: float) -> float:
    """Quantile 1 − `alpha` / 2."""
    return NormalDist().inv_cdf(1 - alpha / 2) if math.isinf(df) else student_t(round(df, 2), alpha)
