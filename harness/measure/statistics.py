"""What raw latencies say: medians, intervals and ratios that account for the spread between fresh processes.

Two fresh processes of one model differ by more than the samples within one, so a process is the unit that is drawn at
random here: each contributes one median, and Student's t over the logarithms of these medians gives the interval.
Logarithms, because a process that is 5 % slow is slow by a factor. As a few processes can agree by luck, an
interval over fewer than six is never narrower than what the samples within them allow; of six or more a fifth is set
aside at either end, as one disturbed process would spoil the mean of all.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import lru_cache
from statistics import fmean, median
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from harness.record import Measurement

Z_975 = 1.959963984540054
"""97.5 % quantile of the standard normal distribution."""

TRIMMED_SHARE = 0.2
"""Share of the processes that is set aside at either end: the usual choice (R. R. Wilcox, Introduction to Robust
Estimation and Hypothesis Testing, section 4.2)."""

FEW_PROCESSES = 6
"""With fewer, processes may agree by luck, and what the samples within them allow is a floor. With as many it would be
a burden: the order-statistic interval of six rounds runs from the least to the largest, and one disturbed process out
of twenty makes the floor three times the spread that was seen between them."""


@dataclass(frozen=True, slots=True, kw_only=True)
class LatencySummary:
    """The latency of one cell.

    Attributes:
        median_ns: Geometric mean of the medians of the processes, without those set aside.
        lo95_ns, hi95_ns: Ends of the 95 % interval, or None when there are too few samples for one.
        between_process_sd: Standard deviation of the natural logarithms of the process medians, so 0.01 is 1 %;
            None with one process.
        processes: How many processes contributed. With one the interval covers the samples of that process only.
        samples: How many samples contributed.
    """

    median_ns: float
    lo95_ns: float | None
    hi95_ns: float | None
    between_process_sd: float | None
    processes: int
    samples: int


@dataclass(frozen=True, slots=True, kw_only=True)
class RatioSummary:
    """Latency of a baseline divided by that of a variant: above 1 the variant is faster.

    Attributes:
        lo95, hi95: Ends of the 95 % interval, or None when there are too few samples for one.
        significant: Whether the interval excludes 1.
        paired: Whether both were timed in the same rounds, so that drift of the machine cancels.
        processes: Smaller number of processes of the two. With one the interval knows nothing of the spread between
            processes.
    """

    ratio: float
    lo95: float | None
    hi95: float | None
    significant: bool
    paired: bool
    processes: int


def summarise(measurement: Measurement) -> LatencySummary:
    """Summarise a measurement.

    Raises:
        ValueError: when it holds no sample, or its samples do not add up to those of its processes.
    """
    logs = process_logs(measurement)
    centre, half = _mean_interval([median(values) for values in logs], [median_error(values) for values in logs])
    return LatencySummary(
        median_ns=math.exp(centre),
        lo95_ns=math.exp(centre - half) if math.isfinite(half) else None,
        hi95_ns=math.exp(centre + half) if math.isfinite(half) else None,
        between_process_sd=math.sqrt(variance([median(values) for values in logs])) if len(logs) > 1 else None,
        processes=len(logs),
        samples=len(measurement.latency_ns),
    )


def ratio(base: Measurement, variant: Measurement) -> RatioSummary:
    """Compare two measurements: paired by round when they were interleaved, else by Welch's method.

    Raises:
        ValueError: as `summarise`.
    """
    sides = process_logs(base), process_logs(variant)
    processes = min(map(len, sides))
    pairs = paired_rounds(base, variant)
    if pairs:
        centre, half = _mean_interval(
            [median(b - v for b, v in pair) for pair in pairs],
            [median_error([b - v for b, v in pair]) for pair in pairs],
        )
        processes = len(pairs)
    else:
        centre, half = _welch(*sides)
    known = math.isfinite(half)
    return RatioSummary(
        ratio=math.exp(centre),
        lo95=math.exp(centre - half) if known else None,
        hi95=math.exp(centre + half) if known else None,
        significant=known and abs(centre) > half,
        paired=bool(pairs),
        processes=processes,
    )


def median_interval(values: Sequence[float]) -> tuple[float, float, float]:
    """Median and the ends of a 95 % interval of it, from order statistics, so whatever the distribution is.

    The interval runs from the r-th smallest to the r-th largest value, with the largest r for which a binomial
    variable B(n, 1/2) is below r with a probability of at most 2.5 %. Fewer than six values allow none: the ends are
    then infinite. Source: H. A. David, H. N. Nagaraja, Order Statistics, 3rd ed. (2003), section 7.1.

    Raises:
        ValueError: without values.
    """
    if not values:
        raise ValueError("no values to take a median of")
    ordered = sorted(values)
    rank = _median_rank(len(ordered))
    if rank == 0:
        return float(median(ordered)), -math.inf, math.inf
    return float(median(ordered)), float(ordered[rank - 1]), float(ordered[-rank])


def wilson(successes: int, n: int) -> tuple[float, float]:
    """Ends of the 95 % score interval of a proportion; (0, 1) when n is 0.

    Source: E. B. Wilson, Probable inference, the law of succession, and statistical inference, JASA 22 (1927).

    Raises:
        ValueError: when `successes` is not between 0 and `n`.
    """
    if not 0 <= successes <= n:
        raise ValueError(f"{successes} successes of {n}")
    if n == 0:
        return 0.0, 1.0
    share, z2 = successes / n, Z_975**2
    centre = (share + z2 / (2 * n)) / (1 + z2 / n)
    half = Z_975 / (1 + z2 / n) * math.sqrt(share * (1 - share) / n + z2 / (4 * n * n))
    return max(0.0, min(centre - half, share)), min(1.0, max(centre + half, share))


@lru_cache(maxsize=1024)
def student_t(df: float, alpha: float = 0.05) -> float:
    """Quantile 1 − `alpha` / 2 of Student's t with `df` degrees of freedom, not necessarily whole ones.

    Found by bisection of `two_sided`.

    Raises:
        ValueError: when `df` is not above 0, or `alpha` not between 0 and 1.
    """
    if not df > 0 or not 0 < alpha < 1:
        raise ValueError(f"{df} degrees of freedom, alpha = {alpha}")
    lo, hi = 0.0, 1.0
    while two_sided(hi, df) > alpha:
        lo, hi = hi, 2 * hi
    while hi - lo > 1e-10 * hi:
        middle = (lo + hi) / 2
        lo, hi = (middle, hi) if two_sided(middle, df) > alpha else (lo, middle)
    return hi


Timed = list[list[tuple[int, float]]]
"""(round, logarithm of ns) of each sample, process by process."""


@lru_cache(maxsize=8)  # a report compares many with the same few baselines
def _by_process(measurement: Measurement) -> Timed:
    """(round, logarithm of ns) of each sample, process by process, empty for a process without samples."""
    # The clock counts whole nanoseconds: an inference that takes none takes less than one.
    logs = [math.log(max(ns, 1)) for ns in measurement.latency_ns]
    timed = list(zip(measurement.rounds, logs, strict=True))
    found, start = [], 0
    for process in measurement.processes:
        found.append(timed[start : start + process.samples])
        start += process.samples
    if start != len(timed):
        raise ValueError(f"{len(timed)} samples in the measurement, {start} in its processes")
    if not timed:
        raise ValueError("a measurement without samples")
    return found


def process_logs(measurement: Measurement) -> list[list[float]]:
    """Logarithms of ns of each process that has samples."""
    return [[log for _, log in process] for process in _by_process(measurement) if process]


def paired_rounds(base: Measurement, variant: Measurement) -> list[list[tuple[float, float]]]:
    """For each process that timed both: logarithms of ns of both, one pair for each round that both took part in.

    Nothing where they were timed apart, nor where they share a single process of several: that one must not hide the
    spread that the others show.
    """
    if base.group != variant.group:
        return []
    found = []
    for left, right in zip(_by_round(base), _by_round(variant), strict=False):
        found.append([(left[number], right[number]) for number in left if number in right])
    pairs = [pair for pair in found if pair]
    fewest = min(len(process_logs(base)), len(process_logs(variant)))
    return pairs if len(pairs) > 1 or fewest == 1 else []


@lru_cache(maxsize=8)
def _by_round(measurement: Measurement) -> list[dict[int, float]]:
    """Logarithm of ns of each round, process by process."""
    return [_rounds(process) for process in _by_process(measurement)]


def _rounds(samples: Sequence[tuple[int, float]]) -> dict[int, float]:
    """Mean of the samples of each round, as a round may hold several."""
    rounds: dict[int, list[float]] = {}
    for number, log in samples:
        rounds.setdefault(number, []).append(log)
    return {number: fmean(values) for number, values in rounds.items()}


def mean_of(values: Sequence[float]) -> tuple[float, float, int]:
    """Mean over processes, its variance, and the degrees of freedom of that; (value, 0, 0) for a single one.

    Of `FEW_PROCESSES` or more a fifth is set aside at either end: on a machine with neighbours a process in twenty is
    off by tens of percent, and the mean of all would follow it. Source: K. K. Yuen, The two-sample trimmed t for
    unequal population variances, Biometrika 61 (1974), with the winsorised variance of J. W. Tukey and D. H.
    McLaughlin (1963).
    """
    count = len(values)
    if count == 1:
        return values[0], 0.0, 0
    if count < FEW_PROCESSES:
        return fmean(values), variance(values) / count, count - 1
    ordered = sorted(values)
    aside = int(TRIMMED_SHARE * count)
    kept = ordered[aside : count - aside]
    winsorised = [kept[0]] * aside + kept + [kept[-1]] * aside
    left = len(kept)
    return fmean(kept), (count - 1) * variance(winsorised) / (left * (left - 1)), left - 1


def _mean_interval(values: Sequence[float], errors: Sequence[float]) -> tuple[float, float]:
    """Mean over processes and half its 95 % interval; with few of them not below what the errors within them allow."""
    count = len(values)
    centre, error2, df = mean_of(values)
    within = Z_975 * math.hypot(*errors) / count
    if count == 1:
        return centre, within
    between = student_t(df) * math.sqrt(error2)
    return centre, max(between, within if count < FEW_PROCESSES and math.isfinite(within) else 0.0)


def _welch(base: Sequence[Sequence[float]], variant: Sequence[Sequence[float]]) -> tuple[float, float]:
    """Difference of the means of the process medians and half its 95 % interval.

    Source: B. L. Welch, The generalization of Student's problem when several different population variances are
    involved, Biometrika 34 (1947), with the degrees of freedom of Satterthwaite (1946).
    """
    sides = [mean_of([median(values) for values in side]) for side in (base, variant)]
    centre = sides[0][0] - sides[1][0]
    errors = [median_error(values) / len(side) for side in (base, variant) for values in side]
    within = Z_975 * math.hypot(*errors)
    fewest = min(len(base), len(variant))
    if fewest == 1:
        return centre, within
    total, df = satterthwaite([(error2, df) for _, error2, df in sides])
    between = student_t(round(df, 2)) * math.sqrt(total) if total > 0 else 0.0
    return centre, max(between, within if fewest < FEW_PROCESSES and math.isfinite(within) else 0.0)


def satterthwaite(parts: Sequence[tuple[float, int]]) -> tuple[float, float]:
    """Sum of independent variances, each with its degrees of freedom, and that sum's: infinite where it is 0.

    Source: F. E. Satterthwaite, An approximate distribution of estimates of variance components, Biometrics Bulletin 2
    (1946).
    """
    total = math.fsum(part for part, _ in parts)
    return total, 1 / math.fsum((part / total) ** 2 / df for part, df in parts) if total > 0 else math.inf


def variance(values: Sequence[float]) -> float:
    """Sample variance of at least two values; the standard library's is exact, and slow for ten thousand cells."""
    centre = fmean(values)
    return math.fsum((value - centre) ** 2 for value in values) / (len(values) - 1)


def median_error(values: Sequence[float]) -> float:
    """Standard error of the median: the order-statistic interval read as ±1.96 standard errors."""
    _, lo, hi = median_interval(values)
    return (hi - lo) / (2 * Z_975)


@lru_cache(maxsize=4096)
def _median_rank(n: int) -> int:
    """Largest r with P(B(n, 1/2) < r) ≤ 2.5 %, 0 when there is none."""
    log_all, below, rank = n * math.log(2), 0.0, 0
    while True:
        below += math.exp(math.lgamma(n + 1) - math.lgamma(rank + 1) - math.lgamma(n - rank + 1) - log_all)
        if below > 0.025:
            return rank
        rank += 1


def two_sided(t: float, df: float) -> float:
    """P(|T| > t), by the fraction that converges quickly on each side of the symmetry point (DLMF 8.17.4)."""
    x, a, b = df / (df + t * t), df / 2, 0.5
    if x < (a + 1) / (a + b + 2):
        return _incomplete_beta(x, a, b)
    return 1 - _incomplete_beta(t * t / (df + t * t), b, a)


def _incomplete_beta(x: float, a: float, b: float) -> float:
    """Regularised incomplete beta function by the continued fraction of DLMF 8.17.22, evaluated from its tail."""
    if x <= 0:
        return 0.0
    log_front = math.lgamma(a + b) - math.lgamma(a) - math.lgamma(b) + a * math.log(x) + b * math.log1p(-x)
    fraction = 1.0
    for n in range(100, 0, -1):
        m = n // 2
        numerator = -(a + m) * (a + b + m) if n % 2 else m * (b - m)
        fraction = 1 + numerator * x / ((a + n - 1) * (a + n)) / fraction
    return math.exp(log_front) / (a * fraction)
